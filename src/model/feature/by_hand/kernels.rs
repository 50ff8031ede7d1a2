//! Products of windows with matrices: what convolutions and linear layers are, on one thread.
//!
//! A row of the left side is a window: runs of neighbouring numbers that lie where they are, nothing is copied. A linear
//! layer's window is one row, that of a convolution along a sequence three rows, that of one over an image a piece of a few
//! of its lines.
#![expect(
    clippy::indexing_slicing,
    reason = "windows are checked against their buffer once; the loops are the hot ones"
)]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::vision_language::kernels::{TILE_ROWS, TileColumn, TileSums, multiply_tile};
use crate::weights::{PANEL, PanelRow};

/// Windows over a buffer: the same runs, laid at many places.
#[derive(Debug, Clone, Copy)]
pub struct Windows<'a> {
    /// What they show.
    pub values: &'a [f32],
    /// Where each begins.
    pub places: Places<'a>,
    /// Where its runs begin, from there.
    pub runs: &'a [usize],
    /// Length of a run.
    pub run: usize,
}

/// Where windows begin.
#[derive(Debug, Clone, Copy)]
pub enum Places<'a> {
    /// One behind the other, so far apart.
    Every(usize),
    /// At these places.
    At(&'a [usize]),
}

impl Places<'_> {
    /// Where the window of a row begins.
    #[inline(always)]
    pub fn of(self, row: usize) -> usize {
        match self {
            Self::Every(stride) => row * stride,
            Self::At(places) => places[row],
        }
    }
}

/// `finish(row, panel, sums)` for each of `rows` and each panel of 32 outputs: the window times the matrix `panels`, which holds
/// for each panel one row of weights an input.
pub struct WindowProduct<'a, F> {
    /// The left side.
    pub windows: Windows<'a>,
    /// Its rows.
    pub rows: Range<usize>,
    /// The right side.
    pub panels: &'a [PanelRow],
    /// Takes what comes out.
    pub finish: F,
}

impl<F: FnMut(usize, usize, &PanelRow)> WithSimd for WindowProduct<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Windows { values, places, runs, run } = self.windows;
        for (panel, weights) in self.panels.chunks_exact((runs.len() * run).max(1)).enumerate() {
            for first in self.rows.clone().step_by(TILE_ROWS) {
                // Rows behind the last are computed as the last and dropped.
                let starts: [usize; TILE_ROWS] =
                    std::array::from_fn(|row| places.of((first + row).min(self.rows.end - 1)));
                let mut sums = [[0.0; PANEL]; TILE_ROWS];
                multiply_windows(simd, values, &starts, runs, run, weights, &mut sums);
                for (row, sums) in (first..self.rows.end).zip(&sums) {
                    (self.finish)(row, panel, sums);
                }
            }
        }
    }
}

/// `sums = windows * weights` for a tile of windows and a panel.
#[inline(always)]
pub fn multiply_windows<S: Simd>(
    simd: S,
    values: &[f32],
    starts: &[usize; TILE_ROWS],
    runs: &[usize],
    run: usize,
    weights: &[PanelRow],
    sums: &mut TileSums,
) {
    match (S::F32_LANES, S::REGISTER_COUNT) {
        (16, _) => in_parts::<S, 12, 2>(simd, values, starts, runs, run, weights, sums),
        (8, _) => in_parts::<S, 6, 2>(simd, values, starts, runs, run, weights, sums),
        (4, 32) => in_parts::<S, 6, 4>(simd, values, starts, runs, run, weights, sums),
        _ => in_parts::<S, 3, 4>(simd, values, starts, runs, run, weights, sums),
    }
}

#[inline(always)]
fn in_parts<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    values: &[f32],
    starts: &[usize; TILE_ROWS],
    runs: &[usize],
    run: usize,
    weights: &[PanelRow],
    sums: &mut TileSums,
) {
    let starts = starts.as_chunks::<ROWS>().0;
    for (starts, sums) in starts.iter().zip(sums.as_chunks_mut::<ROWS>().0) {
        for strip in 0..PANEL / (S::F32_LANES * VECTORS) {
            let mut registers = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
            for (offset, weights) in runs.iter().zip(weights.chunks_exact(run)) {
                let rows: [&[f32]; ROWS] = starts.map(|start| &values[start + offset..][..run]);
                let weights = &weights[..run];
                for k in 0..run {
                    let weights = S::as_simd_f32s(&weights[k]).0.as_chunks::<VECTORS>().0[strip];
                    for (registers, row) in registers.iter_mut().zip(&rows) {
                        let input = simd.splat_f32s(row[k]);
                        for (register, weight) in registers.iter_mut().zip(weights) {
                            *register = simd.mul_add_e_f32s(input, weight, *register);
                        }
                    }
                }
            }
            for (registers, sums) in registers.iter().zip(sums.iter_mut()) {
                S::as_mut_simd_f32s(sums).0.as_chunks_mut::<VECTORS>().0[strip] = *registers;
            }
        }
    }
}

