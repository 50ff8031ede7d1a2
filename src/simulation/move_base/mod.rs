//! What puts planners and costmaps together, as ROS 1's `move_base` does, and what it does when they fail.
//!
//! Where the original has threads, there is an order: in every cycle of 50 ms the laser's scan comes in, the local costmap is
//! updated in three cycles of four (15 Hz) and the global one in every other (10 Hz), a plan is made, a command is chosen.

mod recovery;

use planner_tuner_core::frame::render::LaserScan;
use planner_tuner_core::pose::Pose;

use crate::costmap::{Costmap, CostmapSettings, LaserMount};
use crate::footprint::Footprint;
use crate::grid::CostGrid;
use crate::navfn::Navfn;
use crate::trajectory_planner::{LocalPlanner, Outcome, PlanPose, Settings, Start, TunedParameters};
use crate::velocity::Velocity;
use recovery::{FullTurn, Recoveries};

/// Recovery begins after so long without a plan, s (`planner_patience`).
const PLANNER_PATIENCE_S: f64 = 5.0;
/// And after so long without a command, s (`controller_patience`).
const CONTROLLER_PATIENCE_S: f64 = 15.0;

/// Values for all seven parameters that are tuned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// The local planner's.
    pub planner: TunedParameters,
    /// Both costmaps', m.
    pub inflation_radius: f64,
}

impl Default for Tuning {
    /// As the original's robot starts.
    fn default() -> Self {
        Self { planner: TunedParameters::default(), inflation_radius: 0.3 }
    }
}

/// What `move_base` is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Phase {
    /// It waits for a plan.
    Planning,
    /// It follows one.
    Controlling,
    /// It turns on the spot to see more.
    Recovering,
    /// Position and heading of the goal are reached.
    Arrived,
    /// All recoveries have failed.
    GaveUp,
}

/// Drives to a goal.
#[derive(Debug, Clone)]
pub struct MoveBase {
    footprint: Footprint,
    goal: Pose,
    local: Costmap,
    global: Costmap,
    navfn: Navfn,
    planner: LocalPlanner,
    plan: Vec<PlanPose>,
    /// Scratch for the next one.
    new_plan: Vec<PlanPose>,
    phase: Phase,
    turn: Option<FullTurn>,
    recoveries: Recoveries,
    cycle: u64,
    /// When there last was a plan, and a command, s.
    last_plan: f64,
    last_command: f64,
}

impl MoveBase {
    /// Time from cycle to cycle, s.
    pub const CYCLE_S: f64 = 0.05;

    /// Begins at time 0 to drive to a goal.
    pub fn new(settings: Settings, mount: LaserMount, goal: Pose) -> Self {
        let footprint = Footprint::jackal();
        let mut move_base = Self {
            goal,
            local: Costmap::new(CostmapSettings::local(), footprint.clone(), mount),
            global: Costmap::new(CostmapSettings::global(), footprint.clone(), mount),
            navfn: Navfn::default(),
            planner: LocalPlanner::new(settings, footprint.clone()),
            footprint,
            plan: Vec::new(),
            new_plan: Vec::new(),
            phase: Phase::Planning,
            turn: None,
            recoveries: Recoveries::default(),
            cycle: 0,
            last_plan: 0.0,
            last_command: 0.0,
        };
        move_base.tune(Tuning::default());
        move_base
    }

    /// Changes the tuned parameters. The radius counts from each costmap's next update on.
    pub fn tune(&mut self, tuning: Tuning) {
        self.planner.tune(tuning.planner);
        for costmap in [&mut self.local, &mut self.global] {
            costmap.set_inflation_radius(tuning.inflation_radius);
        }
    }

    /// The tuned parameters in use.
    pub fn tuning(&self) -> Tuning {
        Tuning { planner: *self.planner.tuned(), inflation_radius: self.local.inflation_radius() }
    }

    /// Forgets what both costmaps know.
    pub fn clear_costmaps(&mut self) {
        self.local.clear();
        self.global.clear();
    }

    /// What it is doing.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The newest global plan, from the robot to the goal.
    pub fn plan(&self) -> &[PlanPose] {
        &self.plan
    }

    /// What the local planner sees.
    pub fn local_costs(&self) -> &CostGrid {
        self.local.grid()
    }

    /// A cycle: what the robot is told at this time, s.
    pub fn step(&mut self, now: f64, scan: &LaserScan, robot: Start) -> Velocity {
        self.look(scan, robot.pose);
        self.cycle += 1;
        match self.phase {
            Phase::Arrived | Phase::GaveUp => return Velocity::ZERO,
            Phase::Recovering => {
                let turn = self.turn.get_or_insert_with(|| FullTurn::begin(robot.pose));
                if let Some(command) = turn.next_command(self.local.grid(), &self.footprint, robot.pose) {
                    return command;
                }
                self.turn = None;
                self.last_plan = now;
                self.phase = Phase::Planning;
            }
            Phase::Planning | Phase::Controlling => {}
        }
        self.make_plan(now, robot.pose);
        if self.phase == Phase::Controlling { self.control(now, robot) } else { Velocity::ZERO }
    }

