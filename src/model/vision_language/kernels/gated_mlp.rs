//! The whole of SwiGLU: the gated values go from the registers to where the last product reads them, and never into a
//! tensor of their own.

use std::cell::Cell;
use std::ops::Range;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, bail};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::attention::values;
use super::exp::exp;
use super::linear_weights::LinearWeights;
use super::packed_rows::{INPUT_BLOCK, PackedRows, TILE_ROWS, TileColumn};
use super::panel_matmul::multiply;
use super::register_tile::{TileSums, multiply_tile};
use super::work_split::WorkSplit;
use crate::vectors::Vectors;
use crate::weights::{PANEL, PanelRow};

/// Panels that one task computes at most: there are two sums for each output.
const TASK_PANELS: usize = 4;

thread_local! {
    /// Room for packed inputs and gated values, kept from one layer to the next.
    static ROOMS: Cell<(Vec<TileColumn>, Vec<TileColumn>)> = const { Cell::new((Vec::new(), Vec::new())) };
    /// Room for a task's sums of gate and up.
    static SUMS: Cell<Vec<[TileSums; 2]>> = const { Cell::new(Vec::new()) };
}

/// `x [rows, width], y [rows, width] -> y + down(silu(gate(x)) * up(x))` in f32.
pub struct GatedMlp<'w> {
    /// `width -> inner`
    pub gate: LinearWeights<'w>,
    /// `width -> inner`
    pub up: LinearWeights<'w>,
    /// `inner -> width`
    pub down: LinearWeights<'w>,
    /// With what.
    pub vectors: Vectors,
}

impl CustomOp2 for GatedMlp<'_> {
    fn name(&self) -> &'static str {
        "gated-mlp"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        layout: &Layout,
        onto: &CpuStorage,
        onto_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, width) = layout.shape().dims2()?;
        let inner = self.gate.weights.rows();
        self.gate.check(rows, width)?;
        self.up.check(rows, width)?;
        self.down.check(rows, inner)?;
        if self.up.weights.rows() != inner {
            bail!("a gate of {inner} outputs for {}", self.up.weights.rows());
        }
        let (mut packed, mut gated) = ROOMS.take();
        let inputs = PackedRows::pack(values(xs, layout)?, width, &mut packed);
        let columns = PackedRows::room(rows, inner, &mut gated);
        self.gate(&inputs, columns);
        let gated_rows = PackedRows::of(columns, rows, inner);
        let out = multiply(&self.down, &gated_rows, rows, Some(values(onto, onto_layout)?), self.vectors);
        ROOMS.set((packed, gated));
        Ok((CpuStorage::F32(out?), Shape::from((rows, self.down.weights.rows()))))
    }
}

impl GatedMlp<'_> {
    /// Writes `silu(gate(x)) * up(x)`, packed.
    fn gate(&self, inputs: &PackedRows, gated: &mut [TileColumn]) {
        let tiles = inputs.tiles();
        if tiles == 0 {
            return;
        }
        let split = WorkSplit::new(tiles, self.gate.panels(), TASK_PANELS);
        let mut tasks: Vec<Task> = split
            .tasks()
            .map(|(tiles, panels)| Task { mlp: self, inputs, gated: Vec::with_capacity(tiles.len()), tiles, panels })
            .collect();
        // A block of outputs is a whole number of tasks, and so is each tile's part of it.
        let groups_a_block = INPUT_BLOCK / split.task_outputs();
        for (block, columns) in gated.chunks_mut(tiles * INPUT_BLOCK).enumerate() {
            for (tile, columns) in columns.chunks_mut(columns.len() / tiles).enumerate() {
                let first = tile / split.block_tiles() * split.groups() + block * groups_a_block;
                let parts = columns.chunks_mut(split.task_outputs());
                tasks.iter_mut().skip(first).zip(parts).for_each(|(task, part)| task.gated.push(part));
            }
        }
        tasks.into_par_iter().for_each(|task| self.vectors.dispatch(task));
    }
}

/// Some panels' gated values of some tiles.
struct Task<'t> {
    mlp: &'t GatedMlp<'t>,
    inputs: &'t PackedRows<'t>,
    tiles: Range<usize>,
    panels: Range<usize>,
    /// For each tile its columns for those outputs.
    gated: Vec<&'t mut [TileColumn]>,
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { mlp: GatedMlp { gate, up, vectors, .. }, inputs, tiles, panels, gated } = self;
        let mut rooms: [Vec<PanelRow>; 2] = [vec![[0.0; PANEL]; INPUT_BLOCK], vec![[0.0; PANEL]; INPUT_BLOCK]];
        let [gate_room, up_room] = &mut rooms;
        let mut sums = SUMS.take();
        sums.clear();
        for panel in panels.clone() {
            let biases = [[gate.bias_of(panel); TILE_ROWS], [up.bias_of(panel); TILE_ROWS]];
            sums.extend(std::iter::repeat_n(biases, tiles.len()));
        }
        for block in inputs.input_blocks() {
            for (panel, sums) in panels.clone().zip(sums.chunks_mut(tiles.len())) {
                let of_gate = gate.weights.panel(panel, block.clone(), *vectors, gate_room);
                let of_up = up.weights.panel(panel, block.clone(), *vectors, up_room);
                for (tile, [gate_sums, up_sums]) in tiles.clone().zip(sums) {
                    let columns = inputs.tile(tile, &block);
                    multiply_tile(simd, columns, of_gate, gate_sums);
                    multiply_tile(simd, columns, of_up, up_sums);
                }
            }
        }
        for (tile, columns) in gated.into_iter().enumerate() {
            for (columns, sums) in columns.chunks_mut(PANEL).zip(sums.chunks_mut(tiles.len())) {
                if let Some([gate_sums, up_sums]) = sums.get_mut(tile) {
                    multiply_by_gate(gate_sums, up_sums);
                    transpose(up_sums, columns);
                }
            }
        }
        SUMS.set(sums);
    }
}

