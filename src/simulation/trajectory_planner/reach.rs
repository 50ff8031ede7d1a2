//! The highest cost that an outline can touch from a cell, whatever the heading: most steps need to know no more.

use crate::grid::{CostGrid, GridGeometry, UNKNOWN};

/// For every cell of a costmap, the highest cost of all cells that come within a radius of a point in it; what is off the map
/// counts as unknown.
#[derive(Debug, Clone, Default)]
pub(super) struct HighestInReach {
    highest: Vec<u8>,
    /// Scratch, in a frame as wide as the reach: the highest costs of cells up to some columns away, before and after one more.
    in_row: [Vec<u8>; 2],
}

impl HighestInReach {
    /// Looks at a new state of the costmap; `radius` in m.
    pub(super) fn look_at(&mut self, grid: &CostGrid, radius: f64) {
        let GridGeometry { width, height, resolution, .. } = *grid.geometry();
        let radius = radius / resolution;
        let reach = columns_in_reach(radius, 0).min(width.max(height));
        let framed_width = width + 2 * reach;
        let [in_row, wider] = &mut self.in_row;
        for framed in [&mut *in_row, &mut *wider] {
            framed.clear();
            framed.resize(framed_width * (height + 2 * reach), UNKNOWN);
        }
        let rows = in_row.chunks_exact_mut(framed_width.max(1)).skip(reach);
        for (row, costs) in rows.zip(grid.costs().chunks_exact(width.max(1))) {
            row.iter_mut().skip(reach).zip(costs).for_each(|(framed, cost)| *framed = *cost);
        }
        self.highest.clear();
        self.highest.resize(width * height, 0);
        for columns in 0..=reach {
            if columns > 0 {
                for ((wide, left), (middle, right)) in
                    wider.iter_mut().skip(1).zip(in_row.iter()).zip(in_row.iter().skip(1).zip(in_row.iter().skip(2)))
                {
                    *wide = *left.max(middle).max(right);
                }
                std::mem::swap(in_row, wider);
            }
            let rows_away = (0..=reach).filter(|rows| columns_in_reach(radius, *rows).min(reach) == columns);
            for rows in rows_away {
                for first in [reach - rows, reach + rows] {
                    let rows = in_row.chunks_exact(framed_width.max(1)).skip(first);
                    for (highest, row) in self.highest.chunks_exact_mut(width.max(1)).zip(rows) {
                        for (highest, other) in highest.iter_mut().zip(row.iter().skip(reach)) {
                            *highest = (*highest).max(*other);
                        }
                    }
                }
            }
        }
    }

    /// The highest cost in reach of the cell with this index.
    #[expect(
        clippy::indexing_slicing,
        reason = "the index is of the costmap that was looked at; this is the inner loop"
    )]
    pub(super) fn at(&self, index: usize) -> u8 {
        self.highest[index]
    }
}

/// How many columns away a cell may be that is `rows` away and still comes within a radius of some point of the cell in the
/// middle. The radius is in cells.
fn columns_in_reach(radius: f64, rows: usize) -> usize {
    // Points at facing edges: one cell less than from middle to middle. Some more than the radius, for its rounding.
    let between = rows.saturating_sub(1) as f64;
    let along = ((radius + 1e-6).powi(2) - between * between).max(0.0).sqrt();
    along as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Cell, FREE, LETHAL};

    const GEOMETRY: GridGeometry =
        GridGeometry { width: 23, height: 19, resolution: 0.1, origin_x: 0.0, origin_y: 0.0 };

    /// Whether some point of a cell is within a radius of some point of another, in cells.
    fn is_in_reach(from: Cell, to: Cell, radius: f64) -> bool {
        let gap = |one: usize, other: usize| one.abs_diff(other).saturating_sub(1) as f64;
        gap(from.x, to.x).hypot(gap(from.y, to.y)) <= radius
    }

    #[test]
    fn what_is_in_reach_and_nothing_else_counts() {
        let obstacle = Cell { x: 11, y: 9 };
        let mut grid = CostGrid::filled(GEOMETRY, FREE);
        grid.set(obstacle, LETHAL);
        let mut reach = HighestInReach::default();
        reach.look_at(&grid, 0.408);
        let cells = (6..13).flat_map(|y| (6..17).map(move |x| Cell { x, y }));
        for cell in cells {
            let expected = if is_in_reach(cell, obstacle, 4.08) { LETHAL } else { FREE };
            assert_eq!(reach.at(GEOMETRY.index(cell)), expected, "{cell:?}");
        }
    }

    #[test]
    fn the_edge_of_the_map_is_unknown() {
        let mut reach = HighestInReach::default();
        reach.look_at(&CostGrid::filled(GEOMETRY, FREE), 0.408);
        let at = |x, y| reach.at(GEOMETRY.index(Cell { x, y }));
        assert_eq!([at(0, 9), at(4, 9), at(5, 9), at(17, 9), at(18, 9)], [UNKNOWN, UNKNOWN, FREE, FREE, UNKNOWN]);
        assert_eq!([at(11, 4), at(11, 5), at(11, 13), at(11, 14)], [UNKNOWN, FREE, FREE, UNKNOWN]);
    }

    #[test]
    fn a_robot_larger_than_the_map_sees_its_edge_everywhere() {
        let mut reach = HighestInReach::default();
        reach.look_at(&CostGrid::filled(GEOMETRY, FREE), 40.0);
        assert!((0..GEOMETRY.len()).all(|index| reach.at(index) == UNKNOWN));
    }
}
