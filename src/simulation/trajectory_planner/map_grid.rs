//! How many steps every cell is from the path, or from its end.

use super::plan::PlanPose;
use crate::grid::{Cell, CostGrid, INSCRIBED, LETHAL, UNKNOWN};

/// Steps between neighbouring cells.
pub type Distance = u32;

/// Steps from every cell of a costmap to the nearest of some cells, around obstacles (`base_local_planner::MapGrid`).
///
/// Cells lie row by row in a frame of cells that block, so that a cell's neighbours need no check for the map's edge.
#[derive(Debug, Clone, Default)]
pub struct MapGrid {
    width: usize,
    height: usize,
    distances: Vec<Distance>,
    /// Scratch: the cells that were reached, in the order of their distance.
    queue: Vec<usize>,
}

/// Not reached yet, and an obstacle. Such a cell never is: it only gets the distance of an obstacle once the search comes by.
const UNSEEN_OBSTACLE: Distance = Distance::MAX;

impl MapGrid {
    /// The distance of an obstacle's cell: more than any that can be walked.
    pub fn obstacle_distance(&self) -> Distance {
        (self.width * self.height) as Distance
    }

    /// The distance of a cell that cannot be reached.
    pub fn unreached_distance(&self) -> Distance {
        self.obstacle_distance() + 1
    }

    /// All distances, row by row.
    pub fn distances(&self) -> impl Iterator<Item = Distance> + '_ {
        let rows = self.distances.chunks_exact(self.width + 2).skip(1).take(self.height);
        let inner = rows.flat_map(|row| row.iter().skip(1).take(self.width));
        inner.map(|distance| (*distance).min(self.unreached_distance()))
    }

    /// The distance of a cell of the grid.
    #[expect(clippy::indexing_slicing, reason = "the cell is of the grid that was measured; this is the inner loop")]
    pub(super) fn distance(&self, cell: Cell) -> Distance {
        self.distances[self.index(cell)].min(self.unreached_distance())
    }

    /// Distances to the path, which ends where it first leaves the map. `under_robot` are the cells where the robot stands:
    /// what is marked there is no obstacle.
    #[expect(clippy::indexing_slicing, reason = "the cells are the grid's, and the frame around them is there")]
    pub fn measure_to_path(&mut self, grid: &CostGrid, plan: &[PlanPose], under_robot: &[usize]) {
        self.reset(grid);
        let unreached = self.unreached_distance();
        for index in under_robot {
            let index = self.index(Cell { x: index % self.width, y: index / self.width });
            self.distances[index] = unreached;
        }
        visible_part(grid, plan, |cell| self.begin_at(cell));
        self.spread();
    }

    /// Distances to the last cell of the path before it leaves the map; that cell, where there is one.
    pub fn measure_to_goal(&mut self, grid: &CostGrid, plan: &[PlanPose]) -> Option<Cell> {
        self.reset(grid);
        let mut goal = None;
        visible_part(grid, plan, |cell| goal = Some(cell));
        self.begin_at(goal?);
        self.spread();
        goal
    }

    /// Where a cell is in the frame.
    fn index(&self, cell: Cell) -> usize {
        (cell.y + 1) * (self.width + 2) + cell.x + 1
    }

    fn reset(&mut self, grid: &CostGrid) {
        let geometry = grid.geometry();
        (self.width, self.height) = (geometry.width, geometry.height);
        let (obstacle, unreached) = (self.obstacle_distance(), self.unreached_distance());
        let framed_width = self.width + 2;
        self.distances.clear();
        self.distances.resize(framed_width * (self.height + 2), obstacle);
        let rows = self.distances.chunks_exact_mut(framed_width).skip(1);
        for (row, costs) in rows.zip(grid.costs().chunks_exact(self.width.max(1))) {
            for (distance, cost) in row.iter_mut().skip(1).zip(costs) {
                *distance = if matches!(*cost, INSCRIBED | LETHAL | UNKNOWN) { UNSEEN_OBSTACLE } else { unreached };
            }
        }
        self.queue.clear();
    }

    /// A cell at distance 0, whatever it costs.
    #[expect(clippy::indexing_slicing, reason = "the cell is the grid's")]
    fn begin_at(&mut self, cell: Cell) {
        let index = self.index(cell);
        if self.distances[index] != 0 {
            self.distances[index] = 0;
            self.queue.push(index);
        }
    }

    /// Breadth first from the cells in the queue.
    #[expect(clippy::indexing_slicing, reason = "no neighbour is outside of the frame, which is never in the queue")]
    fn spread(&mut self) {
        let framed_width = self.width + 2;
        let (obstacle, unreached) = (self.obstacle_distance(), self.unreached_distance());
        let mut next = 0;
        while let Some(&index) = self.queue.get(next) {
            next += 1;
            let distance = self.distances[index] + 1;
            for neighbour in [index - 1, index + 1, index - framed_width, index + framed_width] {
                let seen = &mut self.distances[neighbour];
                if *seen == unreached {
                    *seen = distance;
                    self.queue.push(neighbour);
                } else if *seen == UNSEEN_OBSTACLE {
                    *seen = obstacle;
                }
            }
        }
    }
}

