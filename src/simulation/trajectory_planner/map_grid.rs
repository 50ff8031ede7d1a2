//! How many steps every cell is from the path, or from its end.

#![expect(clippy::indexing_slicing, reason = "cells are of the grid that they index")]

use super::plan::PlanPose;
use crate::grid::{Cell, CostGrid, INSCRIBED, LETHAL, UNKNOWN};

/// Steps between neighbouring cells.
pub type Distance = u32;

/// Steps from every cell of a costmap to the nearest of some cells, around obstacles (`base_local_planner::MapGrid`).
#[derive(Debug, Clone, Default)]
pub struct MapGrid {
    width: usize,
    height: usize,
    distances: Vec<Distance>,
    reached: Vec<bool>,
    under_robot: Vec<bool>,
    queue: Vec<usize>,
}

impl MapGrid {
    /// The distance of an obstacle's cell: more than any that can be walked.
    pub fn obstacle_distance(&self) -> Distance {
        self.distances.len() as Distance
    }

    /// The distance of a cell that cannot be reached.
    pub fn unreached_distance(&self) -> Distance {
        self.obstacle_distance() + 1
    }

    /// All distances, row by row.
    pub fn distances(&self) -> &[Distance] {
        &self.distances
    }

    /// The distance of the cell with this index.
    pub(super) fn distance(&self, index: usize) -> Distance {
        self.distances[index]
    }

    /// Distances to the path, which ends where it first leaves the map. `under_robot` are the cells where the robot stands:
    /// what is marked there is no obstacle.
    pub fn measure_to_path(&mut self, grid: &CostGrid, plan: &[PlanPose], under_robot: &[usize]) {
        self.reset(grid);
        for index in under_robot {
            self.under_robot[*index] = true;
        }
        visible_part(grid, plan, |index| {
            self.distances[index] = 0;
            self.reached[index] = true;
            self.queue.push(index);
        });
        self.spread(grid);
    }

    /// Distances to the last cell of the path before it leaves the map; that cell, where there is one.
    pub fn measure_to_goal(&mut self, grid: &CostGrid, plan: &[PlanPose]) -> Option<Cell> {
        self.reset(grid);
        let mut goal = None;
        visible_part(grid, plan, |index| goal = Some(index));
        let goal = goal?;
        self.distances[goal] = 0;
        self.reached[goal] = true;
        self.queue.push(goal);
        self.spread(grid);
        Some(Cell { x: goal % self.width, y: goal / self.width })
    }

    fn reset(&mut self, grid: &CostGrid) {
        let geometry = grid.geometry();
        let cells = geometry.len();
        (self.width, self.height) = (geometry.width, geometry.height);
        self.distances.clear();
        self.distances.resize(cells, cells as Distance + 1);
        for flags in [&mut self.reached, &mut self.under_robot] {
            flags.clear();
            flags.resize(cells, false);
        }
        self.queue.clear();
    }

    /// Breadth first from the cells in the queue.
    fn spread(&mut self, grid: &CostGrid) {
        let costs = grid.costs();
        let mut next = 0;
        while let Some(&index) = self.queue.get(next) {
            next += 1;
            let x = index % self.width;
            let distance = self.distances[index] + 1;
            if x > 0 {
                self.visit(costs, index - 1, distance);
            }
            if x + 1 < self.width {
                self.visit(costs, index + 1, distance);
            }
            if index >= self.width {
                self.visit(costs, index - self.width, distance);
            }
            if index + self.width < costs.len() {
                self.visit(costs, index + self.width, distance);
            }
        }
    }

    fn visit(&mut self, costs: &[u8], index: usize, distance: Distance) {
        if self.reached[index] {
            return;
        }
        self.reached[index] = true;
        if !self.under_robot[index] && matches!(costs[index], INSCRIBED | LETHAL | UNKNOWN) {
            self.distances[index] = self.obstacle_distance();
        } else {
            self.distances[index] = self.distances[index].min(distance);
            self.queue.push(index);
        }
    }
}

