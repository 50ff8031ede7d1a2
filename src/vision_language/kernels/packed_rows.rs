//! The activations of a product in the order in which register tiles read them.

use std::ops::Range;

use rayon::prelude::*;

/// Rows of a register tile: a divisor of 360 and 1176, the rows of a frame's two towers, that fills the registers of
/// AVX-512 with sums and, halved, those of AVX2.
pub const TILE_ROWS: usize = 12;

/// One input of a tile's rows.
pub type TileColumn = [f32; TILE_ROWS];

/// A row-major matrix `[rows, inputs]`, block of inputs by block of inputs, therein tile by tile, therein input by input
/// with the tile's rows side by side. Rows past the last are 0.
#[derive(Debug)]
pub struct PackedRows<'b> {
    columns: &'b [TileColumn],
    rows: usize,
    inputs: usize,
    input_block: usize,
}

impl<'b> PackedRows<'b> {
    /// Packs `values` into `buffer`, which only ever grows, on the current rayon pool.
    pub fn pack(values: &[f32], inputs: usize, input_block: usize, buffer: &'b mut Vec<TileColumn>) -> Self {
        let rows = values.len().checked_div(inputs).unwrap_or_default();
        let tiles = rows.div_ceil(TILE_ROWS);
        let needed = tiles * inputs;
        if buffer.len() < needed {
            buffer.resize(needed, [0.0; TILE_ROWS]);
        }
        let (columns, _) = buffer.split_at_mut(needed);
        let tile_rows = |tile: usize| values.chunks_exact(inputs).skip(tile * TILE_ROWS).take(TILE_ROWS);
        if tiles > 0 {
            columns.par_chunks_mut(tiles * input_block).enumerate().for_each(|(block, columns)| {
                let depth = columns.len() / tiles;
                columns.par_chunks_mut(depth).enumerate().for_each(|(tile, columns)| {
                    pack_tile(tile_rows(tile).map(|row| part(row, block * input_block, depth)), columns);
                });
            });
        }
        Self { columns, rows, inputs, input_block }
    }

    /// Number of tiles, the last of which may be partly empty.
    pub fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE_ROWS)
    }

    /// The blocks of inputs.
    pub fn input_blocks(&self) -> impl Iterator<Item = Range<usize>> {
        (0..self.inputs).step_by(self.input_block.max(1)).map(|start| start..self.inputs.min(start + self.input_block))
    }

    /// One tile's columns of one of the [`input_blocks`](Self::input_blocks); nothing for a tile that does not exist.
    pub fn tile(&self, tile: usize, block: &Range<usize>) -> &[TileColumn] {
        let first = block.start * self.tiles() + tile * block.len();
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
        for (rows, inputs, block) in [(1, 1, 4), (12, 8, 4), (13, 7, 4), (30, 9, 100), (25, 10, 5)] {
            let values: Vec<f32> = (0..rows * inputs).map(|at| at as f32 + 1.0).collect();
            // What an earlier product left behind.
            let mut buffer = vec![[f32::NAN; TILE_ROWS]; 17];
            let packed = PackedRows::pack(&values, inputs, block, &mut buffer);
            assert_eq!(packed.input_blocks().map(|block| block.len()).sum::<usize>(), inputs);
            for range in packed.input_blocks() {
                for tile in 0..packed.tiles() {
                    let columns = packed.tile(tile, &range);
                    assert_eq!(columns.len(), range.len());
                    for (input, column) in range.clone().zip(columns) {
                        for (row, value) in (tile * TILE_ROWS..).zip(column) {
                            let expected = if row < rows { values[row * inputs + input] } else { 0.0 };
                            assert_eq!(*value, expected, "row {row}, input {input} of {rows}x{inputs} by {block}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_packed_of_nothing() {
        let mut buffer = Vec::new();
        assert_eq!(PackedRows::pack(&[], 0, 8, &mut buffer).tiles(), 0);
        let packed = PackedRows::pack(&[], 5, 8, &mut buffer);
        assert!(packed.tile(3, &(0..5)).is_empty());
    }
}
