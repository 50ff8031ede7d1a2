//! The product with the weights of a linear layer, which may be stored narrower than f32.
//!
//! A general product packs both sides each time. Here the weights lie in panels from the start and are widened on
//! the way to the first caches, so that even the few hundred rows of a frame run at the speed of a large square product.

use std::cell::Cell;
use std::ops::Range;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, bail};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::attention::values;
use super::linear_weights::LinearWeights;
use super::packed_rows::{INPUT_BLOCK, PackedRows, TILE_ROWS, TileColumn};
use super::register_tile::{TileSums, multiply_tile};
use super::work_split::WorkSplit;
use crate::vectors::Vectors;
use crate::weights::{PANEL, PanelRow};

/// Panels that one task computes at most: their sums stay in the second cache while the inputs' blocks go by.
const TASK_PANELS: usize = 8;

thread_local! {
    /// Room for packed inputs, kept from one product to the next.
    static PACKED: Cell<Vec<TileColumn>> = const { Cell::new(Vec::new()) };
}

/// `[rows, in] -> [rows, out]` in f32: `x W^T + b`, or with a second tensor `[rows, out]` the sum of it and that.
pub struct PanelMatmul<'w> {
    /// Weights and bias.
    pub layer: LinearWeights<'w>,
    /// With what.
    pub vectors: Vectors,
}

impl CustomOp1 for PanelMatmul<'_> {
    fn name(&self) -> &'static str {
        "panel-matmul"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(values(xs, layout)?, layout, None)
    }
}

impl CustomOp2 for PanelMatmul<'_> {
    fn name(&self) -> &'static str {
        "panel-matmul-onto"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        layout: &Layout,
        onto: &CpuStorage,
        onto_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.run(values(xs, layout)?, layout, Some(values(onto, onto_layout)?))
    }
}

impl PanelMatmul<'_> {
    fn run(&self, xs: &[f32], layout: &Layout, onto: Option<&[f32]>) -> Result<(CpuStorage, Shape)> {
        let (rows, cols) = layout.shape().dims2()?;
        self.layer.check(rows, cols)?;
        let mut buffer = PACKED.take();
        let inputs = PackedRows::pack(xs, cols, &mut buffer);
        let out = multiply(&self.layer, &inputs, rows, onto, self.vectors);
        PACKED.set(buffer);
        Ok((CpuStorage::F32(out?), Shape::from((rows, self.layer.weights.rows()))))
    }
}

/// The row-major product of `rows` packed rows with a layer's weights, added to its bias and to `onto`.
///
/// # Errors
/// When `onto` has another size.
pub fn multiply(
    layer: &LinearWeights,
    inputs: &PackedRows,
    rows: usize,
    onto: Option<&[f32]>,
    vectors: Vectors,
) -> Result<Vec<f32>> {
    let out_dim = layer.weights.rows();
    if let Some(onto) = onto
        && onto.len() != rows * out_dim
    {
        bail!("a linear layer of {rows}x{out_dim} outputs cannot be added to {} values", onto.len());
    }
    let mut out = vec![0f32; rows * out_dim];
    if !out.is_empty() {
        let split = WorkSplit::new(inputs.tiles(), layer.panels(), TASK_PANELS);
        let mut tasks: Vec<Task> = split
            .tasks()
            .map(|(tiles, panels)| {
                let out = Vec::with_capacity(tiles.len());
                Task { layer, inputs, onto, tiles, panels, vectors, out }
            })
            .collect();
        let blocks = out.chunks_mut(split.block_tiles() * TILE_ROWS * out_dim);
        for (tasks, rows) in tasks.chunks_mut(split.groups()).zip(blocks) {
            for row in rows.chunks_exact_mut(out_dim) {
                let parts = row.chunks_mut(split.task_outputs());
                tasks.iter_mut().zip(parts).for_each(|(task, part)| task.out.push(part));
            }
        }
        tasks.into_par_iter().for_each(|task| vectors.dispatch(task));
    }
    Ok(out)
}

