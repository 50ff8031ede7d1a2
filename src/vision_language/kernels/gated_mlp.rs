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
        let out = multiply(&self.down, &PackedRows::of(columns, rows, inner), rows, Some(values(onto, onto_layout)?));
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
        tasks.into_par_iter().for_each(|task| pulp::Arch::new().dispatch(task));
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
        let Self { mlp: GatedMlp { gate, up, .. }, inputs, tiles, panels, gated } = self;
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
                let of_gate = gate.weights.panel(panel, block.clone(), gate_room);
                let of_up = up.weights.panel(panel, block.clone(), up_room);
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
