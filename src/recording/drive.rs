//! What happened on a recorded drive, beside its images: where the robot was, where it was going, how it ended.

use std::collections::HashMap;
use std::path::Path;

use super::bag_file;
use super::drive_message::{BOOL, GOAL_STATUS, GoalStatus, POSE_STAMPED, boolean, goal, goal_statuses, nearest_laser};
use super::locate::Located;
use super::message::ODOMETRY;
use super::run_table::run_events;
use super::scene_message::{LASER_SCAN, odometry, scan};
use super::{RecordingError, Topic};
use crate::frame::Stamp;
use crate::scene::SpatialPose;
use crate::transition::{EpisodeEvent, Pose, Position};

/// Topics that tell how a drive went. `None` takes what is unambiguous, and nothing where nothing is.
#[derive(Debug, Clone, Default)]
pub struct DriveTopics {
    /// `nav_msgs/msg/Odometry`; without a choice the only one.
    pub odometry: Option<String>,
    /// `action_msgs/msg/GoalStatusArray`; without a choice that of Nav2's `navigate_to_pose`.
    pub goal_status: Option<String>,
    /// `geometry_msgs/msg/PoseStamped`; without a choice `goal_pose`.
    pub goal: Option<String>,
    /// `std_msgs/msg/Bool`, true while the robot touches something; none without a choice.
    pub collision: Option<String>,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DriveEvent {
    /// The robot was here.
    Pose(Pose),
    /// It was to go there.
    Goal(Position),
    /// The mean of the ten nearest laser returns, metres.
    NearestLaser(f64),
    /// The goal has come nearer by this since the last image, metres.
    Progress(f64),
    /// Something ended an episode.
    Ended(EpisodeEvent),
}

/// The events of a recording in the order they were recorded. A folder of images has those of its tables.
#[derive(Debug)]
pub struct Drive {
    events: std::iter::Peekable<std::vec::IntoIter<(Stamp, DriveEvent)>>,
}

impl Drive {
    /// Goes through a recording once more; `table` is that of an image folder, where it was chosen.
    ///
    /// # Errors
    /// [`RecordingError::Topic`] for a topic that was chosen and is not there or of another type, and for a file that
    /// cannot be opened; [`RecordingError::Table`] for a table of runs that cannot be used.
    pub fn read(path: &Path, table: Option<&Path>, topics: &DriveTopics) -> Result<Self, RecordingError> {
        let files = match Located::at(path, table)? {
            Located::Bag(files) => files,
            Located::Images { folder, table } => {
                return Ok(Self { events: run_events(&folder, table.as_deref())?.into_iter().peekable() });
            }
        };
        let mut events = Vec::new();
        let mut chosen = Chosen { wishes: topics, topics: Vec::new() };
        let mut state = State::default();
        for file in files {
            // What cannot be opened has been counted when the images were looked for.
            let Ok(mut file) = bag_file::open(file) else { continue };
            let scan = file.scan(&mut |_, _, _| ())?;
            chosen.topics.extend(scan.topics);
            let wanted = |topic: &Topic| chosen.source(topic).is_some();
            let mut readings = Vec::new();
            file.messages(&wanted, &mut |topic, log_time, payload| {
                let reading = chosen.source(topic).and_then(|source| Reading::of(source, payload, log_time));
                readings.extend(reading.map(|reading| (log_time, reading)));
            })?;
            readings.sort_by_key(|(log_time, _)| *log_time);
            let mut happened = |(log_time, reading)| {
                let happened = state.take(reading);
                happened.into_iter().map(move |event| (log_time, event))
            };
            events.extend(readings.into_iter().flat_map(&mut happened));
        }
        chosen.check(path)?;
        // Where the robot was counts before what happened to it at the same time, however the file has them.
        events.sort_by_key(|(log_time, event)| (*log_time, matches!(event, DriveEvent::Ended(_))));
        Ok(Self { events: events.into_iter().peekable() })
    }

    /// The next event that was recorded before this, or at the same time.
    pub fn next_until(&mut self, log_time: Stamp) -> Option<DriveEvent> {
        self.events.next_if(|(at, _)| *at <= log_time).map(|(_, event)| event)
    }