/// Numbers of a window that a tile of a gradient belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberTile {
    /// The first of them among all of the window's numbers.
    pub first: usize,
    /// Where it lies, from the window's beginning.
    pub offset: usize,
    /// How many they are.
    pub count: usize,
}

/// The numbers of a window, cut into tiles that do not reach from one run into the next.
pub fn number_tiles(runs: &[usize], run: usize) -> Vec<NumberTile> {
    let tiles_of_run = |(index, offset): (usize, &usize)| {
        let (first, offset) = (index * run, *offset);
        (0..run).step_by(TILE_ROWS).map(move |at| NumberTile {
            first: first + at,
            offset: offset + at,
            count: TILE_ROWS.min(run - at),
        })
    };
    runs.iter().enumerate().flat_map(tiles_of_run).collect()
}

/// The gradient of a matrix, from the windows that it was multiplied with and the gradient of the products: added to some
/// tiles of numbers in each panel of 32 outputs.
pub struct WindowGradient<'a, 's> {
    /// What the matrix was multiplied with.
    pub windows: Windows<'a>,
    /// Number of windows.
    pub rows: usize,
    /// The gradient of the products.
    pub gradient: Windows<'a>,
    /// The numbers whose rows are computed.
    pub tiles: &'a [NumberTile],
    /// For each panel their rows.
    pub panels: &'a mut [&'s mut [PanelRow]],
    /// Room for both sides in the order in which they are read.
    pub room: &'a mut GradientRoom,
}

/// Room for a block of rows of both sides, kept from one product to the next.
#[derive(Debug, Default)]
pub struct GradientRoom {
    columns: Vec<TileColumn>,
    outputs: Vec<PanelRow>,
}

/// Rows that are added before the sums are put aside: a panel's gradients, 24 KB, stay in the first cache.
const ROW_BLOCK: usize = 192;

impl WithSimd for WindowGradient<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { windows, rows, gradient, tiles, panels, room } = self;
        let Some(first) = tiles.first().map(|tile| tile.first) else { return };
        let GradientRoom { columns, outputs } = room;
        columns.resize(columns.len().max(tiles.len() * ROW_BLOCK), [0.0; TILE_ROWS]);
        outputs.resize(ROW_BLOCK, [0.0; PANEL]);
        for start in (0..rows).step_by(ROW_BLOCK) {
            let block = start..rows.min(start + ROW_BLOCK);
            for (row, at) in block.clone().zip(0..) {
                let place = windows.places.of(row);
                for (index, tile) in tiles.iter().enumerate() {
                    let from = &windows.values[place + tile.offset..];
                    let to = &mut columns[index * ROW_BLOCK + at];
                    match from.first_chunk::<TILE_ROWS>() {
                        Some(whole) => *to = *whole,
                        None => to[..tile.count].copy_from_slice(&from[..tile.count]),
                    }
                }
            }
            for (panel, sums) in panels.iter_mut().enumerate() {
                for (row, to) in block.clone().zip(outputs.iter_mut()) {
                    let from = &gradient.values[gradient.places.of(row) + panel * PANEL..];
                    match from.first_chunk::<PANEL>() {
                        Some(whole) => *to = *whole,
                        None => to[..from.len()].copy_from_slice(from),
                    }
                }
                let outputs = &outputs[..block.len()];
                for (tile, columns) in tiles.iter().zip(columns.chunks_exact(ROW_BLOCK)) {
                    let sums = &mut sums[tile.first - first..];
                    let columns = &columns[..block.len()];
                    match sums.first_chunk_mut::<TILE_ROWS>().filter(|_| tile.count == TILE_ROWS) {
                        Some(sums) => multiply_tile(simd, columns, outputs, sums),
                        None => {
                            let mut whole = [[0.0; PANEL]; TILE_ROWS];
                            whole[..tile.count].copy_from_slice(&sums[..tile.count]);
                            multiply_tile(simd, columns, outputs, &mut whole);
                            sums[..tile.count].copy_from_slice(&whole[..tile.count]);
                        }
                    }
                }
            }
        }
    }
}

/// Inputs whose weights are used for all rows before the next are looked at: with 256 outputs they fill half of the second
/// cache.
const INPUT_BLOCK: usize = 512;
/// Tiles that are packed together.
const PACKED_TILES: usize = 4;

