//! What is tried when there is no plan or no command (move_base.cpp, rotate_recovery.cpp).

use std::f64::consts::PI;

use planner_tuner_core::pose::Pose;

use crate::angle::shortest_turn;
use crate::footprint::Footprint;
use crate::grid::CostGrid;
use crate::trajectory_planner::outline_is_free;
use crate::velocity::Velocity;

/// Heading within which the turn is over, rad.
const TOLERANCE: f64 = 0.157;
/// Headings that are tried, this far apart, rad.
const GRANULARITY: f64 = 0.017;
/// rad/s² and rad/s: the planner's when `move_base` starts, whatever is tuned later.
const ACCELERATION: f64 = 20.0;
const SLOWEST: f64 = 0.314;
const FASTEST: f64 = 1.57;

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    NoPlan,
    NoCommand,
}

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Clears costmaps, in the original only a layer of a name that there isn't: nothing happens.
    Clear,
    /// A full turn.
    Turn,
}

/// Which behaviour comes next. The count starts again when what failed works again.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Recoveries {
    tried: usize,
    cause: Option<Cause>,
}

impl Recoveries {
    const ORDER: [Behaviour; 4] = [Behaviour::Clear, Behaviour::Turn, Behaviour::Clear, Behaviour::Turn];

    pub(super) fn next(&mut self, cause: Cause) -> Option<Behaviour> {
        self.cause = Some(cause);
        let behaviour = Self::ORDER.get(self.tried).copied();
        self.tried += 1;
        behaviour
    }

    pub(super) fn plan_came(&mut self) {
        if self.cause != Some(Cause::NoCommand) {
            self.tried = 0;
        }
    }

    pub(super) fn command_came(&mut self) {
        if self.cause == Some(Cause::NoCommand) {
            self.tried = 0;
        }
    }
}

/// A full turn to the left.
#[derive(Debug, Clone, Copy)]
pub(super) struct FullTurn {
    begin: f64,
    is_beyond_half: bool,
}

impl FullTurn {
    pub(super) fn begin(robot: Pose) -> Self {
        Self { begin: robot.yaw, is_beyond_half: false }
    }

    /// The next command; `None` when the turn is over, or something is in its way.
    pub(super) fn next_command(&mut self, grid: &CostGrid, footprint: &Footprint, robot: Pose) -> Option<Velocity> {
        let to_begin = shortest_turn(robot.yaw, self.begin).abs();
        if self.is_beyond_half && to_begin <= TOLERANCE {
            return None;
        }
        let left = if self.is_beyond_half {
            to_begin
        } else {
            let to_half = shortest_turn(robot.yaw, self.begin + PI).abs();
            self.is_beyond_half = to_half < TOLERANCE;
            PI + to_half
        };
        let headings = (0..).map(|step| f64::from(step) * GRANULARITY).take_while(|turned| *turned < left);
        let is_free = headings
            .into_iter()
            .all(|turned| outline_is_free(grid, footprint, Pose { yaw: robot.yaw + turned, ..robot }));
        let angular = (2.0 * ACCELERATION * left).sqrt().clamp(SLOWEST, FASTEST);
        is_free.then_some(Velocity { linear: 0.0, angular })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::costmap::CostmapSettings;
    use crate::grid::{Cell, FREE, LETHAL};
    use planner_tuner_core::pose::Position;

    #[test]
    fn a_turn_comes_full_circle() {
        let grid = CostGrid::filled(CostmapSettings::global().geometry, FREE);
        let mut robot = Pose { position: Position { x: 0.0, y: 0.0 }, yaw: 1.0 };
        let mut turn = FullTurn::begin(robot);
        let mut cycles = 0;
        while let Some(command) = turn.next_command(&grid, &Footprint::jackal(), robot) {
            robot.yaw += command.angular * 0.05;
            cycles += 1;
            assert!(cycles < 100);
        }
        assert!((robot.yaw - 1.0 - 2.0 * PI).abs() < 0.2, "{}", robot.yaw);
    }

    #[test]
    fn an_obstacle_in_its_way_ends_it() {
        let mut grid = CostGrid::filled(CostmapSettings::global().geometry, FREE);
        let robot = Pose { position: Position { x: 0.0, y: 0.0 }, yaw: 0.0 };
        let beside = grid.geometry().cell_at(0.0, 0.35).unwrap_or(Cell { x: 0, y: 0 });
        grid.set(beside, LETHAL);
        assert_eq!(FullTurn::begin(robot).next_command(&grid, &Footprint::jackal(), robot), None);
    }

    #[test]
    fn four_behaviours_then_none_and_the_count_starts_again() {
        let mut recoveries = Recoveries::default();
        let tried: Vec<_> = (0..5).map(|_| recoveries.next(Cause::NoCommand)).collect();
        assert_eq!(tried.iter().filter(|behaviour| behaviour.is_some()).count(), 4);
        assert_eq!(tried.last(), Some(&None));
        recoveries.plan_came();
        assert_eq!(recoveries.next(Cause::NoCommand), None);
        recoveries.command_came();
        assert_eq!(recoveries.next(Cause::NoPlan), Some(Behaviour::Clear));
    }
}
