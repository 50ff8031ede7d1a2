//! The cells along the edges of an outline, worked out once for every edge there can be.

use std::ops::Range;

use crate::grid::{Cell, GridGeometry};
use crate::polygon::Line;

/// Cells that are read at a time: all of an edge of the Jackal's footprint on the original's costmap.
const CHUNK: usize = 8;
/// Longer edges, in cells along an axis, are not worth a place in the table.
const LONGEST: usize = 32;

/// For every edge up to a length, where its cells lie in a costmap's array, counted from the edge's first cell.
#[derive(Debug, Clone, Default)]
pub(super) struct EdgeTable {
    /// Cells in a row of the costmap.
    width: usize,
    /// Longest edge, cells along each axis.
    longest: usize,
    /// The last cell of an edge comes again until the chunk is full.
    offsets: Vec<[i32; CHUNK]>,
    /// Which chunks are an edge's.
    edges: Vec<Range<u32>>,
}

impl EdgeTable {
    /// Makes the table for edges up to `longest` (m) on this costmap, unless it is that already.
    pub(super) fn fit(&mut self, &GridGeometry { width, resolution, .. }: &GridGeometry, longest: f64) {
        let longest = ((longest / resolution) as usize + 1).min(LONGEST);
        if (width, longest) == (self.width, self.longest) && !self.edges.is_empty() {
            return;
        }
        (self.width, self.longest) = (width, longest);
        self.offsets.clear();
        self.edges.clear();
        let from = Cell { x: longest, y: longest };
        let index = |cell: Cell| cell.y as i32 * width as i32 + cell.x as i32;
        for y in 0..=2 * longest {
            for x in 0..=2 * longest {
                let begin = self.offsets.len() as u32;
                let mut cells = Line::between(from, Cell { x, y }).map(|cell| index(cell) - index(from)).peekable();
                while let Some(&first) = cells.peek() {
                    let mut last = first;
                    self.offsets.push(std::array::from_fn(|_| {
                        last = cells.next().unwrap_or(last);
                        last
                    }));
                }
                self.edges.push(begin..self.offsets.len() as u32);
            }
        }
    }

    /// The highest cost along the edge from one cell to another, both included; `None` for an edge that the table has not.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "cells between two of a costmap are of the costmap; inner loop")]
    pub(super) fn highest(&self, costs: &[u8], from: Cell, to: Cell) -> Option<u8> {
        let x = (to.x + self.longest).wrapping_sub(from.x);
        let y = (to.y + self.longest).wrapping_sub(from.y);
        let side = 2 * self.longest + 1;
        if x >= side || y >= side {
            return None;
        }
        let Range { start, end } = self.edges[y * side + x];
        let begin = (from.y * self.width + from.x) as i32;
        let mut highest = 0;
        for chunk in &self.offsets[start as usize..end as usize] {
            for offset in chunk {
                highest = costs[(begin + offset) as usize].max(highest);
            }
        }
        Some(highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 50;
    const GEOMETRY: GridGeometry =
        GridGeometry { width: WIDTH, height: 40, resolution: 0.1, origin_x: 0.0, origin_y: 0.0 };

    #[test]
    fn the_table_sees_what_is_on_the_line_and_nothing_else() {
        let mut table = EdgeTable::default();
        table.fit(&GEOMETRY, 1.15);
        let from = Cell { x: 20, y: 15 };
        for to in (3..=27).flat_map(|y| (8..=32).map(move |x| Cell { x, y })) {
            let mut costs = vec![9; WIDTH * 40];
            for (place, cell) in Line::between(from, to).enumerate() {
                costs[cell.y * WIDTH + cell.x] = 0;
                let mut with_one = costs.clone();
                with_one[cell.y * WIDTH + cell.x] = 100 + place as u8;
                assert_eq!(table.highest(&with_one, from, to), Some(100 + place as u8), "{to:?}: {cell:?}");
            }
            assert_eq!(table.highest(&costs, from, to), Some(0), "{to:?}: only cells on the line");
        }
    }

    #[test]
    fn longer_edges_are_not_in_the_table() {
        let mut table = EdgeTable::default();
        table.fit(&GEOMETRY, 0.65);
        let from = Cell { x: 20, y: 10 };
        for to in [Cell { x: 28, y: 10 }, Cell { x: 12, y: 10 }, Cell { x: 20, y: 18 }, Cell { x: 20, y: 2 }] {
            assert_eq!(table.highest(&[0; WIDTH * 40], from, to), None, "{to:?}");
        }
    }
}