    /// Events that are still to come.
    pub fn remaining(&self) -> usize {
        self.events.len()
    }
}

/// What a topic is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Odometry,
    GoalStatus,
    Goal,
    Collision,
    Laser,
}

/// What a message says.
enum Reading {
    Pose(Pose),
    Goal(Position),
    NearestLaser(f64),
    Touches(bool),
    Goals(Vec<GoalStatus>),
}

impl Reading {
    /// `None` for a message that does not read as its type, or says nothing that can be used.
    fn of(source: Source, payload: &[u8], log_time: Stamp) -> Option<Self> {
        match source {
            Source::Odometry => {
                let SpatialPose { position: [x, y, _], orientation } = odometry(payload, log_time).ok()?.pose;
                pose_of(x, y, orientation).map(Self::Pose)
            }
            Source::Goal => goal(payload).ok().flatten().map(Self::Goal),
            Source::Laser => nearest_laser(&scan(payload, log_time).ok()?.scan).map(Self::NearestLaser),
            Source::Collision => boolean(payload).ok().map(Self::Touches),
            Source::GoalStatus => goal_statuses(payload).ok().map(Self::Goals),
        }
    }
}

/// The topics of a recording, and which of them are wanted.
struct Chosen<'a> {
    wishes: &'a DriveTopics,
    topics: Vec<Topic>,
}

impl Chosen<'_> {
    fn source(&self, topic: &Topic) -> Option<Source> {
        let is = |wish: &Option<String>, usual: &str| match wish {
            Some(wish) => topic.name == *wish,
            None => !usual.is_empty() && topic.name.trim_start_matches('/').ends_with(usual),
        };
        let only = || self.topics.iter().filter(|other| other.type_name == topic.type_name).count() == 1;
        let source = match topic.type_name.as_str() {
            ODOMETRY if is(&self.wishes.odometry, "") || self.wishes.odometry.is_none() && only() => Source::Odometry,
            GOAL_STATUS if is(&self.wishes.goal_status, "navigate_to_pose/_action/status") => Source::GoalStatus,
            POSE_STAMPED if is(&self.wishes.goal, "goal_pose") => Source::Goal,
            BOOL if is(&self.wishes.collision, "") => Source::Collision,
            LASER_SCAN if only() => Source::Laser,
            _ => return None,
        };
        (topic.encoding == "cdr").then_some(source)
    }

    /// A topic that was chosen must be there.
    fn check(&self, path: &Path) -> Result<(), RecordingError> {
        for (wish, option, expected, source) in [
            (&self.wishes.goal_status, "--goal-status-topic", GOAL_STATUS, Source::GoalStatus),
            (&self.wishes.goal, "--goal-topic", POSE_STAMPED, Source::Goal),
            (&self.wishes.collision, "--collision-topic", BOOL, Source::Collision),
        ] {
            let Some(wish) = wish else { continue };
            if !self.topics.iter().any(|topic| self.source(topic) == Some(source)) {
                let problem = format!("there is no topic {wish} of type {expected} in cdr");
                return Err(RecordingError::topic(
                    path,
                    problem,
                    format!("choose another with {option}"),
                    &self.topics,
                ));
            }
        }
        Ok(())
    }
}

/// What carries over from one message to the next.
#[derive(Default)]
struct State {
    in_collision: bool,
    goals: GoalWatch,
}

impl State {
    fn take(&mut self, reading: Reading) -> Vec<DriveEvent> {
        match reading {
            Reading::Pose(pose) => vec![DriveEvent::Pose(pose)],
            Reading::Goal(goal) => vec![DriveEvent::Goal(goal)],
            Reading::NearestLaser(metres) => vec![DriveEvent::NearestLaser(metres)],
            Reading::Touches(touches) => {
                let begins = touches && !self.in_collision;
                self.in_collision = touches;
                begins.then_some(DriveEvent::Ended(EpisodeEvent::Collision)).into_iter().collect()
            }
            Reading::Goals(statuses) => self.goals.take(&statuses).ended.into_iter().map(DriveEvent::Ended).collect(),
        }
    }
}

