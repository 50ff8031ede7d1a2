//! The transition log: what it needs to hear beside images, and how it is told.

use futures::{FutureExt as _, StreamExt as _};
use r2r::QosProfile;
use r2r::action_msgs::msg::GoalStatusArray;
use r2r::diagnostic_msgs::msg::DiagnosticStatus;
use r2r::geometry_msgs::msg::PoseStamped;
use r2r::nav_msgs::msg::Odometry;
use r2r::sensor_msgs::msg::LaserScan;
use r2r::std_msgs::msg::Bool;
use tokio::sync::mpsc::Sender;

use super::control::Control;
use super::messages::Line;
use super::{Input, NodeError};
use vlm_planner_tuner::live::{Settings, log_needs_attention};
use vlm_planner_tuner::nav2::ParameterStatus;
use vlm_planner_tuner::planner::guard::{Level, Mode};
use vlm_planner_tuner::recording::{DriveEvent, GoalWatch, nearest_laser_of, pose_of};
use vlm_planner_tuner::transition::{EpisodeEvent, Position};

type Messages<T> = std::pin::Pin<Box<dyn futures::Stream<Item = T> + Send>>;

/// Subscriptions that only the log needs; none without a log.
pub(super) struct LogIntake {
    odometry: Messages<Odometry>,
    scans: Messages<LaserScan>,
    goals: Option<Messages<PoseStamped>>,
    statuses: Option<Messages<GoalStatusArray>>,
    collisions: Option<Messages<Bool>>,
    goal_watch: GoalWatch,
    in_collision: bool,
    inputs: Sender<Input>,
}

impl LogIntake {
    pub(super) fn subscribe(
        node: &mut r2r::Node,
        settings: &Settings,
        inputs: Sender<Input>,
    ) -> Result<Option<Self>, NodeError> {
        if settings.log_folder.is_empty() {
            return Ok(None);
        }
        let (sensor, reliable) = (QosProfile::sensor_data, QosProfile::default);
        let latched = || reliable().keep_last(1).transient_local();
        let topic = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
        let status = topic(&settings.goal_status_topic);
        let goal = topic(&settings.goal_topic);
        let collision = topic(&settings.collision_topic);
        Ok(Some(Self {
            odometry: Box::pin(node.subscribe("odometry", sensor())?),
            scans: Box::pin(node.subscribe("scan", sensor())?),
            goals: match goal {
                Some(topic) => Some(Box::pin(node.subscribe(&topic, reliable())?)),
                None => None,
            },
            statuses: match status {
                Some(topic) => Some(Box::pin(node.subscribe(&topic, latched())?)),
                None => None,
            },
            collisions: match collision {
                Some(topic) => Some(Box::pin(node.subscribe(&topic, reliable())?)),
                None => None,
            },
            goal_watch: GoalWatch::default(),
            in_collision: false,
            inputs,
        }))
    }

    /// Takes all that has come. Call after every spin.
    pub(super) fn drain(&mut self) {
        let mut events = Vec::new();
        while let Some(Some(odometry)) = self.odometry.next().now_or_never() {
            let pose = odometry.pose.pose;
            let (position, q) = (pose.position, pose.orientation);
            events.extend(pose_of(position.x, position.y, [q.x, q.y, q.z, q.w]).map(DriveEvent::Pose));
        }
        while let Some(Some(scan)) = self.scans.next().now_or_never() {
            let nearest = nearest_laser_of(scan.ranges.iter().copied(), scan.range_min, scan.range_max);
            events.extend(nearest.map(DriveEvent::NearestLaser));
        }
        while let Some(Some(Some(goal))) = self.goals.as_mut().map(|goals| goals.next().now_or_never()) {
            let position = goal.pose.position;
            let goal = Position { x: position.x, y: position.y };
            events.extend((goal.x.is_finite() && goal.y.is_finite()).then_some(DriveEvent::Goal(goal)));
        }
        while let Some(Some(Some(status))) = self.statuses.as_mut().map(|statuses| statuses.next().now_or_never()) {
            let goals = status.status_list.iter();
            let goals =
                goals.filter_map(|goal| Some((goal.goal_info.goal_id.uuid.as_slice().try_into().ok()?, goal.status)));
            let goals: Vec<([u8; 16], i8)> = goals.collect();
            events.extend(self.goal_watch.take(&goals).into_iter().map(DriveEvent::Ended));
        }
        while let Some(Some(Some(touch))) = self.collisions.as_mut().map(|touches| touches.next().now_or_never()) {
            if touch.data && !self.in_collision {
                events.push(DriveEvent::Ended(EpisodeEvent::Collision));
            }
            self.in_collision = touch.data;
        }
        for event in events {
            if self.inputs.try_send(Input::Drive(event)).is_err() {
                log::error!("the node is too busy to log {event:?}");
            }
        }
    }
}

impl Control {
    /// Tells the log of a decision, once all is known of the one before it.
    pub(super) fn log_decision(&mut self, decided: &vlm_planner_tuner::live::inference::Decided) {
        let sent = self.wanted.as_ref().filter(|_| self.mode == Mode::Active);
        if let Some(log) = &mut self.log {
            log.decided(decided, sent);
        }
    }

    /// Tells the log what became of the last decision's parameters.
    pub(super) fn log_outcomes(&mut self, statuses: &[ParameterStatus]) {
        if let Some(log) = self.log.as_mut().filter(|_| self.mode == Mode::Active) {
            log.outcomes(statuses);
        }
    }

    /// Whether steps are written, where to, and how many are missing.
    pub(super) fn log_line(&self) -> Option<DiagnosticStatus> {
        let (status, problem) = self.log.as_ref()?.status();
        let (level, message) = match problem {
            Some(problem) => (Level::Warn, format!("nothing is logged: {problem}")),
            None => (Level::Ok, format!("{} steps written", status.written)),
        };
        let (level, message) = match &status.state {
            vlm_planner_tuner::transition::log::LogState::Stopped { reason } => (Level::Error, reason.clone()),
            _ if log_needs_attention(&status) => (Level::Warn, format!("{message}, others were lost")),
            _ => (level, message),
        };
        let line = Line::new(&self.name, "transition log", level, message)
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
