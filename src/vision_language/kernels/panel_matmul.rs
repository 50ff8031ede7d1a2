//! The product with the weights of a linear layer, which may be stored narrower than f32.
//!
//! A general product packs both sides anew each time. Here the weights lie in panels from the start and are widened on
//! the way to the first caches, so that even the few hundred rows of a frame run at the speed of a large square product.

use std::cell::Cell;
use std::ops::Range;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, bail};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::attention::values;
use super::packed_rows::{PackedRows, TILE_ROWS, TileColumn};
use super::register_tile::{TileSums, multiply_tile};
use crate::weights::{PANEL, PanelRow, PanelSource};

/// Inputs that are multiplied before the sums are put aside: a panel of them, 64 KB, stays in the second cache.
const INPUT_BLOCK: usize = 512;
/// Tiles that use a panel before it is widened again: their inputs, 800 KB, stay in the second or third cache.
const BLOCK_TILES: usize = 33;
/// Panels that one task computes at most: their sums stay in the same cache while the inputs' blocks go by.
const TASK_PANELS: usize = 8;
/// Tasks for each thread at least, where there is as much to do, so that none waits long for the last.
const TASKS_A_THREAD: usize = 4;

thread_local! {
    /// Room for packed inputs, kept from one product to the next.
    static PACKED: Cell<Vec<TileColumn>> = const { Cell::new(Vec::new()) };
}

/// `[rows, in] -> [rows, out]`: `x W^T + b` in f32.
pub struct PanelMatmul<'w> {
    /// `[out, in]`
    pub weights: &'w dyn PanelSource,
    /// `[out]`
    pub bias: Option<&'w [f32]>,
}

impl CustomOp1 for PanelMatmul<'_> {
    fn name(&self) -> &'static str {
        "panel-matmul"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, cols) = layout.shape().dims2()?;
        let (out_dim, in_dim) = (self.weights.rows(), self.weights.cols());
        if cols != in_dim || self.bias.is_some_and(|bias| bias.len() != out_dim) {
            bail!("a linear layer of {out_dim}x{in_dim} does not take {rows}x{cols} values");
        }
        let mut out = vec![0f32; rows * out_dim];
        let mut buffer = PACKED.take();
        let inputs = PackedRows::pack(values(storage, layout)?, in_dim, INPUT_BLOCK, &mut buffer);
        self.tasks(&inputs, &mut out).into_par_iter().for_each(|task| pulp::Arch::new().dispatch(task));
        PACKED.set(buffer);
        Ok((CpuStorage::F32(out), Shape::from((rows, out_dim))))
    }
}

impl PanelMatmul<'_> {
    /// Cuts the result into blocks of rows and groups of panels.
    fn tasks<'t>(&'t self, inputs: &'t PackedRows, out: &'t mut [f32]) -> Vec<Task<'t>> {
        let (out_dim, tiles) = (self.weights.rows(), inputs.tiles());
        if out_dim == 0 || tiles == 0 {
            return Vec::new();
        }
        let block_tiles = tiles.div_ceil(tiles.div_ceil(BLOCK_TILES));
        let (row_blocks, panels) = (tiles.div_ceil(block_tiles), out_dim.div_ceil(PANEL));
        let fair = panels * row_blocks / (TASKS_A_THREAD * rayon::current_num_threads());
        let task_panels = fair.clamp(1, TASK_PANELS);
        let mut tasks = Vec::with_capacity(row_blocks * panels.div_ceil(task_panels));
        for (block, rows) in out.chunks_mut(block_tiles * TILE_ROWS * out_dim).enumerate() {
            let first_tile = block * block_tiles;
            let of_block = tasks.len();
            tasks.extend((0..panels).step_by(task_panels).map(|first| Task {
                product: self,
                inputs,
                tiles: first_tile..tiles.min(first_tile + block_tiles),
                panels: first..panels.min(first + task_panels),
                out: Vec::with_capacity(block_tiles * TILE_ROWS),
            }));
            for row in rows.chunks_exact_mut(out_dim) {
                let parts = row.chunks_mut(task_panels * PANEL);
                tasks.iter_mut().skip(of_block).zip(parts).for_each(|(task, part)| task.out.push(part));
            }
        }
        tasks
    }
}