/// `outputs += inputs * matrix` for long rows, that lie so far apart in memory that a tile of them does not fit the first cache:
/// they are packed on their way. Both are row-major without gaps.
pub struct LongProduct<'a> {
    /// `[rows, width]`
    pub inputs: &'a [f32],
    /// Numbers of an input row.
    pub width: usize,
    /// For each panel one row of weights an input.
    pub panels: &'a [PanelRow],
    /// `[rows, outputs]`
    pub sums: &'a mut [f32],
    /// Numbers of an output row.
    pub outputs: usize,
    /// Room for packed inputs.
    pub room: &'a mut Vec<TileColumn>,
}

impl WithSimd for LongProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { inputs, width, panels, sums, outputs, room } = self;
        let rows = inputs.len() / width.max(1);
        room.resize(room.len().max(PACKED_TILES * INPUT_BLOCK), [0.0; TILE_ROWS]);
        for start in (0..width).step_by(INPUT_BLOCK) {
            let block = start..width.min(start + INPUT_BLOCK);
            for first in (0..rows).step_by(PACKED_TILES * TILE_ROWS) {
                let end = rows.min(first + PACKED_TILES * TILE_ROWS);
                let tiles = || (first..end).step_by(TILE_ROWS).zip(0..);
                for (row, tile) in tiles() {
                    let columns = &mut room[tile * INPUT_BLOCK..][..block.len()];
                    let rows: [&[f32]; TILE_ROWS] =
                        std::array::from_fn(|at| &inputs[(row + at).min(end - 1) * width..][block.clone()]);
                    pack(rows, columns);
                }
                for (panel, weights) in panels.chunks_exact(width.max(1)).enumerate() {
                    let weights = &weights[block.clone()];
                    let lanes = panel * PANEL..outputs.min((panel + 1) * PANEL);
                    for (row, tile) in tiles() {
                        let columns = &room[tile * INPUT_BLOCK..][..block.len()];
                        let within = TILE_ROWS.min(end - row);
                        let mut tile = [[0.0; PANEL]; TILE_ROWS];
                        for (at, tile) in tile.iter_mut().enumerate().take(within) {
                            let sums = &sums[(row + at) * outputs..][lanes.clone()];
                            tile[..sums.len()].copy_from_slice(sums);
                        }
                        multiply_tile(simd, columns, weights, &mut tile);
                        for (at, tile) in tile.iter().enumerate().take(within) {
                            let sums = &mut sums[(row + at) * outputs..][lanes.clone()];
                            sums.copy_from_slice(&tile[..lanes.len()]);
                        }
                    }
                }
            }
        }
    }
}

/// Rows side by side, input by input: squares of four are turned in registers.
#[inline(always)]
fn pack(rows: [&[f32]; TILE_ROWS], columns: &mut [TileColumn]) {
    const SIDE: usize = 4;
    let (squares, rest) = columns.as_chunks_mut::<SIDE>();
    let whole = squares.len() * SIDE;
    for (group, rows) in rows.as_chunks::<SIDE>().0.iter().enumerate() {
        let [a, b, c, d] = rows.map(|row| row[..whole].as_chunks::<SIDE>().0);
        for ((((square, a), b), c), d) in squares.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            for at in 0..SIDE {
                square[at].as_chunks_mut::<SIDE>().0[group] = [a[at], b[at], c[at], d[at]];
            }
        }
    }
    for (at, column) in rest.iter_mut().enumerate() {
        *column = rows.map(|row| row[whole + at]);
    }
}

/// The panels of a matrix of `outputs` rows and `inputs` columns, whose numbers `at(output, input)` says.
pub fn panels_of(outputs: usize, inputs: usize, at: impl Fn(usize, usize) -> f32) -> Vec<PanelRow> {
    let mut panels = vec![[0.0; PANEL]; outputs.div_ceil(PANEL) * inputs];
    for (panel, rows) in panels.chunks_exact_mut(inputs.max(1)).enumerate() {
        for (input, row) in rows.iter_mut().enumerate() {
            for (lane, value) in row.iter_mut().enumerate().take(outputs - panel * PANEL) {
                *value = at(panel * PANEL + lane, input);
            }
        }
    }
    panels
}

/// The number at `(output, input)` of panels with so many inputs.
pub fn panel_value(panels: &[PanelRow], inputs: usize, output: usize, input: usize) -> f32 {
    panels[output / PANEL * inputs + input][output % PANEL]
}

/// ReLU; NaN stays NaN, so that it is noticed.
#[inline(always)]
pub fn relu(value: f32) -> f32 {
    if value < 0.0 { 0.0 } else { value }
}
