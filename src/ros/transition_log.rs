//! The transition log: what it needs to hear beside images, and how it is told.

use std::path::PathBuf;

use r2r::diagnostic_msgs::msg::DiagnosticStatus;
use r2r::geometry_msgs::msg::PoseStamped;
use r2r::nav_msgs::msg::Odometry;
use r2r::sensor_msgs::msg::LaserScan;
use r2r::std_msgs::msg::Bool;
use tokio::sync::mpsc::Sender;

use super::intake::{Messages, next, subscribe};
use super::messages::{Line, Source};
use super::{Input, NodeError};
use vlm_planner_tuner::drive::{EpisodeEvent, Position};
use vlm_planner_tuner::live::inference::Decided;
use vlm_planner_tuner::live::{NodeLog, Settings, Subscription, log_needs_attention};
use vlm_planner_tuner::nav2::{BankedController, ParameterStatus};
use vlm_planner_tuner::planner::guard::Level;
use vlm_planner_tuner::planner::{PlannerParameters, PlannerSpec};
use vlm_planner_tuner::recording::{DriveEvent, nearest_laser_of, pose_of};

/// What the log hears: subscriptions that it alone needs, and what [`super::intake`] hands on.
pub(super) struct LogIntake {
    goals: Option<Messages<PoseStamped>>,
    collisions: Option<Messages<Bool>>,
    in_collision: bool,
    inputs: Sender<Input>,
}

impl LogIntake {
    /// `None` without a log.
    pub(super) fn subscribe(
        node: &mut r2r::Node,
        settings: &Settings,
        inputs: Sender<Input>,
    ) -> Result<Option<Self>, NodeError> {
        if settings.log_folder.is_empty() {
            return Ok(None);
        }
        let goals = subscribe(node, Subscription::Goal.topic(settings))?;
        let collisions = subscribe(node, Subscription::Collision.topic(settings))?;
        Ok(Some(Self { goals, collisions, in_collision: false, inputs }))
    }

    pub(super) fn take_odometry(&self, odometry: &Odometry) {
        let (position, q) = (&odometry.pose.pose.position, &odometry.pose.pose.orientation);
        self.tell(pose_of(position.x, position.y, [q.x, q.y, q.z, q.w]).map(DriveEvent::Pose));
    }

    pub(super) fn take_scan(&self, scan: &LaserScan) {
        let nearest = nearest_laser_of(scan.ranges.iter().copied(), scan.range_min, scan.range_max);
        self.tell([DriveEvent::NearestLaser(nearest)]);
    }

    pub(super) fn take_ends(&self, ends: Vec<EpisodeEvent>) {
        self.tell(ends.into_iter().map(DriveEvent::Ended));
    }

    /// Takes all that has come. Call after every spin.
    pub(super) fn drain(&mut self) {
        while let Some(goal) = next(&mut self.goals) {
            let position = goal.pose.position;
            let goal = Position { x: position.x, y: position.y };
            self.tell((goal.x.is_finite() && goal.y.is_finite()).then_some(DriveEvent::Goal(goal)));
        }
        while let Some(touch) = next(&mut self.collisions) {
            let begins = touch.data && !self.in_collision;
            self.in_collision = touch.data;
            self.tell(begins.then_some(DriveEvent::Ended(EpisodeEvent::Collision)));
        }
    }

    fn tell(&self, events: impl IntoIterator<Item = DriveEvent>) {
        for event in events {
            if self.inputs.try_send(Input::Drive(event)).is_err() {
                log::error!("the node is too busy to log {event:?}");
            }
        }
    }
}

/// The log itself, where there is one.
pub(super) struct StepLog(Option<NodeLog>);

impl StepLog {
    /// Opens the log, if the settings name a folder for it.
    pub(super) fn start(settings: &Settings, planner: &PlannerSpec) -> Result<Self, NodeError> {
        Ok(Self(NodeLog::start(settings, planner)?))
    }

    /// The model is there, with the policy that it started with or another.
    pub(super) fn model_is_there(&mut self, policy: Option<PathBuf>) {
        if let Some(log) = &mut self.0 {
            log.model_is_there(policy);
        }
    }

    pub(super) fn event(&mut self, event: DriveEvent) {
        if let Some(log) = &mut self.0 {
            log.event(event);
        }
    }

    /// A decision was made, and these parameters were sent; all is known of the decision before it.
    pub(super) fn decided(&mut self, decided: &Decided, sent: Option<&PlannerParameters>) {
        if let Some(log) = &mut self.0 {
            log.decided(decided, sent);
        }
    }

    /// What became of the last decision's parameters.
    pub(super) fn outcomes(&mut self, statuses: &[ParameterStatus], controller: Option<&BankedController>) {
        if let Some(log) = &mut self.0 {
            log.outcomes(statuses);
            log.controller(controller);
        }
    }

    pub(super) fn close(self) {
        if let Some(log) = self.0 {
            log.close();
        }
    }

    /// Whether steps are written, where to, and how many are missing.
    pub(super) fn line(&self, source: &Source) -> Option<DiagnosticStatus> {
        let (status, problem) = self.0.as_ref()?.status();
        let (level, message) = match problem {
            Some(problem) => (Level::Warn, format!("nothing is logged: {problem}")),
            None => (Level::Ok, format!("{} steps written", status.written)),
        };
        let (level, message) = match &status.state {
            vlm_planner_tuner::transition::log::LogState::Stopped { reason } => (Level::Error, reason.clone()),
            _ if log_needs_attention(&status) => (Level::Warn, format!("{message}, others were lost")),
            _ => (level, message),
        };
        let line = Line::new(source, "transition log", level, message)
            .value("state", status.state.as_str())
            .value("file", status.file.map_or("none".into(), |file| file.display().to_string()))
            .value("free_bytes", status.free_bytes.map_or("unknown".into(), |free| free.to_string()))
            .value("written", status.written)
            .value("dropped", status.dropped)
            .value("lost", status.lost)
            .value("refused", status.refused);
        Some(line.done())
    }
}
