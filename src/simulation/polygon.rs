//! Cells on lines and inside outlines.

#![expect(clippy::indexing_slicing, reason = "cells are those that were just pushed")]

use crate::grid::{Cell, GridGeometry};

/// The cells between two, both included (`base_local_planner::LineIterator`, and `Costmap2D::raytraceLine`, which visits the
/// same ones).
#[derive(Debug, Clone)]
pub(crate) struct Line {
    x: isize,
    y: isize,
    /// The step along the longer side, and the one along the shorter.
    along: (isize, isize),
    across: (isize, isize),
    longer: usize,
    shorter: usize,
    error: usize,
    left: usize,
}

impl Line {
    pub(crate) fn between(from: Cell, to: Cell) -> Self {
        let (dx, dy) = (from.x.abs_diff(to.x), from.y.abs_diff(to.y));
        let step_x = if to.x >= from.x { 1 } else { -1 };
        let step_y = if to.y >= from.y { 1 } else { -1 };
        let (along, across, longer, shorter) =
            if dx >= dy { ((step_x, 0), (0, step_y), dx, dy) } else { ((0, step_y), (step_x, 0), dy, dx) };
        let (x, y) = (from.x as isize, from.y as isize);
        Self { x, y, along, across, longer, shorter, error: longer / 2, left: longer + 1 }
    }

    /// The beginning of the line: at most this share of its longer side, rounded down, and one cell.
    pub(crate) fn up_to(mut self, share: f64) -> Self {
        self.left = self.left.min((share * self.longer as f64) as usize + 1);
        self
    }
}

impl Iterator for Line {
    type Item = Cell;

    fn next(&mut self) -> Option<Cell> {
        self.left = self.left.checked_sub(1)?;
        let cell = Cell { x: self.x as usize, y: self.y as usize };
        self.error += self.shorter;
        if self.error >= self.longer {
            self.error -= self.longer;
            self.x += self.across.0;
            self.y += self.across.1;
        }
        self.x += self.along.0;
        self.y += self.along.1;
        Some(cell)
    }
}

/// Puts the cells of a convex polygon into `cells`, as indices; a cell can come several times. Where a corner is off the
/// grid: the part of the outline before it, and `false`.
pub(crate) fn cells_inside(
    geometry: &GridGeometry,
    corners: impl Iterator<Item = [f64; 2]>,
    cells: &mut Vec<usize>,
) -> bool {
    cells.clear();
    let mut corners = corners.map(|[x, y]| geometry.cell_at(x, y));
    let Some(first) = corners.next().flatten() else { return false };
    let mut from = first;
    let (mut lowest_x, mut highest_x) = (first.x, first.x);
    for to in corners.chain(std::iter::once(Some(first))) {
        let Some(to) = to else { return false };
        cells.extend(Line::between(from, to).map(|cell| geometry.index(cell)));
        (lowest_x, highest_x) = (lowest_x.min(to.x), highest_x.max(to.x));
        from = to;
    }
    let outline = cells.len();
    for x in lowest_x..=highest_x {
        let rows =
            cells[..outline].iter().filter(|index| *index % geometry.width == x).map(|index| index / geometry.width);
        let (lowest, highest) = rows.fold((usize::MAX, 0), |(lowest, highest), y| (lowest.min(y), highest.max(y)));
        cells.extend((lowest..highest).map(|y| y * geometry.width + x));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_both_ends_and_no_gap() {
        let line = Line::between(Cell { x: 5, y: 1 }, Cell { x: 1, y: 3 });
        let cells = |line: Line| line.map(|cell| (cell.x, cell.y)).collect::<Vec<_>>();
        assert_eq!(cells(line.clone()), [(5, 1), (4, 2), (3, 2), (2, 3), (1, 3)]);
        assert_eq!(cells(line.up_to(0.6)), [(5, 1), (4, 2), (3, 2)]);
        assert_eq!(Line::between(Cell { x: 2, y: 2 }, Cell { x: 2, y: 2 }).count(), 1);
    }

    #[test]
    fn a_polygon_has_its_outline_and_its_inside() {
        let geometry = GridGeometry { width: 6, height: 6, resolution: 1.0, origin_x: 0.0, origin_y: 0.0 };
        let mut cells = Vec::new();
        let square = [[1.5, 1.5], [1.5, 3.5], [3.5, 3.5], [3.5, 1.5]];
        assert!(cells_inside(&geometry, square.into_iter(), &mut cells));
        cells.sort_unstable();
        cells.dedup();
        assert_eq!(cells, [7, 8, 9, 13, 14, 15, 19, 20, 21]);
        assert!(!cells_inside(&geometry, [[1.5, 1.5], [-1.0, 1.0], [3.5, 3.5]].into_iter(), &mut cells));
    }
}
