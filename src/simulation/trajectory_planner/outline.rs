//! What the robot's outline would touch where it stood (costmap_model.cpp, footprint_helper.cpp).

use planner_tuner_core::pose::{Pose, Position};

use super::edge_table::EdgeTable;
use super::reach::HighestInReach;
use super::rollout::Rejection;
use crate::footprint::{Footprint, Placement};
use crate::grid::{Cell, CostGrid, FREE, LETHAL, UNKNOWN};
use crate::polygon::{Line, cells_inside};

/// The footprint against one costmap. Only the outline counts, not what is inside it.
#[derive(Debug, Clone)]
pub(super) struct Outline {
    footprint: Footprint,
    in_reach: HighestInReach,
    edges: EdgeTable,
}

impl Outline {
    pub(super) fn new(footprint: Footprint) -> Self {
        Self { footprint, in_reach: HighestInReach::default(), edges: EdgeTable::default() }
    }

    pub(super) fn footprint(&self) -> &Footprint {
        &self.footprint
    }

    /// Looks at a new state of the costmap.
    pub(super) fn look_at(&mut self, grid: &CostGrid) {
        let radius = self.footprint.circumscribed_radius();
        self.in_reach.look_at(grid, radius);
        self.edges.fit(grid.geometry(), 2.0 * radius);
    }

    /// The highest of `so_far`, the cost of `centre`, where the robot's centre is, and what its outline touches.
    pub(super) fn cost(&self, grid: &CostGrid, robot: Placement, centre: Cell, so_far: u8) -> Result<u8, Rejection> {
        // Whatever means contact is higher than any `so_far`, so none is passed over.
        if self.in_reach.at(grid.geometry().index(centre)) <= so_far {
            return Ok(so_far);
        }
        match self.touched(grid, robot) {
            Some(highest) if highest < LETHAL => Ok(highest.max(grid.cost(centre)).max(so_far)),
            // What it touches first, or an outline that the table does not hold.
            _ => Ok(highest_cost(grid, &self.footprint, robot)?.max(grid.cost(centre)).max(so_far)),
        }
    }

    /// The highest cost that the outline touches; `None` where a corner is off the map or an edge is not in the table.
    fn touched(&self, grid: &CostGrid, robot: Placement) -> Option<u8> {
        let cell = |corner: &[f64; 2]| {
            let [x, y] = robot.in_the_map(*corner);
            grid.geometry().cell_at(x, y)
        };
        let corners = self.footprint.corners();
        let mut from = cell(corners.last()?)?;
        let mut highest = FREE;
        for corner in corners {
            let to = cell(corner)?;
            highest = highest.max(self.edges.highest(grid.costs(), from, to)?);
            from = to;
        }
        Some(highest)
    }
}

/// Whether the robot could stand at a pose of a costmap.
pub(crate) fn outline_is_free(grid: &CostGrid, footprint: &Footprint, pose: Pose) -> bool {
    let is_on_map = grid.geometry().cell_at(pose.position.x, pose.position.y).is_some();
    is_on_map && highest_cost(grid, footprint, Placement::of(pose)).is_ok()
}

/// The highest cost that the outline touches, or what it touches first in the original's order.
fn highest_cost(grid: &CostGrid, footprint: &Footprint, robot: Placement) -> Result<u8, Rejection> {
    let geometry = grid.geometry();
    let mut corners = footprint.placed(robot).map(|[x, y]| geometry.cell_at(x, y));
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
        let centre = GEOMETRY.cell_at(pose.position.x, pose.position.y).unwrap_or(Cell { x: 0, y: 0 });
        outline.cost(grid, Placement::of(pose), centre, FREE)
    }

    #[test]
    fn only_the_outline_is_looked_at() {
        let mut grid = CostGrid::filled(GEOMETRY, FREE);
        let inside = GEOMETRY.cell_at(0.0, 0.0).unwrap_or(Cell { x: 0, y: 0 });
        grid.set(inside, LETHAL);
        assert_eq!(outline_cost(&grid, at(0.2, 0.0, 0.0)), Ok(FREE));
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