/// Some panels' outputs of some tiles' rows.
struct Task<'t> {
    layer: &'t LinearWeights<'t>,
    inputs: &'t PackedRows<'t>,
    onto: Option<&'t [f32]>,
    tiles: Range<usize>,
    panels: Range<usize>,
    vectors: Vectors,
    /// Those columns of those rows.
    out: Vec<&'t mut [f32]>,
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut room: Vec<PanelRow> = vec![[0.0; PANEL]; INPUT_BLOCK];
        for block in self.inputs.input_blocks() {
            for (index, panel) in self.panels.clone().enumerate() {
                let weights = self.layer.weights.panel(panel, block.clone(), self.vectors, &mut room);
                let bias = (block.start == 0).then(|| self.layer.bias_of(panel));
                for (tile, rows) in self.tiles.clone().zip(self.out.chunks_mut(TILE_ROWS)) {
                    let columns = index * PANEL..(index + 1) * PANEL;
                    let mut sums = match bias {
                        Some(bias) => first_sums(&bias, self.onto, self.layer.weights.rows(), tile, panel),
                        None => sums_so_far(rows, &columns),
                    };
                    multiply_tile(simd, self.inputs.tile(tile, &block), weights, &mut sums);
                    put_aside(rows, &columns, &sums);
                }
            }
        }
    }
}

/// What is added to.
#[inline(always)]
fn first_sums(bias: &PanelRow, onto: Option<&[f32]>, out_dim: usize, tile: usize, panel: usize) -> TileSums {
    let mut all = [*bias; TILE_ROWS];
    if let Some(onto) = onto {
        let rows = onto.chunks_exact(out_dim).skip(tile * TILE_ROWS);
        for (sums, row) in all.iter_mut().zip(rows) {
            sums.iter_mut().zip(row.iter().skip(panel * PANEL)).for_each(|(sum, value)| *sum += value);
        }
    }
    all
}

#[inline(always)]
fn sums_so_far(rows: &[&mut [f32]], columns: &Range<usize>) -> TileSums {
    let mut all = [[0.0; PANEL]; TILE_ROWS];
    for (sums, row) in all.iter_mut().zip(rows) {
        match row.get(columns.clone()).and_then(|part| part.as_array::<PANEL>()) {
            Some(whole) => *sums = *whole,
            // The last panel, where it has fewer outputs.
            None => sums.iter_mut().zip(row.iter().skip(columns.start)).for_each(|(sum, value)| *sum = *value),
        }
    }
    all
}

