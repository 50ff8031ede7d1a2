//! The global plan, as `navfn` finds it: a potential that grows from the robot, and a path down its slope from the goal.
//!
//! Follows navfn.cpp and navfn_ros.cpp of ros-planning/navigation, noetic-devel, with the original's tolerance of 0. Numbers
//! are equal to the original's, bit for bit (`test/simulation`): single precision where it has it, and its oddities, such as
//! plans through the lower corner of cells, kept.

mod descent;
mod potential;

use planner_tuner_core::pose::{Pose, Position};

use crate::grid::{Cell, CostGrid, FREE, GridGeometry};
use crate::trajectory_planner::PlanPose;
use descent::Descent;
use potential::Potential;

/// Why there is no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NoPlan {
    /// The robot is outside.
    #[error("the robot is off the global costmap")]
    RobotOffMap,
    /// The goal is outside.
    #[error("the goal is off the global costmap")]
    GoalOffMap,
    /// Nothing leads there.
    #[error("no way leads to the goal")]
    NoWay,
}

/// Finds plans. Holds scratch of the size of the costmap.
#[derive(Debug, Clone, Default)]
pub struct Navfn {
    potential: Potential,
    descent: Descent,
    asked: Option<Question>,
}

/// What a plan depends on.
#[derive(Debug, Clone, PartialEq)]
struct Question {
    geometry: GridGeometry,
    costs: Vec<u8>,
    robot: Cell,
    goal: Cell,
}

impl Navfn {
    /// Puts a plan from the robot to the goal into `plan`; its last pose is the goal itself. The robot's cell of the grid is
    /// cleared, and stays so.
    ///
    /// # Errors
    /// [`NoPlan`]; `plan` is then empty.
    pub fn plan(
        &mut self,
        grid: &mut CostGrid,
        robot: Position,
        goal: Pose,
        plan: &mut Vec<PlanPose>,
    ) -> Result<(), NoPlan> {
        plan.clear();
        let geometry = *grid.geometry();
        let robot = geometry.cell_at(robot.x, robot.y).ok_or(NoPlan::RobotOffMap)?;
        grid.set(robot, FREE);
        let goal_cell = geometry.cell_at(goal.position.x, goal.position.y).ok_or(NoPlan::GoalOffMap)?;
        self.answer(grid, robot, goal_cell);
        if !self.potential.reaches(goal_cell) || self.descent.path().is_empty() {
            return Err(NoPlan::NoWay);
        }
        // As there, without the half cell that would lead through the middle of cells.
        let world = |origin: f64, cell: f32| origin + f64::from(cell) * geometry.resolution;
        let from_robot = self.descent.path().iter().rev();
        plan.extend(from_robot.map(|[x, y]| PlanPose {
            x: world(geometry.origin_x, *x),
            y: world(geometry.origin_y, *y),
            yaw: 0.0,
        }));
        plan.push(PlanPose { x: goal.position.x, y: goal.position.y, yaw: goal.yaw });
        Ok(())
    }

    /// The potential of every cell after the last plan, row by row; 1e10 where none was computed.
    pub fn potential(&self) -> &[f32] {
        self.potential.values()
    }

    /// The last path from the goal to the robot, in cells.
    pub fn path(&self) -> &[[f32; 2]] {
        self.descent.path()
    }

    /// Computes potential and path, unless they are those of the same question.
    fn answer(&mut self, grid: &CostGrid, robot: Cell, goal: Cell) {
        let geometry = *grid.geometry();
        match &mut self.asked {
            Some(asked) if asked.robot == robot && asked.goal == goal && asked.is_about(grid) => return,
            Some(asked) => {
                (asked.geometry, asked.robot, asked.goal) = (geometry, robot, goal);
                asked.costs.clear();
                asked.costs.extend_from_slice(grid.costs());
            }
            None => self.asked = Some(Question { geometry, costs: grid.costs().to_vec(), robot, goal }),
        }
        self.potential.grow(grid, robot, goal);
        self.descent.reset(self.potential.values().len());
        // Twice, with different limits, as the original does: the gradients of the first time stay.
        let cells = grid.geometry().len();
        for limit in [cells / 2, grid.geometry().width * 4] {
            self.descent.follow(&self.potential, robot, goal, limit);
        }
    }
}

impl Question {
    fn is_about(&self, grid: &CostGrid) -> bool {
        self.geometry == *grid.geometry() && self.costs == grid.costs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::LETHAL;

    const GEOMETRY: GridGeometry =
        GridGeometry { width: 40, height: 60, resolution: 0.1, origin_x: -2.0, origin_y: -1.0 };
    const ROBOT: Position = Position { x: 0.0, y: 0.0 };

    fn goal(x: f64, y: f64) -> Pose {
        Pose { position: Position { x, y }, yaw: 1.0 }
    }

    /// A wall across the map, with a gap at its right end.
    fn wall(gap: usize) -> CostGrid {
        let mut grid = CostGrid::filled(GEOMETRY, FREE);
        for x in 0..40 - gap {
            grid.set(Cell { x, y: 30 }, LETHAL);
        }
        grid
    }

    #[test]
    fn a_plan_goes_through_the_gap_and_ends_at_the_goal_itself() {
        let mut plan = Vec::new();
        assert_eq!(Navfn::default().plan(&mut wall(5), ROBOT, goal(0.03, 4.02), &mut plan), Ok(()));
        let at_wall = plan.iter().filter(|pose| (pose.y - 2.05).abs() < 0.1);
        assert!(
            at_wall.clone().count() > 0 && at_wall.clone().all(|pose| pose.x > 1.4),
            "{:?}",
            at_wall.collect::<Vec<_>>()
        );
        assert_eq!(plan.last(), Some(&PlanPose { x: 0.03, y: 4.02, yaw: 1.0 }));
        assert!(plan.iter().rev().skip(1).all(|pose| pose.yaw == 0.0));
    }

    #[test]
    fn why_there_is_no_plan() {
        let mut plan = vec![PlanPose { x: 0.0, y: 0.0, yaw: 0.0 }];
        let mut find = |grid: &mut CostGrid, robot, goal| Navfn::default().plan(grid, robot, goal, &mut plan);
        assert_eq!(find(&mut wall(0), ROBOT, goal(0.0, 4.0)), Err(NoPlan::NoWay));
        assert_eq!(find(&mut wall(5), Position { x: 9.0, y: 0.0 }, goal(0.0, 4.0)), Err(NoPlan::RobotOffMap));
        assert_eq!(find(&mut wall(5), ROBOT, goal(0.0, 9.0)), Err(NoPlan::GoalOffMap));
        assert!(plan.is_empty());
    }

    #[test]
    fn the_robots_cell_is_cleared_and_another_map_is_another_question() {
        let mut navfn = Navfn::default();
        let (mut grid, mut plan) = (wall(5), Vec::new());
        let here = GEOMETRY.cell_at(ROBOT.x, ROBOT.y).unwrap_or(Cell { x: 0, y: 0 });
        grid.set(here, LETHAL);
        assert_eq!(navfn.plan(&mut grid, ROBOT, goal(0.0, 4.0), &mut plan), Ok(()));
        assert_eq!(grid.cost(here), FREE);
        assert_eq!(navfn.plan(&mut wall(0), ROBOT, goal(0.0, 4.0), &mut plan), Err(NoPlan::NoWay));
    }
}
