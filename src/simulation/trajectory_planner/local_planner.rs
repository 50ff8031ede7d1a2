//! The local planner as `move_base` calls it (`TrajectoryPlannerROS`): follows a plan, stops at its end, turns to its heading.

use planner_tuner_core::pose::{Pose, Position};

use super::memory::Memory;
use super::plan::{FollowedPlan, PlanPose};
use super::rollout::Rollout;
use super::search::{Start, TrajectoryPlanner};
use super::settings::{Settings, TunedParameters};
use crate::angle::{shortest_turn, through_quaternion};
use crate::footprint::Footprint;
use crate::grid::CostGrid;
use crate::velocity::Velocity;

/// The goal's position is reached within this, m.
const POSITION_TOLERANCE: f64 = 0.25;
/// The goal's heading is reached within this, rad.
const HEADING_TOLERANCE: f64 = 0.157;
/// Slower is standing: m/s and rad/s.
const STANDING: Velocity = Velocity { linear: 0.01, angular: 0.01 };
/// Fastest turn at the goal, rad/s. The original reads a parameter here that nobody sets.
const TURN_AT_GOAL: f64 = 1.0;

/// What a cycle comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// A sample was chosen.
    Drive(Velocity),
    /// The goal's position is reached; the robot slows down before it turns.
    Stop(Velocity),
    /// It turns to the goal's heading.
    Turn(Velocity),
    /// Position and heading are reached.
    Reached,
    /// Nothing is legal, the last resort included.
    Blocked,
    /// There is no plan, or it is more than a metre away.
    NoPlan,
}

impl Outcome {
    /// What the robot is told; `None` when the cycle failed.
    pub fn command(&self) -> Option<Velocity> {
        match self {
            Self::Drive(velocity) | Self::Stop(velocity) | Self::Turn(velocity) => Some(*velocity),
            Self::Reached => Some(Velocity::ZERO),
            Self::Blocked | Self::NoPlan => None,
        }
    }
}

/// Follows plans on a local costmap.
#[derive(Debug, Clone)]
pub struct LocalPlanner {
    search: TrajectoryPlanner,
    plan: FollowedPlan,
    window: Vec<PlanPose>,
    turning_at_goal: bool,
    reached: bool,
}

impl LocalPlanner {
    /// A planner without a plan.
    pub fn new(settings: Settings, footprint: Footprint) -> Self {
        Self {
            search: TrajectoryPlanner::new(settings, footprint),
            plan: FollowedPlan::default(),
            window: Vec::new(),
            turning_at_goal: false,
            reached: false,
        }
    }

    /// Follows another plan.
    pub fn set_plan(&mut self, plan: &[PlanPose]) {
        self.plan.set(plan);
        self.reached = false;
    }

    /// Changes the tuned parameters.
    pub fn tune(&mut self, tuned: TunedParameters) {
        self.search.tune(tuned);
        self.reached = false;
    }

    /// The same planner with other settings altogether; plan and memory stay.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.search = self.search.with_settings(settings);
        self.reached = false;
        self
    }

    /// The tuned parameters in use.
    pub fn tuned(&self) -> &TunedParameters {
        &self.search.settings().tuned
    }

    /// What is remembered from one cycle to the next.
    pub fn memory(&self) -> &Memory {
        self.search.memory()
    }

    /// The part of the plan that is not behind the robot.
    pub fn rest_of_plan(&self) -> &[PlanPose] {
        self.plan.rest()
    }

    /// Whether position and heading of the goal have been reached since the plan was set.
    pub fn has_reached_goal(&self) -> bool {
        self.reached
    }

    /// Whether the robot turns to the goal's heading.
    pub fn is_turning_at_goal(&self) -> bool {
        self.turning_at_goal
    }

    /// A velocity for now. `inspect` sees every sample that is tried.
    pub fn next_command(&mut self, grid: &CostGrid, start: Start, mut inspect: impl FnMut(&Rollout)) -> Outcome {
        let geometry = grid.geometry();
        let half = |cells: usize| cells as f64 * geometry.resolution / 2.0;
        let reach = half(geometry.width).max(half(geometry.height));
        let Position { x, y } = start.pose.position;
        self.plan.cut_window(x, y, reach, &mut self.window);
        let Some(goal) = self.window.last().copied() else { return Outcome::NoPlan };

        let is_there = (goal.x - x).hypot(goal.y - y) <= POSITION_TOLERANCE;
        let turn = shortest_turn(through_quaternion(start.pose.yaw), through_quaternion(goal.yaw));
        if is_there && turn.abs() <= HEADING_TOLERANCE {
            self.turning_at_goal = false;
            self.reached = true;
            return Outcome::Reached;
        }
        // At the goal, too, though its choice is not used then: it changes what is remembered.
        let choice = self.search.choose(grid, &self.window, start, &mut inspect);
        if is_there {
            let (rollout, outcome) = self.arrive(grid, start, turn);
            inspect(&rollout);
            return if rollout.is_legal() { outcome } else { Outcome::Blocked };
        }
        if choice.best.is_legal() { Outcome::Drive(choice.command) } else { Outcome::Blocked }
    }

    /// Stops, then turns to the goal's heading: what this would come to, and how it is tried.
    fn arrive(&mut self, grid: &CostGrid, start: Start, turn: f64) -> (Rollout, Outcome) {
        let Velocity { linear, angular } = start.velocity;
        let is_standing = linear.abs() <= STANDING.linear && angular.abs() <= STANDING.angular;
        let start = Start {
            pose: Pose { yaw: through_quaternion(start.pose.yaw), ..start.pose },
            velocity: Velocity { angular: through_quaternion(angular), ..start.velocity },
        };
        let (command, outcome): (Velocity, fn(Velocity) -> Outcome) = if !self.turning_at_goal && !is_standing {
            (slowed(self.search.settings(), start.velocity), Outcome::Stop)
        } else {
            self.turning_at_goal = true;
            let angular = turn_rate(self.search.settings(), start.velocity.angular, turn);
            (Velocity { linear: 0.0, angular }, Outcome::Turn)
        };
        (self.search.try_out(grid, start, command), outcome(command))
    }
}

/// As slow as the brakes allow within a period.
fn slowed(settings: &Settings, Velocity { linear, angular }: Velocity) -> Velocity {
    let slow = |value: f64, limit: f64| sign(value) * (value.abs() - limit * settings.sim_period).max(0.0);
    Velocity {
        linear: slow(linear, settings.acceleration.linear),
        angular: slow(angular, settings.acceleration.angular),
    }
}

/// A yaw rate for a turn that is left: reachable from `now`, and such that the robot can stop in time.
fn turn_rate(settings: &Settings, now: f64, turn: f64) -> f64 {
    let slowest = settings.min_in_place_vel_theta;
    let limited = |rate: f64, is_left: bool| {
        if is_left { TURN_AT_GOAL.min(rate.max(slowest)) } else { (-TURN_AT_GOAL).max(rate.min(-slowest)) }
    };
    let limit = settings.acceleration.angular;
    let rate = limited(turn, turn > 0.0);
    let reachable =
        rate.abs().max(now.abs() - limit * settings.sim_period).min(now.abs() + limit * settings.sim_period);
    let rate = sign(rate) * reachable;
    let rate = sign(rate) * (2.0 * limit * turn.abs()).sqrt().min(rate.abs());
    limited(rate, rate > 0.0)
}

fn sign(value: f64) -> f64 {
    if value < 0.0 { -1.0 } else { 1.0 }
}