#[inline(always)]
fn put_aside(rows: &mut [&mut [f32]], columns: &Range<usize>, all: &TileSums) {
    for (row, sums) in rows.iter_mut().zip(all) {
        match row.get_mut(columns.clone()).and_then(|part| part.as_mut_array::<PANEL>()) {
            Some(whole) => *whole = *sums,
            None => row.iter_mut().skip(columns.start).zip(sums).for_each(|(value, sum)| *value = *sum),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{DType, Device, Tensor};
    use half::bf16;

    use super::*;
    use crate::vectors::InstructionSet;
    use crate::weights::nf4::{AbsmaxFormat, Nf4Matrix, Nf4Panels};
    use crate::weights::{Bf16Matrix, F32Matrix, PanelSource};

    fn random(len: usize, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..len).map(|_| next()).collect()
    }

    fn tensor(values: &[f32], cols: usize) -> Tensor {
        Tensor::from_slice(values, (values.len() / cols, cols), &Device::Cpu).unwrap()
    }

    fn flat(tensor: Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// In f64, one product after the other.
    fn plain(x: &[f32], wide: &[f32], inputs: usize, bias: Option<&[f32]>, onto: Option<&[f32]>) -> Vec<f64> {
        let mut y = Vec::new();
        for x in x.chunks_exact(inputs) {
            for (output, weights) in wide.chunks_exact(inputs).enumerate() {
                let product: f64 = x.iter().zip(weights).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                let onto = onto.map_or(0.0, |onto| onto[y.len()]);
                y.push(product + f64::from(bias.map_or(0.0, |bias| bias[output])) + f64::from(onto));
            }
        }
        y
    }

    #[test]
    fn every_form_of_the_weights_and_every_ragged_shape() {
        for (rows, shape) in [
            (1, [1, 1]),
            (12, [32, 512]),
            (13, [33, 513]),
            (5, [70, 1100]),
            (400, [40, 65]),
            (797, [300, 20]),
            (25, [600, 64]),
        ] {
            let [out, inputs] = shape;
            let (x, weights) = (random(rows * inputs, 1), random(out * inputs, 2));
            let (bias, onto) = (random(out, 3), random(rows * out, 4));
            let narrow: Vec<bf16> = weights.iter().map(|&weight| bf16::from_f32(weight)).collect();
            let nf4 = Nf4Matrix::quantise(&weights, shape, AbsmaxFormat::Double).unwrap();
            let forms: [(&dyn PanelSource, Vec<f32>); 3] = [
                (&F32Matrix::new(&weights, shape).unwrap(), weights.clone()),
                (&Bf16Matrix::new(&narrow, shape).unwrap(), narrow.iter().map(|weight| weight.to_f32()).collect()),
                (&Nf4Panels::new(&nf4), nf4.dequantise()),
            ];
            let input = tensor(&x, inputs);
            for (weights, wide) in forms {
                for (bias, onto) in [(None, None), (Some(bias.as_slice()), None), (None, Some(onto.as_slice()))] {
                    let exact = plain(&x, &wide, inputs, bias, onto);
                    let mut fused: Option<Vec<f32>> = None;
                    for vectors in Vectors::available() {
                        let product = PanelMatmul { layer: LinearWeights { weights, bias }, vectors };
                        let fast = match onto {
                            None => input.apply_op1_no_bwd(&product),
                            Some(onto) => input.apply_op2_no_bwd(&tensor(onto, out), &product),
                        };
                        let (fast, set) = (flat(fast.unwrap()), vectors.set());
                        assert_eq!(fast.len(), exact.len());
                        let distance = |(fast, exact): (&f32, &f64)| (f64::from(*fast) - exact).abs();
                        let difference = fast.iter().zip(&exact).map(distance).fold(0.0, f64::max);
                        assert!(difference < 1e-5, "{set}: {rows} rows, {shape:?}: {difference}");
                        if set != InstructionSet::Baseline {
                            let widest = fused.get_or_insert_with(|| fast.clone());
                            assert!(*widest == fast, "{set}: {rows} rows, {shape:?}: not the widest vectors' numbers");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_s_numbers_do_not_depend_on_its_neighbours() {
        let (x, weights) = (random(50 * 700, 4), random(90 * 700, 5));
        let weights = F32Matrix::new(&weights, [90, 700]).unwrap();
        for vectors in Vectors::available() {
            let product = |x: &[f32]| {
                let layer = LinearWeights { weights: &weights, bias: None };
                flat(tensor(x, 700).apply_op1_no_bwd(&PanelMatmul { layer, vectors }).unwrap())
            };
            assert_eq!(product(&x)[20 * 90..21 * 90], product(&x[20 * 700..21 * 700]), "{}", vectors.set());
        }
    }

    #[test]
    fn a_tensor_that_begins_anywhere_in_its_buffer() {
        let (x, weights, onto) = (random(40 * 45, 7), random(33 * 45, 8), random(40 * 33, 9));
        let narrow: Vec<bf16> = weights.iter().map(|&weight| bf16::from_f32(weight)).collect();
        let nf4 = Nf4Panels::new(&Nf4Matrix::quantise(&weights, [33, 45], AbsmaxFormat::Double).unwrap());
        for weights in [&nf4 as &dyn PanelSource, &Bf16Matrix::new(&narrow, [33, 45]).unwrap()] {
            for vectors in Vectors::available() {
                let product = PanelMatmul { layer: LinearWeights { weights, bias: None }, vectors };
                let multiply = |x: &Tensor, onto: &Tensor| flat(x.apply_op2_no_bwd(onto, &product).unwrap());
                // Rows of 45 and 33 numbers: each first row lies at another place in the 64 bytes of a vector.
                for first in 0..16 {
                    let part = |tensor: Tensor| tensor.narrow(0, first, 20).unwrap();
                    let rows = |values: &[f32], cols: usize| tensor(&values[first * cols..(first + 20) * cols], cols);
                    let found = multiply(&part(tensor(&x, 45)), &part(tensor(&onto, 33)));
                    assert_eq!(found, multiply(&rows(&x, 45), &rows(&onto, 33)), "{}: row {first}", vectors.set());
                }
            }
        }
    }

    #[test]
    fn other_widths_are_refused() {
        let weights = F32Matrix::new(&random(12, 6), [3, 4]).unwrap();
        let layer = |bias| PanelMatmul { layer: LinearWeights { weights: &weights, bias }, vectors: Vectors::in_use() };
        let zeros = |rows: usize, cols: usize| Tensor::zeros((rows, cols), DType::F32, &Device::Cpu).unwrap();
        assert!(zeros(2, 5).apply_op1_no_bwd(&layer(None)).is_err());
        assert!(zeros(2, 4).apply_op1_no_bwd(&layer(Some(&[1.0]))).is_err());
        assert!(zeros(2, 4).apply_op2_no_bwd(&zeros(2, 4), &layer(None)).is_err());
        assert_eq!(zeros(0, 4).apply_op1_no_bwd(&layer(None)).unwrap().dims(), [0, 3]);
    }
}
