//! The activations of a product in the order in which register tiles read them.

use std::ops::Range;

use rayon::prelude::*;

/// Rows of a register tile: a divisor of 360 and 1176, the rows of a frame's two towers, that fills the registers of
/// AVX-512 with sums and, halved, those of AVX2.
pub const TILE_ROWS: usize = 12;

/// Inputs that are multiplied before the sums are put aside: a panel of them, 64 KB, stays in the second cache.
pub const INPUT_BLOCK: usize = 512;

/// One input of a tile's rows.
pub type TileColumn = [f32; TILE_ROWS];

/// A matrix `[rows, inputs]`, block of [`INPUT_BLOCK`] inputs by block, therein tile by tile, therein input by input with
/// the tile's rows side by side. What stands for rows past the last is of no meaning.
#[derive(Debug)]
pub struct PackedRows<'b> {
    columns: &'b [TileColumn],
    tiles: usize,
    inputs: usize,
}

impl<'b> PackedRows<'b> {
    /// Room for a packed matrix at the front of `buffer`, which only ever grows.
    pub fn room(rows: usize, inputs: usize, buffer: &mut Vec<TileColumn>) -> &mut [TileColumn] {
        let needed = rows.div_ceil(TILE_ROWS) * inputs;
        if buffer.len() < needed {
            buffer.resize(needed, [0.0; TILE_ROWS]);
        }
        buffer.split_at_mut(needed).0
    }

    /// What was packed into a [`room`](Self::room) of that size.
    pub fn of(columns: &'b [TileColumn], rows: usize, inputs: usize) -> Self {
        Self { columns, tiles: rows.div_ceil(TILE_ROWS), inputs }
    }

    /// Packs row-major `values` into `buffer`, on the current rayon pool.
    pub fn pack(values: &[f32], inputs: usize, buffer: &'b mut Vec<TileColumn>) -> Self {
        let rows = values.len().checked_div(inputs).unwrap_or_default();
        let columns = Self::room(rows, inputs, buffer);
        let tiles = rows.div_ceil(TILE_ROWS);
        if tiles > 0 {
            columns.par_chunks_mut(tiles * INPUT_BLOCK).enumerate().for_each(|(block, columns)| {
                let depth = columns.len() / tiles;
                columns.par_chunks_mut(depth).enumerate().for_each(|(tile, columns)| {
                    let rows = values.chunks_exact(inputs).skip(tile * TILE_ROWS).take(TILE_ROWS);
                    pack_tile(rows.map(|row| part(row, block * INPUT_BLOCK, depth)), columns);
                });
            });
        }
        Self::of(columns, rows, inputs)
    }

    /// Number of tiles, the last of which may be partly empty.
    pub fn tiles(&self) -> usize {
        self.tiles
    }

    /// The blocks of inputs.
    pub fn input_blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let inputs = self.inputs;
        (0..inputs).step_by(INPUT_BLOCK).map(move |start| start..inputs.min(start + INPUT_BLOCK))
    }

    /// One tile's columns of one of the [`input_blocks`](Self::input_blocks); nothing for a tile that does not exist.
    pub fn tile(&self, tile: usize, block: &Range<usize>) -> &[TileColumn] {
        let first = block.start * self.tiles + tile * block.len();
        self.columns.get(first..first + block.len()).unwrap_or_default()
    }
}

fn part(row: &[f32], start: usize, len: usize) -> &[f32] {
    row.get(start..start + len).unwrap_or_default()
}

fn pack_tile<'r>(rows: impl Iterator<Item = &'r [f32]>, columns: &mut [TileColumn]) {
    let mut sources: [&[f32]; TILE_ROWS] = [&[]; TILE_ROWS];
    let mut count = 0;
    for (source, row) in sources.iter_mut().zip(rows) {
        *source = row;
        count += 1;
    }
    if count < TILE_ROWS {
        // Numbers that an earlier product left could be NaN, and those are slow on some processors.
        columns.fill([0.0; TILE_ROWS]);
    }
    for (at, source) in sources.iter().enumerate() {
        for (column, value) in columns.iter_mut().zip(*source) {
            if let Some(place) = column.get_mut(at) {
                *place = *value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_found_where_a_tile_looks_for_it() {
        for (rows, inputs) in [(1, 1), (12, 512), (13, 513), (30, 9), (25, 1200)] {
            let values: Vec<f32> = (0..rows * inputs).map(|at| at as f32 + 1.0).collect();
            // What an earlier product left behind.
            let mut buffer = vec![[f32::NAN; TILE_ROWS]; 17];
            let packed = PackedRows::pack(&values, inputs, &mut buffer);
            assert_eq!(packed.input_blocks().map(|block| block.len()).sum::<usize>(), inputs);
            for range in packed.input_blocks() {
                for tile in 0..packed.tiles() {
                    let columns = packed.tile(tile, &range);
                    assert_eq!(columns.len(), range.len());
                    for (input, column) in range.clone().zip(columns) {
                        for (row, value) in (tile * TILE_ROWS..).zip(column) {
                            let expected = if row < rows { values[row * inputs + input] } else { 0.0 };
                            assert_eq!(*value, expected, "row {row}, input {input} of {rows}x{inputs}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_packed_of_nothing() {
        let mut buffer = Vec::new();
        assert_eq!(PackedRows::pack(&[], 0, &mut buffer).tiles(), 0);
        let packed = PackedRows::pack(&[], 5, &mut buffer);
        assert!(packed.tile(3, &(0..5)).is_empty());
    }
}