    fn look(&mut self, scan: &LaserScan, robot: Pose) {
        let is_due = [self.cycle % 4 != 3, self.cycle.is_multiple_of(2)];
        for (costmap, is_due) in [&mut self.local, &mut self.global].into_iter().zip(is_due) {
            if is_due {
                costmap.see(scan, robot);
                costmap.update(robot);
            }
        }
    }

    /// Where there is none, the old one is followed on.
    fn make_plan(&mut self, now: f64, robot: Pose) {
        match self.navfn.plan(self.global.grid_mut(), robot.position, self.goal, &mut self.new_plan) {
            Ok(()) => {
                std::mem::swap(&mut self.plan, &mut self.new_plan);
                self.last_plan = now;
                self.planner.set_plan(&self.plan);
                self.recoveries.plan_came();
                self.phase = Phase::Controlling;
            }
            Err(_) if self.phase == Phase::Planning && now - self.last_plan > PLANNER_PATIENCE_S => {
                self.recover(now, recovery::Cause::NoPlan);
            }
            Err(_) => {}
        }
    }

    fn control(&mut self, now: f64, robot: Start) -> Velocity {
        match self.planner.next_command(self.local.grid(), robot, |_| {}) {
            Outcome::Reached => {
                self.phase = Phase::Arrived;
                Velocity::ZERO
            }
            outcome => match outcome.command() {
                Some(command) => {
                    self.last_command = now;
                    self.recoveries.command_came();
                    command
                }
                None => {
                    if now - self.last_command > CONTROLLER_PATIENCE_S {
                        self.recover(now, recovery::Cause::NoCommand);
                    } else {
                        self.last_plan = now;
                        self.phase = Phase::Planning;
                    }
                    Velocity::ZERO
                }
            },
        }
    }

    fn recover(&mut self, now: f64, cause: recovery::Cause) {
        // Whatever is tried, planning has its whole patience again after it.
        self.last_plan = now;
        self.phase = match self.recoveries.next(cause) {
            Some(recovery::Behaviour::Clear) => Phase::Planning,
            Some(recovery::Behaviour::Turn) => Phase::Recovering,
            None => Phase::GaveUp,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::costmap::LaserMount;
    use planner_tuner_core::pose::Position;

    /// Nothing is near.
    fn scan() -> LaserScan {
        LaserScan { angle_min: 0.0, angle_increment: 0.1, range_min: 0.1, range_max: 30.0, ranges: vec![f32::INFINITY] }
    }

    #[test]
    fn without_a_way_it_waits_clears_turns_waits_clears_turns_and_gives_up() {
        let off_the_map = Pose { position: Position { x: 0.0, y: 99.0 }, yaw: 0.0 };
        let mut move_base = MoveBase::new(Settings::default(), LaserMount::JACKAL, off_the_map);
        let mut robot =
            Start { pose: Pose { position: Position { x: 0.0, y: 0.0 }, yaw: 0.0 }, velocity: Velocity::ZERO };
        let mut phases: Vec<(Phase, f64)> = Vec::new();
        for cycle in 0..2000 {
            let now = f64::from(cycle) * MoveBase::CYCLE_S;
            let command = move_base.step(now, &scan(), robot);
            robot.pose.yaw += command.angular * MoveBase::CYCLE_S;
            if phases.last().is_none_or(|(phase, _)| *phase != move_base.phase()) {
                phases.push((move_base.phase(), now));
            }
        }
        let [
            (Phase::Planning, _),
            (Phase::Recovering, first),
            (Phase::Planning, between),
            (Phase::Recovering, second),
            (Phase::Planning, _),
            (Phase::GaveUp, end),
        ] = phases[..]
        else {
            panic!("{phases:?}")
        };
        // Five seconds of patience before and after what clears, and again after each turn, which takes about four.
        assert!((first - 10.1).abs() < 0.2 && (second - between - 10.1).abs() < 0.2, "{phases:?}");
        assert!((between - first - 4.0).abs() < 0.4 && (end - 33.2).abs() < 1.0, "{phases:?}");
    }

    #[test]
    fn an_open_way_is_driven_at_once() {
        let goal = Pose { position: Position { x: 0.0, y: 3.0 }, yaw: 1.57 };
        let mut move_base = MoveBase::new(Settings::default(), LaserMount::JACKAL, goal);
        let robot = Start { pose: Pose { position: Position { x: 0.0, y: 0.0 }, yaw: 1.57 }, velocity: Velocity::ZERO };
        let command = move_base.step(0.0, &scan(), robot);
        assert_eq!(move_base.phase(), Phase::Controlling);
        assert!(command.linear > 0.1, "{command:?}");
    }
}
