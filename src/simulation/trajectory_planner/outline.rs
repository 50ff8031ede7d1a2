//! What the robot's outline would touch where it stood (costmap_model.cpp, footprint_helper.cpp).

#![expect(clippy::indexing_slicing, reason = "cells are of the grid that they index")]

use planner_tuner_core::pose::{Pose, Position};

use super::rollout::Rejection;
use crate::footprint::Footprint;
use crate::grid::{Cell, CostGrid, FREE, LETHAL, UNKNOWN};
use crate::polygon::{Line, cells_inside};

/// The footprint against one costmap. Only the outline counts, not what is inside it.
#[derive(Debug, Clone)]
pub(super) struct Outline {
    footprint: Footprint,
    /// For every cell: nothing within the robot's reach of it costs anything or lies off the map. The outline's cost is 0
    /// there, whatever the heading; most of a drive is spent in such cells.
    clear: Vec<bool>,
    /// Scratch: the same along rows only.
    clear_in_row: Vec<bool>,
}

impl Outline {
    pub(super) fn new(footprint: Footprint) -> Self {
        Self { footprint, clear: Vec::new(), clear_in_row: Vec::new() }
    }

    pub(super) fn footprint(&self) -> &Footprint {
        &self.footprint
    }

    /// Looks at a new state of the costmap.
    pub(super) fn look_at(&mut self, grid: &CostGrid) {
        let geometry = grid.geometry();
        // One more than the corners' distance: the centre can be anywhere in its cell.
        let reach = (self.footprint.circumscribed_radius() / geometry.resolution).ceil() as usize + 1;
        let (width, height) = (geometry.width, geometry.height);
        self.clear_in_row.clear();
        self.clear_in_row.resize(geometry.len(), false);
        self.clear.clear();
        self.clear.resize(geometry.len(), false);
        for y in 0..height {
            let row = y * width..(y + 1) * width;
            let is_free = |x: usize| grid.costs()[row.start + x] == FREE;
            mark_clear(width, reach, is_free, |x| self.clear_in_row[row.start + x] = true);
        }
        for x in 0..width {
            let is_free = |y: usize| self.clear_in_row[y * width + x];
            mark_clear(height, reach, is_free, |y| self.clear[y * width + x] = true);
        }
    }

    /// The highest cost that the outline touches at a pose whose centre is in `centre`.
    pub(super) fn cost(&self, grid: &CostGrid, pose: Pose, centre: Cell) -> Result<u8, Rejection> {
        match self.clear[grid.geometry().index(centre)] {
            true => Ok(FREE),
            false => highest_cost(grid, &self.footprint, pose),
        }
    }
}

/// Whether the robot could stand at a pose of a costmap.
pub(crate) fn outline_is_free(grid: &CostGrid, footprint: &Footprint, pose: Pose) -> bool {
    grid.geometry().cell_at(pose.position.x, pose.position.y).is_some() && highest_cost(grid, footprint, pose).is_ok()
}

/// The highest cost that the outline touches.
fn highest_cost(grid: &CostGrid, footprint: &Footprint, pose: Pose) -> Result<u8, Rejection> {
    let geometry = grid.geometry();
    let mut corners = footprint.at(pose).map(|[x, y]| geometry.cell_at(x, y));
    let first = corners.next().flatten().ok_or(Rejection::FootprintOffMap)?;
    let mut highest = FREE;
    let mut from = first;
    for to in corners.chain(std::iter::once(Some(first))) {
        let to = to.ok_or(Rejection::FootprintOffMap)?;
        for cell in Line::between(from, to) {
            match grid.cost(cell) {
                LETHAL => return Err(Rejection::Obstacle),
                UNKNOWN => return Err(Rejection::Unknown),
                cost => highest = highest.max(cost),
            }
        }
        from = to;
    }
    Ok(highest)
}

/// Calls `mark` for every place of a line of `length` whose neighbours up to `reach` away are all there and free.
fn mark_clear(length: usize, reach: usize, is_free: impl Fn(usize) -> bool, mut mark: impl FnMut(usize)) {
    let mut free = 0;
    for place in 0..length {
        free = if is_free(place) { free + 1 } else { 0 };
        if free > 2 * reach {
            mark(place - reach);
        }
    }
}

/// The cells of a grid that the robot covers, as indices: its outline and what is inside. Where a corner is off the map, the
/// part of the outline before it.
pub fn robot_cells(grid: &CostGrid, footprint: &Footprint, pose: Pose, cells: &mut Vec<usize>) {
    // As there: the pose goes through f32.
    let position = Position { x: f64::from(pose.position.x as f32), y: f64::from(pose.position.y as f32) };
    let pose = Pose { position, yaw: f64::from(pose.yaw as f32) };
    cells_inside(grid.geometry(), footprint.at(pose), cells);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::GridGeometry;

    const GEOMETRY: GridGeometry =
        GridGeometry { width: 30, height: 20, resolution: 0.1, origin_x: -1.5, origin_y: -1.0 };

    fn at(x: f64, y: f64, yaw: f64) -> Pose {
        Pose { position: Position { x, y }, yaw }
    }

    fn outline_cost(grid: &CostGrid, pose: Pose) -> Result<u8, Rejection> {
        let mut outline = Outline::new(Footprint::jackal());
        outline.look_at(grid);
        outline.cost(grid, pose, GEOMETRY.cell_at(pose.position.x, pose.position.y).unwrap_or(Cell { x: 0, y: 0 }))
    }

    #[test]
    fn only_the_outline_is_looked_at() {
        let mut grid = CostGrid::filled(GEOMETRY, FREE);
        let inside = GEOMETRY.cell_at(0.0, 0.0).unwrap_or(Cell { x: 0, y: 0 });
        grid.set(inside, LETHAL);
        assert_eq!(outline_cost(&grid, at(0.0, 0.0, 0.0)), Ok(FREE));
        assert_eq!(outline_cost(&grid, at(0.3, 0.0, 0.0)), Ok(FREE));
        assert_eq!(outline_cost(&grid, at(0.33, 0.0, 0.0)), Err(Rejection::Obstacle));
    }

    #[test]
    fn the_highest_cost_counts_and_inscribed_is_no_contact() {
        let mut grid = CostGrid::filled(GEOMETRY, FREE);
        for (y, cost) in [(9, 40), (10, 253)] {
            grid.set(Cell { x: 18, y }, cost);
        }
        assert_eq!(outline_cost(&grid, at(0.0, 0.0, 0.0)), Ok(253));
    }

    #[test]
    fn off_the_map_is_off_the_map() {
        let grid = CostGrid::filled(GEOMETRY, FREE);
        assert_eq!(outline_cost(&grid, at(-1.25, 0.0, 0.0)), Err(Rejection::FootprintOffMap));
        let mut cells = Vec::new();
        robot_cells(&grid, &Footprint::jackal(), at(-1.25, 0.0, 0.0), &mut cells);
        assert!(cells.is_empty());
    }
}
