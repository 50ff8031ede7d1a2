//! One sample, driven forward and scored (`TrajectoryPlanner::generateTrajectory`).

use planner_tuner_core::pose::{Pose, Position};

use super::map_grid::MapGrid;
use super::outline::Outline;
use super::settings::{AccelerationLimits, Settings};
use crate::footprint::Placement;
use crate::grid::CostGrid;
use crate::velocity::Velocity;

/// Why a sample cannot be driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// The robot's centre would leave the map.
    CentreOffMap,
    /// Its outline would touch an obstacle.
    Obstacle,
    /// Its outline would touch what is unknown.
    Unknown,
    /// Its outline would leave the map.
    FootprintOffMap,
    /// From there, path or goal cannot be reached.
    NoWay,
}

/// A sample and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rollout {
    /// The sampled velocity.
    pub velocity: Velocity,
    /// The lower the better; -1 for a collision, -2 where path or goal cannot be reached.
    pub cost: f64,
    /// Steps that were driven before the end, or before the rejection.
    pub steps: usize,
    /// Where the last of these steps began.
    pub end: Pose,
    /// Why it cannot be driven.
    pub rejection: Option<Rejection>,
}

impl Rollout {
    /// No sample at all.
    pub(super) const NONE: Self = Self {
        velocity: Velocity::ZERO,
        cost: -1.0,
        steps: 0,
        end: Pose { position: Position { x: 0.0, y: 0.0 }, yaw: 0.0 },
        rejection: None,
    };

    /// Whether it may be driven.
    pub fn is_legal(&self) -> bool {
        self.cost >= 0.0
    }

    /// Better than `other`: the first of equals wins.
    pub(super) fn beats(&self, other: &Self) -> bool {
        self.is_legal() && (self.cost < other.cost || !other.is_legal())
    }
}

/// What samples are scored with: settings, a costmap, and the distances on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scorer<'a> {
    pub(super) settings: &'a Settings,
    pub(super) grid: &'a CostGrid,
    pub(super) outline: &'a Outline,
    pub(super) path: &'a MapGrid,
    pub(super) goal: &'a MapGrid,
}

impl Scorer<'_> {
    /// Drives from a pose and a velocity towards a sampled one.
    pub(super) fn drive(&self, start: Pose, velocity: Velocity, sample: Velocity) -> Rollout {
        let Settings { sim_time, sim_granularity, angular_sim_granularity, .. } = *self.settings;
        // The way is what would be driven in the time; the turn is not: see the original.
        let way = sample.linear.hypot(0.0) * sim_time / sim_granularity;
        let turn = sample.angular.abs() / angular_sim_granularity;
        let count = ((way.max(turn) + 0.5) as usize).max(1);
        let dt = sim_time / count as f64;

        let geometry = self.grid.geometry();
        let impossible = self.path.obstacle_distance();
        let Pose { position: Position { mut x, mut y }, mut yaw } = start;
        let mut now = velocity;
        let mut rollout = Rollout { velocity: sample, end: start, ..Rollout::NONE };
        let (mut highest_cost, mut path_distance, mut goal_distance) = (0, 0, 0);
        for _ in 0..count {
            let pose = Pose { position: Position { x, y }, yaw };
            let Some(cell) = geometry.cell_at(x, y) else {
                rollout.rejection = Some(Rejection::CentreOffMap);
                return rollout;
            };
            let robot = Placement::of(pose);
            match self.outline.cost(self.grid, robot, cell, highest_cost) {
                Ok(cost) => highest_cost = cost,
                Err(rejection) => {
                    rollout.rejection = Some(rejection);
                    return rollout;
                }
            }
            (path_distance, goal_distance) = (self.path.distance(cell), self.goal.distance(cell));
            if goal_distance >= impossible || path_distance >= impossible {
                rollout.cost = -2.0;
                rollout.rejection = Some(Rejection::NoWay);
                return rollout;
            }
            rollout.end = pose;
            rollout.steps += 1;

            let AccelerationLimits { linear, angular } = self.settings.acceleration;
            now.linear = approach(now.linear, sample.linear, linear * dt);
            now.angular = approach(now.angular, sample.angular, angular * dt);
            let [ahead_x, ahead_y] = robot.ahead();
            x += (now.linear * ahead_x) * dt;
            y += (now.linear * ahead_y) * dt;
            yaw += now.angular * dt;
        }
        let [path_bias, goal_bias] = self.biases();
        rollout.cost = (path_bias * f64::from(path_distance) + f64::from(goal_distance) * goal_bias)
            + self.settings.occdist_scale * f64::from(highest_cost);
        rollout
    }

    /// The weights of the two distances.
    fn biases(&self) -> [f64; 2] {
        let scale = if self.settings.meter_scoring { self.grid.geometry().resolution } else { 1.0 };
        let tuned = &self.settings.tuned;
        [tuned.path_distance_bias, tuned.goal_distance_bias].map(|bias| bias * scale)
    }
}

/// A velocity that moves towards another by at most `change` (`computeNewVelocity`).
fn approach(now: f64, target: f64, change: f64) -> f64 {
    if target - now >= 0.0 { target.min(now + change) } else { target.max(now - change) }
}