/// Calls `visit` with the cells of the plan from its first known cell on the map to the last before it leaves what is known.
/// Points farther apart than a cell get others between them. A cell can come several times.
fn visible_part(grid: &CostGrid, plan: &[PlanPose], mut visit: impl FnMut(Cell)) {
    let geometry = grid.geometry();
    let mut started = false;
    // Whether to go on.
    let mut look = |x: f64, y: f64| match geometry.cell_at(x, y).filter(|cell| grid.cost(*cell) != UNKNOWN) {
        Some(cell) => {
            visit(cell);
            started = true;
            true
        }
        None => !started,
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

    fn all(distances: &MapGrid) -> Vec<Distance> {
        distances.distances().collect()
    }

    #[test]
    fn steps_go_around_obstacles() {
        let mut grid = CostGrid::filled(GEOMETRY, FREE);
        grid.set(Cell { x: 1, y: 0 }, LETHAL);
        grid.set(Cell { x: 1, y: 1 }, INSCRIBED);
        let mut distances = MapGrid::default();
        assert_eq!(distances.measure_to_goal(&grid, &plan(&[[0.5, 0.5]])), Some(Cell { x: 0, y: 0 }));
        assert_eq!(all(&distances), [0, 15, 6, 7, 8, 1, 15, 5, 6, 7, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn what_is_marked_under_the_robot_does_not_block_the_path() {
        let mut grid = CostGrid::filled(GEOMETRY, FREE);
        for y in 0..3 {
            grid.set(Cell { x: 1, y }, LETHAL);
        }
        let mut distances = MapGrid::default();
        distances.measure_to_path(&grid, &plan(&[[0.5, 0.5]]), &[1]);
        assert!(all(&distances).starts_with(&[0, 1, 2, 3, 4]));
        distances.measure_to_path(&grid, &plan(&[[0.5, 0.5]]), &[]);
        assert!(all(&distances).starts_with(&[0, 15, 16, 16, 16]));
    }

    #[test]
    fn a_plan_off_the_map_reaches_nothing() {
        let grid = CostGrid::filled(GEOMETRY, FREE);
        let mut distances = MapGrid::default();
        assert_eq!(distances.measure_to_goal(&grid, &plan(&[[-3.0, 0.5], [-2.0, 0.5]])), None);
        assert!(distances.distances().all(|distance| distance == distances.unreached_distance()));
        assert_eq!(distances.measure_to_goal(&grid, &[]), None);
    }

    #[test]
    fn gaps_in_a_plan_are_filled_until_it_leaves_the_map() {
        let grid = CostGrid::filled(GEOMETRY, FREE);
        let mut distances = MapGrid::default();
        distances.measure_to_path(&grid, &plan(&[[0.5, 0.5], [3.5, 0.5], [9.5, 0.5], [0.5, 2.5]]), &[]);
        assert_eq!(all(&distances), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
    }
}