/// A planar pose from a position and a quaternion (x, y, z, w); `None` when it is not finite, or the quaternion says
/// nothing.
pub fn pose_of(x: f64, y: f64, [qx, qy, qz, qw]: [f64; 4]) -> Option<Pose> {
    let yaw = (2.0 * (qw * qz + qx * qy)).atan2(1.0 - 2.0 * (qy * qy + qz * qz));
    let norm = qx * qx + qy * qy + qz * qz + qw * qw;
    let is_rotation = (0.9..1.1).contains(&norm);
    (x.is_finite() && y.is_finite() && is_rotation).then_some(Pose { position: Position { x, y }, yaw })
}

/// Follows the goals of an action by its status topic, which repeats recent goals, finished ones too.
#[derive(Debug, Default)]
pub struct GoalWatch {
    /// Whether a goal has been seen at work, and has not ended since.
    active: HashMap<[u8; 16], bool>,
}

/// What a status array tells for the first time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoalNews {
    /// A goal is being worked on that was not before.
    pub has_begun: bool,
    /// What ends an episode, a new goal included.
    pub ended: Vec<EpisodeEvent>,
}

impl GoalWatch {
    /// Takes a status array: ids and `action_msgs/msg/GoalStatus` constants. A goal counts from when it was seen at work.
    pub fn take(&mut self, statuses: &[GoalStatus]) -> GoalNews {
        const ACCEPTED: i8 = 1;
        const CANCELING: i8 = 3;
        const SUCCEEDED: i8 = 4;
        const ABORTED: i8 = 6;
        let (mut has_begun, mut events) = (false, Vec::new());
        for (id, status) in statuses {
            match *status {
                ACCEPTED..=CANCELING if !self.active.contains_key(id) => {
                    // A new goal ends whatever was going on.
                    events.push(EpisodeEvent::Aborted);
                    has_begun = true;
                    self.active.insert(*id, true);
                }
                SUCCEEDED..=ABORTED if self.active.insert(*id, false) == Some(true) => {
                    let succeeded = *status == SUCCEEDED;
                    events.push(if succeeded { EpisodeEvent::Success } else { EpisodeEvent::Aborted });
                }
                _ => {}
            }
        }
        // Only goals that may still be told of are kept.
        self.active.retain(|id, active| *active || statuses.iter().any(|(known, _)| known == id));
        // An end comes before a beginning, in whatever order the array has them.
        events.sort_by_key(|event| *event == EpisodeEvent::Aborted);
        GoalNews { has_begun, ended: events }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_counts_from_when_it_was_seen_at_work() {
        use EpisodeEvent::{Aborted, Success};
        let (a, b) = ([1; 16], [2; 16]);
        let mut watch = GoalWatch::default();
        let mut take = |statuses: &[GoalStatus]| {
            let news = watch.take(statuses);
            (news.has_begun, news.ended)
        };
        assert_eq!(take(&[(a, 4)]), (false, vec![]), "over before the recording began");
        assert_eq!(take(&[(a, 4), (b, 1)]), (true, vec![Aborted]), "a new goal");
        assert_eq!(take(&[(a, 4), (b, 2)]), (false, vec![]));
        assert_eq!(take(&[(a, 4), (b, 4)]), (false, vec![Success]));
        assert_eq!(take(&[(a, 4), (b, 4)]), (false, vec![]), "told again");
        let c = [3; 16];
        assert_eq!(take(&[(c, 2)]), (true, vec![Aborted]));
        assert_eq!(take(&[(c, 6)]), (false, vec![Aborted]), "given up");
        assert_eq!(take(&[]), (false, vec![]));
        let d = [4; 16];
        assert_eq!(take(&[(d, 2)]), (true, vec![Aborted]));
        assert_eq!(take(&[([5; 16], 1), (d, 4)]), (true, vec![Success, Aborted]), "the end first");
    }

    #[test]
    fn only_rotations_make_a_pose() {
        assert_eq!(pose_of(1.0, 2.0, [0.0; 4]), None, "an all-zero quaternion says nothing");
        assert_eq!(pose_of(f64::NAN, 2.0, [0.0, 0.0, 0.0, 1.0]), None);
        let half = std::f64::consts::FRAC_1_SQRT_2;
        let turned = pose_of(1.0, 2.0, [0.0, 0.0, half, half]);
        assert!(turned.is_some_and(|pose| (pose.yaw - std::f64::consts::FRAC_PI_2).abs() < 1e-12));
    }
}