/// `up *= silu(gate)`
#[inline(always)]
fn multiply_by_gate(gate: &TileSums, up: &mut TileSums) {
    for (up, &gate) in up.as_flattened_mut().iter_mut().zip(gate.as_flattened()) {
        *up *= gate / (1.0 + exp(-gate));
    }
}

/// Rows of outputs become columns; the last panel's columns may be fewer.
#[inline(always)]
fn transpose(rows: &TileSums, columns: &mut [TileColumn]) {
    for (output, column) in columns.iter_mut().enumerate() {
        for (place, row) in column.iter_mut().zip(rows) {
            *place = row.get(output).copied().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{Device, Tensor};
    use half::bf16;

    use super::*;
    use crate::vectors::InstructionSet;
    use crate::weights::nf4::{AbsmaxFormat, Nf4Matrix, Nf4Panels};
    use crate::weights::{Bf16Matrix, PanelSource};

    fn values(count: usize, step: f32) -> Vec<f32> {
        (0..count).map(|at| (at as f32 * step).sin()).collect()
    }

    /// In f64, without kernels.
    fn plain(x: &[f32], [gate, up, down]: &[Vec<f32>; 3], width: usize, onto: &[f32]) -> Vec<f64> {
        let dot = |a: &[f64], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * f64::from(*b)).sum::<f64>();
        let silu = |value: f64| value / (1.0 + (-value).exp());
        let mut y = Vec::new();
        for x in x.chunks_exact(width) {
            let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            let rows = gate.chunks_exact(width).zip(up.chunks_exact(width));
            let gated: Vec<f64> = rows.map(|(gate, up)| silu(dot(&x, gate)) * dot(&x, up)).collect();
            for down in down.chunks_exact(gated.len()) {
                y.push(dot(&gated, down) + f64::from(onto[y.len()]));
            }
        }
        y
    }

    #[test]
    fn all_vectors_and_forms_of_the_weights() {
        let (rows, width, inner) = (30, 70, 530);
        let shapes = [[inner, width], [inner, width], [width, inner]];
        let wide = [0.37, 0.53, 0.71].map(|step| values(inner * width, step));
        let narrow =
            wide.each_ref().map(|values| values.iter().map(|&value| bf16::from_f32(value)).collect::<Vec<_>>());
        let matrices = |form: &str| {
            let one = |at: usize| -> (Box<dyn PanelSource>, Vec<f32>) {
                if form == "bf16" {
                    let values = narrow[at].iter().map(|value| value.to_f32()).collect();
                    return (Box::new(Bf16Matrix::new(&narrow[at], shapes[at]).unwrap()), values);
                }
                let nf4 = Nf4Matrix::quantise(&wide[at], shapes[at], AbsmaxFormat::Double).unwrap();
                (Box::new(Nf4Panels::new(&nf4)), nf4.dequantise())
            };
            let [gate, up, down] = [0, 1, 2].map(one);
            ([gate.0, up.0, down.0], [gate.1, up.1, down.1])
        };
        let (x, onto) = (values(rows * width, 0.19), values(rows * width, 0.83));
        let tensor = |values: &[f32]| Tensor::from_slice(values, (rows, width), &Device::Cpu).unwrap();
        for form in ["bf16", "nf4"] {
            let (stored, values) = matrices(form);
            let exact = plain(&x, &values, width, &onto);
            let largest = exact.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
            let mut fused: Option<Vec<f32>> = None;
            for vectors in Vectors::available() {
                let [gate, up, down] =
                    stored.each_ref().map(|weights| LinearWeights { weights: weights.as_ref(), bias: None });
                let mlp = GatedMlp { gate, up, down, vectors };
                let found = tensor(&x).apply_op2_no_bwd(&tensor(&onto), &mlp).unwrap();
                let (found, set) = (found.flatten_all().unwrap().to_vec1::<f32>().unwrap(), vectors.set());
                let distance = |(found, exact): (&f32, &f64)| (f64::from(*found) - exact).abs() / largest;
                let difference = found.iter().zip(&exact).map(distance).fold(0.0, f64::max);
                assert!(difference < 1e-5, "{form} with {set}: {difference}");
                if set != InstructionSet::Baseline {
                    let widest = fused.get_or_insert_with(|| found.clone());
                    assert!(*widest == found, "{form} with {set}: not the widest vectors' numbers");
                }
            }
        }
    }
}
