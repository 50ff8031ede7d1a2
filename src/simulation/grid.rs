//! Grids of costs, as `costmap_2d::Costmap2D` holds them.

#![expect(clippy::indexing_slicing, reason = "cells are of the grid that they index")]

/// Nothing is in the way.
pub const FREE: u8 = 0;
/// The robot's centre in this cell means contact, whatever its heading.
pub const INSCRIBED: u8 = 253;
/// An obstacle is in this cell.
pub const LETHAL: u8 = 254;
/// Nothing is known about this cell.
pub const UNKNOWN: u8 = 255;

/// A cell of a grid: column and row, row 0 at the lowest y.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    /// Column.
    pub x: usize,
    /// Row.
    pub y: usize,
}

/// Where a grid lies in its frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GridGeometry {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Edge of a cell, m.
    pub resolution: f64,
    /// Corner of the grid with the lowest x, m.
    pub origin_x: f64,
    /// Corner of the grid with the lowest y, m.
    pub origin_y: f64,
}

impl GridGeometry {
    /// Number of cells.
    pub fn len(&self) -> usize {
        self.width * self.height
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a cell's cost is: row by row.
    pub fn index(&self, cell: Cell) -> usize {
        cell.y * self.width + cell.x
    }

    /// The cell that holds a point, m; `None` outside (`worldToMap`).
    pub fn cell_at(&self, x: f64, y: f64) -> Option<Cell> {
        let (from_left, from_below) = (x - self.origin_x, y - self.origin_y);
        // Divisions, as there: products with 1 / resolution put points at borders into other cells. By way of u32, which is
        // quicker to convert to, and large enough for any grid.
        let cell = Cell {
            x: (from_left / self.resolution) as u32 as usize,
            y: (from_below / self.resolution) as u32 as usize,
        };
        let is_inside = (from_left >= 0.0) & (from_below >= 0.0) & (cell.x < self.width) & (cell.y < self.height);
        is_inside.then_some(cell)
    }

    /// The middle of a cell, m (`mapToWorld`).
    pub fn centre(&self, cell: Cell) -> [f64; 2] {
        let along = |origin: f64, cell: usize| origin + (cell as f64 + 0.5) * self.resolution;
        [along(self.origin_x, cell.x), along(self.origin_y, cell.y)]
    }
}

/// A cost for every cell of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct CostGrid {
    geometry: GridGeometry,
    costs: Vec<u8>,
}

impl CostGrid {
    /// A grid with the same cost everywhere.
    pub fn filled(geometry: GridGeometry, cost: u8) -> Self {
        Self { geometry, costs: vec![cost; geometry.len()] }
    }

    /// A grid with these costs, row by row; `None` when there are not as many as cells.
    pub fn from_costs(geometry: GridGeometry, costs: Vec<u8>) -> Option<Self> {
        (costs.len() == geometry.len()).then_some(Self { geometry, costs })
    }

    /// Where the grid lies.
    pub fn geometry(&self) -> &GridGeometry {
        &self.geometry
    }

    /// All costs, row by row.
    pub fn costs(&self) -> &[u8] {
        &self.costs
    }

    /// All costs, row by row, to be changed.
    pub fn costs_mut(&mut self) -> &mut [u8] {
        &mut self.costs
    }

    /// The cost of a cell of this grid.
    pub fn cost(&self, cell: Cell) -> u8 {
        self.costs[self.geometry.index(cell)]
    }

    /// Changes the cost of a cell of this grid.
    pub fn set(&mut self, cell: Cell, cost: u8) {
        let index = self.geometry.index(cell);
        self.costs[index] = cost;
    }

    /// Moves the grid over what it shows: by whole cells to the right and up, to another origin. What stays in keeps its
    /// cost, what comes in gets the cost `fill`.
    pub(crate) fn move_by(&mut self, right: i64, up: i64, fill: u8, [origin_x, origin_y]: [f64; 2]) {
        let (width, height) = (self.geometry.width as i64, self.geometry.height as i64);
        let source = |x: i64, y: i64| {
            let (x, y) = (x + right, y + up);
            ((0..width).contains(&x) && (0..height).contains(&y)).then_some((y * width + x) as usize)
        };
        let cells = self.costs.len() as i64;
        // From the side that the grid moves to, so that nothing is overwritten before it is read.
        let backwards = up < 0 || (up == 0 && right < 0);
        for step in 0..cells {
            let index = if backwards { cells - 1 - step } else { step };
            self.costs[index as usize] = source(index % width, index / width).map_or(fill, |from| self.costs[from]);
        }
        (self.geometry.origin_x, self.geometry.origin_y) = (origin_x, origin_y);
    }

    /// The cost at a point, m; `None` outside.
    pub fn cost_at(&self, x: f64, y: f64) -> Option<u8> {
        self.geometry.cell_at(x, y).map(|cell| self.cost(cell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GEOMETRY: GridGeometry = GridGeometry { width: 3, height: 2, resolution: 0.1, origin_x: -0.1, origin_y: 0.0 };

    #[test]
    fn a_point_is_in_the_cell_that_begins_at_its_lower_corner() {
        assert_eq!(GEOMETRY.cell_at(-0.1, 0.0), Some(Cell { x: 0, y: 0 }));
        assert_eq!(GEOMETRY.cell_at(0.15, 0.19), Some(Cell { x: 2, y: 1 }));
    }

    #[test]
    fn outside_there_is_no_cell() {
        for (x, y) in [(-0.101, 0.0), (0.2, 0.0), (0.0, -1e-9), (0.0, 0.2), (f64::NAN, 0.0), (f64::INFINITY, 0.0)] {
            assert_eq!(GEOMETRY.cell_at(x, y), None, "{x}, {y}");
        }
    }

    #[test]
    fn a_grid_that_moves_keeps_what_stays_in() {
        let costs = [1, 2, 3, 4, 5, 6].to_vec();
        let moved = |right, up| {
            let mut grid = CostGrid::from_costs(GEOMETRY, costs.clone())?;
            grid.move_by(right, up, 9, [0.0; 2]);
            Some(grid.costs().to_vec())
        };
        assert_eq!(moved(1, 0), Some(vec![2, 3, 9, 5, 6, 9]));
        assert_eq!(moved(-1, 0), Some(vec![9, 1, 2, 9, 4, 5]));
        assert_eq!(moved(-1, 1), Some(vec![9, 4, 5, 9, 9, 9]));
        assert_eq!(moved(1, -1), Some(vec![9, 9, 9, 2, 3, 9]));
        assert_eq!(moved(3, 0), Some(vec![9; 6]));
    }

    #[test]
    fn costs_are_row_by_row() {
        let mut grid = CostGrid::filled(GEOMETRY, FREE);
        grid.set(Cell { x: 1, y: 1 }, LETHAL);
        assert_eq!(grid.costs(), [0, 0, 0, 0, LETHAL, 0]);
        assert_eq!(grid.cost_at(0.05, 0.15), Some(LETHAL));
        assert_eq!(GEOMETRY.centre(Cell { x: 1, y: 1 }), [-0.1 + 1.5 * 0.1, 0.0 + 1.5 * 0.1]);
    }
}
