//! All samples, and the choice among them (`TrajectoryPlanner::findBestPath`, `createTrajectories`).

use planner_tuner_core::pose::{Pose, Position};

use super::map_grid::MapGrid;
use super::memory::Memory;
use super::outline::{Outline, robot_cells};
use super::plan::PlanPose;
use super::rollout::{Rollout, Scorer};
use super::settings::{Settings, TunedParameters};
use crate::angle::through_quaternion;
use crate::footprint::Footprint;
use crate::grid::CostGrid;
use crate::velocity::Velocity;

/// What was chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The sample, or the last resort. Its cost is negative when there is nothing to do but to stand.
    pub best: Rollout,
    /// What the robot is to do: the sample, its yaw rate through a quaternion once more.
    pub command: Velocity,
}

/// Samples velocities, drives them forward on a costmap, and chooses one. Holds what it remembers, and its scratch.
#[derive(Debug, Clone)]
pub struct TrajectoryPlanner {
    settings: Settings,
    outline: Outline,
    path: MapGrid,
    goal: MapGrid,
    under_robot: Vec<usize>,
    memory: Memory,
}

/// The window of velocities that can be reached, and how it is sampled.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: Velocity,
    step: Velocity,
}

impl TrajectoryPlanner {
    /// A planner that remembers nothing.
    pub fn new(settings: Settings, footprint: Footprint) -> Self {
        Self {
            settings,
            outline: Outline::new(footprint),
            path: MapGrid::default(),
            goal: MapGrid::default(),
            under_robot: Vec::new(),
            memory: Memory::default(),
        }
    }

    /// The settings in use.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The same planner with other settings; its memory stays.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Changes the tuned parameters. What is remembered stays.
    pub fn tune(&mut self, tuned: TunedParameters) {
        self.settings.tuned = tuned;
    }

    /// What is remembered.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Goes on from another memory.
    pub fn remember(&mut self, memory: Memory) {
        self.memory = memory;
    }

    /// Chooses a velocity. `plan` is the window of the plan that counts; `inspect` sees every sample in the order of trying.
    pub fn choose(
        &mut self,
        grid: &CostGrid,
        plan: &[PlanPose],
        start: Start,
        mut inspect: impl FnMut(&Rollout),
    ) -> Choice {
        let start = start.rounded();
        robot_cells(grid, self.outline.footprint(), start.pose, &mut self.under_robot);
        self.path.measure_to_path(grid, plan, &self.under_robot);
        self.goal.measure_to_goal(grid, plan);
        self.outline.look_at(grid);
        let scorer =
            Scorer { settings: &self.settings, grid, outline: &self.outline, path: &self.path, goal: &self.goal };
        let mut try_out = |sample: Velocity| {
            let rollout = scorer.drive(start.pose, start.velocity, sample);
            inspect(&rollout);
            rollout
        };
        let goal = plan.last().map(|pose| [pose.x, pose.y]);
        let window = window(&self.settings, start, goal);
        let mut best = Rollout::NONE;
        if !self.memory.escape.escaping {
            best = best_ahead(&self.settings, window, &mut try_out);
        }
        best = best_in_place(&scorer, window, &self.memory, best, &mut try_out);

        let Memory { oscillation, escape } = &mut self.memory;
        let Pose { position, .. } = start.pose;
        if best.is_legal() {
            if best.velocity.linear <= 0.0 {
                oscillation.turned(best.velocity.angular, position);
            }
            oscillation.moved_to(position, &self.settings);
            escape.moved_to(start.pose, &self.settings);
        } else {
            // Nothing is legal: back out, whatever it costs.
            best = try_out(Velocity { linear: self.settings.escape_vel, angular: 0.0 });
            oscillation.moved_to(position, &self.settings);
            if best.cost > -2.0 {
                escape.begin(start.pose);
            }
            escape.moved_to(start.pose, &self.settings);
            if best.cost == -1.0 {
                best.cost = 1.0;
            }
        }
        let command = match best.is_legal() {
            true => Velocity { angular: through_quaternion(best.velocity.angular), ..best.velocity },
            false => Velocity::ZERO,
        };
        Choice { best, command }
    }

    /// One velocity driven from here, on the distances of the last choice. Nothing is rounded.
    pub(super) fn try_out(&self, grid: &CostGrid, start: Start, sample: Velocity) -> Rollout {
        let scorer =
            Scorer { settings: &self.settings, grid, outline: &self.outline, path: &self.path, goal: &self.goal };
        scorer.drive(start.pose, start.velocity, sample)
    }
}

