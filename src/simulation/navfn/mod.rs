//! The global plan, as `navfn` finds it: a potential that grows from the robot, and a path down its slope from the goal.
//!
//! Follows navfn.cpp and navfn_ros.cpp of ros-planning/navigation, noetic-devel, with the original's tolerance of 0. Numbers
//! are equal to the original's, bit for bit (`test/simulation`): single precision where it has it, and its oddities, such as
//! plans through the lower corner of cells, kept.

mod descent;
mod potential;

use planner_tuner_core::pose::{Pose, Position};

use crate::grid::{Cell, CostGrid, FREE};
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
    grid: CostGrid,
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
        if let Some(asked) = &mut self.asked {
            if (asked.robot, asked.goal) == (robot, goal) && asked.grid == *grid {
                return;
            }
            asked.grid.clone_from(grid);
            (asked.robot, asked.goal) = (robot, goal);
        } else {
            self.asked = Some(Question { grid: grid.clone(), robot, goal });
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