/// Calls `visit` with the cells of the plan from its first known cell on the map to the last before it leaves what is known.
/// Points farther apart than a cell get others between them. A cell can come several times.
fn visible_part(grid: &CostGrid, plan: &[PlanPose], mut visit: impl FnMut(usize)) {
    let geometry = grid.geometry();
    let mut started = false;
    // Whether to go on.
    let mut look = |x: f64, y: f64| {
        let index = geometry.cell_at(x, y).map(|cell| geometry.index(cell));
        match index.filter(|index| grid.costs()[*index] != UNKNOWN) {
            Some(index) => {
                visit(index);
                started = true;
                true
            }
            None => !started,
        }
    };
    let Some(first) = plan.first() else { return };
    if !look(first.x, first.y) {
        return;
    }
    for (last, point) in plan.iter().zip(plan.iter().skip(1)) {
        let (gap_x, gap_y) = (point.x - last.x, point.y - last.y);
        let squared = gap_x * gap_x + gap_y * gap_y;
        if squared > geometry.resolution * geometry.resolution {
            let steps = (squared.sqrt() / geometry.resolution).ceil() as i32;
            let (step_x, step_y) = (gap_x / f64::from(steps), gap_y / f64::from(steps));
            for step in 1..steps {
                if !look(last.x + f64::from(step) * step_x, last.y + f64::from(step) * step_y) {
                    return;
                }
            }
        }
        if !look(point.x, point.y) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{FREE, GridGeometry};

    const GEOMETRY: GridGeometry = GridGeometry { width: 5, height: 3, resolution: 1.0, origin_x: 0.0, origin_y: 0.0 };

    fn plan(points: &[[f64; 2]]) -> Vec<PlanPose> {
        points.iter().map(|[x, y]| PlanPose { x: *x, y: *y, yaw: 0.0 }).collect()
    }

    #[test]
    fn steps_go_around_obstacles() {
        let mut grid = CostGrid::filled(GEOMETRY, FREE);
        grid.set(Cell { x: 1, y: 0 }, LETHAL);
        grid.set(Cell { x: 1, y: 1 }, INSCRIBED);
        let mut distances = MapGrid::default();
        assert_eq!(distances.measure_to_goal(&grid, &plan(&[[0.5, 0.5]])), Some(Cell { x: 0, y: 0 }));
        assert_eq!(distances.distances(), [0, 15, 6, 7, 8, 1, 15, 5, 6, 7, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn what_is_marked_under_the_robot_does_not_block_the_path() {
        let mut grid = CostGrid::filled(GEOMETRY, FREE);
        for y in 0..3 {
            grid.set(Cell { x: 1, y }, LETHAL);
        }
        let mut distances = MapGrid::default();
        distances.measure_to_path(&grid, &plan(&[[0.5, 0.5]]), &[1]);
        assert_eq!(distances.distances().get(..5), Some(&[0, 1, 2, 3, 4][..]));
        distances.measure_to_path(&grid, &plan(&[[0.5, 0.5]]), &[]);
        assert_eq!(distances.distances().get(..5), Some(&[0, 15, 16, 16, 16][..]));
    }

    #[test]
    fn a_plan_off_the_map_reaches_nothing() {
        let grid = CostGrid::filled(GEOMETRY, FREE);
        let mut distances = MapGrid::default();
        assert_eq!(distances.measure_to_goal(&grid, &plan(&[[-3.0, 0.5], [-2.0, 0.5]])), None);
        assert!(distances.distances().iter().all(|distance| *distance == distances.unreached_distance()));
        assert_eq!(distances.measure_to_goal(&grid, &[]), None);
    }

    #[test]
    fn gaps_in_a_plan_are_filled_until_it_leaves_the_map() {
        let grid = CostGrid::filled(GEOMETRY, FREE);
        let mut distances = MapGrid::default();
        distances.measure_to_path(&grid, &plan(&[[0.5, 0.5], [3.5, 0.5], [9.5, 0.5], [0.5, 2.5]]), &[]);
        assert_eq!(distances.distances(), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
    }
}