/// Where the robot is, and how it moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start {
    /// In the costmap's frame.
    pub pose: Pose,
    /// In the robot's frame.
    pub velocity: Velocity,
}

impl Start {
    /// As the search sees it: angles through quaternions, all through f32 (`Eigen::Vector3f`).
    pub fn rounded(self) -> Self {
        let round = |value: f64| f64::from(value as f32);
        let Pose { position: Position { x, y }, yaw } = self.pose;
        Self {
            pose: Pose { position: Position { x: round(x), y: round(y) }, yaw: round(through_quaternion(yaw)) },
            velocity: Velocity {
                linear: round(self.velocity.linear),
                angular: round(through_quaternion(self.velocity.angular)),
            },
        }
    }
}

/// What can be reached within a period, cut so that the robot does not drive past the plan's end.
fn window(settings: &Settings, start: Start, goal: Option<[f64; 2]>) -> Window {
    let Settings { tuned, acceleration, sim_time, sim_period, .. } = settings;
    let Start { pose: Pose { position, .. }, velocity } = start;
    let fastest =
        goal.map_or(tuned.max_vel_x, |[x, y]| tuned.max_vel_x.min((x - position.x).hypot(y - position.y) / sim_time));
    let max_x = fastest.min(velocity.linear + acceleration.linear * sim_period).max(settings.min_vel_x);
    let min_x = settings.min_vel_x.max(velocity.linear - acceleration.linear * sim_period);
    let max_theta = tuned.max_vel_theta.min(velocity.angular + acceleration.angular * sim_period);
    let min_theta = settings.min_vel_theta.max(velocity.angular - acceleration.angular * sim_period);
    let steps = |samples: u32| f64::from(samples) - 1.0;
    Window {
        from: Velocity { linear: min_x, angular: min_theta },
        step: Velocity {
            linear: (max_x - min_x) / steps(tuned.vx_samples),
            angular: (max_theta - min_theta) / steps(tuned.vtheta_samples),
        },
    }
}

/// The best sample that moves ahead: straight on first, then every yaw rate but the last, at each velocity.
fn best_ahead(settings: &Settings, window: Window, try_out: &mut impl FnMut(Velocity) -> Rollout) -> Rollout {
    let mut best = Rollout::NONE;
    let mut consider = |linear: f64, angular: f64| {
        let rollout = try_out(Velocity { linear, angular });
        if rollout.beats(&best) {
            best = rollout;
        }
    };
    // Sums, not products: their last bits are the original's.
    let mut linear = window.from.linear;
    for _ in 0..settings.tuned.vx_samples {
        consider(linear, 0.0);
        let mut angular = window.from.angular;
        for _ in 1..settings.tuned.vtheta_samples {
            consider(linear, angular);
            angular += window.step.angular;
        }
        linear += window.step.linear;
    }
    best
}

/// The best of `best` and the turns in place. Among turns that are as good, the one that looks at the goal.
fn best_in_place(
    scorer: &Scorer<'_>,
    window: Window,
    memory: &Memory,
    mut best: Rollout,
    try_out: &mut impl FnMut(Velocity) -> Rollout,
) -> Rollout {
    let settings = scorer.settings;
    let slowest = settings.min_in_place_vel_theta;
    let mut nearest_ahead = None;
    let mut angular = window.from.angular;
    for _ in 0..settings.tuned.vtheta_samples {
        let limited = if angular > 0.0 { angular.max(slowest) } else { angular.min(-slowest) };
        let rollout = try_out(Velocity { linear: 0.0, angular: limited });
        let is_as_good = rollout.is_legal() && (rollout.cost <= best.cost || !best.is_legal());
        if is_as_good && (angular > window.step.angular || angular < -window.step.angular) {
            let Pose { position: Position { x, y }, yaw } = rollout.end;
            let (sin, cos) = yaw.sin_cos();
            let geometry = scorer.grid.geometry();
            let ahead = geometry
                .cell_at(x + settings.heading_lookahead * cos, y + settings.heading_lookahead * sin)
                .map(|cell| scorer.goal.distance(cell));
            if let Some(ahead) = ahead
                && nearest_ahead.is_none_or(|nearest| ahead < nearest)
                && memory.oscillation.allows(angular)
            {
                best = rollout;
                nearest_ahead = Some(ahead);
            }
        }
        angular += window.step.angular;
    }
    best
}