/// Some panels' outputs of some tiles' rows.
struct Task<'t> {
    product: &'t PanelMatmul<'t>,
    inputs: &'t PackedRows<'t>,
    tiles: Range<usize>,
    panels: Range<usize>,
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
                let weights = self.product.weights.panel(panel, block.clone(), &mut room);
                let bias = (block.start == 0).then(|| self.product.bias_of(panel));
                for (tile, rows) in self.tiles.clone().zip(self.out.chunks_mut(TILE_ROWS)) {
                    let columns = index * PANEL..(index + 1) * PANEL;
                    let mut sums = bias.map_or_else(|| sums_so_far(rows, &columns), |bias| [bias; TILE_ROWS]);
                    multiply_tile(simd, self.inputs.tile(tile, &block), weights, &mut sums);
                    put_aside(rows, &columns, &sums);
                }
            }
        }
    }
}

impl PanelMatmul<'_> {
    /// What a panel's sums begin with.
    fn bias_of(&self, panel: usize) -> PanelRow {
        let mut row = [0.0; PANEL];
        if let Some(bias) = self.bias {
            row.iter_mut().zip(bias.iter().skip(panel * PANEL)).for_each(|(start, bias)| *start = *bias);
        }
        row
    }
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
    use candle_core::{Device, Tensor};
    use half::bf16;

    use super::*;
    use crate::weights::nf4::{AbsmaxFormat, Nf4Matrix};
    use crate::weights::{Bf16Matrix, F32Matrix};

    fn random(len: usize, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..len).map(|_| next()).collect()
    }

    fn largest_difference(
        x: &[f32],
        wide: &[f32],
        [out, inputs]: [usize; 2],
        fast: &[f32],
        bias: Option<&[f32]>,
    ) -> f64 {
        let exact = x.chunks_exact(inputs).flat_map(|x| {
            wide.chunks_exact(inputs).enumerate().map(move |(output, weights)| {
                let product: f64 = x.iter().zip(weights).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                product + bias.map_or(0.0, |bias| f64::from(bias[output]))
            })
        });
        assert_eq!(fast.len(), x.len() / inputs * out);
        exact.zip(fast).map(|(exact, fast)| (exact - f64::from(*fast)).abs()).fold(0.0, f64::max)
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
            let (x, weights, bias) = (random(rows * inputs, 1), random(out * inputs, 2), random(out, 3));
            let narrow: Vec<bf16> = weights.iter().map(|&weight| bf16::from_f32(weight)).collect();
            let nf4 = Nf4Matrix::quantise(&weights, shape, AbsmaxFormat::Double).unwrap();
            let forms: [(&dyn PanelSource, Vec<f32>); 3] = [
                (&F32Matrix::new(&weights, shape).unwrap(), weights.clone()),
                (&Bf16Matrix::new(&narrow, shape).unwrap(), narrow.iter().map(|weight| weight.to_f32()).collect()),
                (&nf4, nf4.dequantise()),
            ];
            let input = Tensor::from_slice(&x, (rows, inputs), &Device::Cpu).unwrap();
            for (weights, wide) in forms {
                for bias in [None, Some(bias.as_slice())] {
                    let fast = input.apply_op1_no_bwd(&PanelMatmul { weights, bias }).unwrap();
                    let fast = fast.flatten_all().unwrap().to_vec1().unwrap();
                    let difference = largest_difference(&x, &wide, shape, &fast, bias);
                    assert!(difference < 1e-5, "{rows} rows, {shape:?}: {difference}");
                }
            }
        }
    }

    #[test]
    fn a_row_s_numbers_do_not_depend_on_its_neighbours() {
        let (x, weights) = (random(50 * 700, 4), random(90 * 700, 5));
        let weights = F32Matrix::new(&weights, [90, 700]).unwrap();
        let product = |x: &[f32]| {
            let x = Tensor::from_slice(x, (x.len() / 700, 700), &Device::Cpu).unwrap();
            let y = x.apply_op1_no_bwd(&PanelMatmul { weights: &weights, bias: None }).unwrap();
            y.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        assert_eq!(product(&x)[20 * 90..21 * 90], product(&x[20 * 700..21 * 700]));
    }

    #[test]
    fn other_widths_are_refused() {
        let weights = F32Matrix::new(&random(12, 6), [3, 4]).unwrap();
        let x = Tensor::zeros((2, 5), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(x.apply_op1_no_bwd(&PanelMatmul { weights: &weights, bias: None }).is_err());
        let x = Tensor::zeros((2, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(x.apply_op1_no_bwd(&PanelMatmul { weights: &weights, bias: Some(&[1.0]) }).is_err());
        let none = Tensor::zeros((0, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert_eq!(none.apply_op1_no_bwd(&PanelMatmul { weights: &weights, bias: None }).unwrap().dims(), [0, 3]);
    }
}
