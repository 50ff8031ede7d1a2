//! What happened on a recorded drive, beside its images: where the robot was, where it was going, how it ended.

use std::collections::HashMap;
use std::path::Path;

use super::bag_file;
use super::drive_message::{BOOL, GOAL_STATUS, GoalStatus, POSE_STAMPED, boolean, goal, goal_statuses, nearest_laser};
use super::locate::Located;
use super::message::ODOMETRY;
use super::robots::Robots;
use super::run_table::run_events;
use super::scene_message::{LASER_SCAN, odometry, scan};
use super::{RecordingError, Topic};
use crate::drive::{EpisodeEvent, Pose, Position};
use planner_tuner_core::frame::Stamp;
use planner_tuner_core::scene::{GoalChange, SpatialPose};

/// Topics that tell how a drive went. `None` takes what is unambiguous, and nothing where nothing is.
#[derive(Debug, Clone, Default)]
pub struct DriveTopics {
    /// `nav_msgs/msg/Odometry`; without a choice the only one.
    pub odometry: Option<String>,
    /// `sensor_msgs/msg/LaserScan`; without a choice the only one.
    pub scan: Option<String>,
    /// A topic that the images or velocities came from: of several robots, the one that it belongs to is followed.
    pub followed: Option<String>,
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
    /// The mean of the ten nearest laser returns, metres; `None` when nothing came back.
    NearestLaser(Option<f64>),
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
        // What cannot be opened has been counted when the images were looked for.
        let mut opened: Vec<_> = files.into_iter().filter_map(|file| bag_file::open(file).ok()).collect();
        let mut known: Vec<Topic> = Vec::new();
        for file in &mut opened {
            let topics = file.scan(&mut |_, _, _| ())?.topics;
            known.extend(topics.into_iter().filter(|topic| !known.contains(topic)).collect::<Vec<_>>());
        }
        let mut robots = Robots::among(&known);
        let told = [&topics.followed, &topics.odometry, &topics.scan, &topics.goal_status, &topics.goal];
        told.into_iter().flatten().for_each(|topic| robots.follow(path, topic));
        let chosen = Chosen { wishes: topics, topics: &known, robots };
        let mut state = State::default();
        for file in &mut opened {
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
    NearestLaser(Option<f64>),
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
            Source::Laser => Some(Self::NearestLaser(nearest_laser(&scan(payload, log_time).ok()?.scan))),
            Source::Collision => boolean(payload).ok().map(Self::Touches),
            Source::GoalStatus => goal_statuses(payload).ok().map(Self::Goals),
        }
    }
}

/// The topics of a recording, and which of them are wanted.
struct Chosen<'a> {
    wishes: &'a DriveTopics,
    topics: &'a [Topic],
    robots: Robots<'a>,
}

impl Chosen<'_> {
    fn source(&self, topic: &Topic) -> Option<Source> {
        let is = |wish: &Option<String>, usual: &str| match wish {
            Some(wish) => topic.name == *wish,
            None => {
                let is_usual = !usual.is_empty() && topic.name.trim_start_matches('/').ends_with(usual);
                is_usual && self.robots.is_of_followed(&topic.name)
            }
        };
        let only = || {
            let same = |other: &&Topic| other.type_name == topic.type_name && self.robots.is_of_followed(&other.name);
            self.robots.is_of_followed(&topic.name) && self.topics.iter().filter(same).count() == 1
        };
        let source = match topic.type_name.as_str() {
            ODOMETRY if is(&self.wishes.odometry, "") || self.wishes.odometry.is_none() && only() => Source::Odometry,
            GOAL_STATUS if is(&self.wishes.goal_status, "navigate_to_pose/_action/status") => Source::GoalStatus,
            POSE_STAMPED if is(&self.wishes.goal, "goal_pose") => Source::Goal,
            BOOL if is(&self.wishes.collision, "") => Source::Collision,
            LASER_SCAN if is(&self.wishes.scan, "") || self.wishes.scan.is_none() && only() => Source::Laser,
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
                return Err(RecordingError::topic(path, problem, format!("choose another with {option}"), self.topics));
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
    /// Whether a status array with goals has been seen at all.
    has_heard: bool,
}

/// What a status array tells for the first time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoalNews {
    /// A goal is being worked on that was not before.
    pub has_begun: bool,
    /// What ends an episode, a new goal included.
    pub ended: Vec<EpisodeEvent>,
    /// What that means for the plan.
    pub change: Option<GoalChange>,
}

impl GoalWatch {
    /// Takes a status array. A goal counts from when it was seen at work. Where none is at work any more, the plan is
    /// over; so it is when the first array has only goals that ended before anybody listened.
    pub fn take(&mut self, statuses: &[GoalStatus]) -> GoalNews {
        const ACCEPTED: i8 = 1;
        const CANCELING: i8 = 3;
        const SUCCEEDED: i8 = 4;
        const ABORTED: i8 = 6;
        let (mut begun, mut events) = (None::<Stamp>, Vec::new());
        let was_at_work = self.active.values().any(|active| *active);
        for GoalStatus { id, accepted, status } in statuses {
            match *status {
                ACCEPTED..=CANCELING if !self.active.contains_key(id) => {
                    // A new goal ends whatever was going on.
                    events.push(EpisodeEvent::Aborted);
                    begun = begun.max(Some(*accepted));
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
        self.active.retain(|id, active| *active || statuses.iter().any(|known| known.id == *id));
        // An end comes before a beginning, in whatever order the array has them.
        events.sort_by_key(|event| *event == EpisodeEvent::Aborted);
        let is_first = !self.has_heard;
        self.has_heard |= !statuses.is_empty();
        let is_at_work = self.active.values().any(|active| *active);
        let is_over = !is_at_work && (was_at_work || is_first && !statuses.is_empty());
        let change = begun.map(GoalChange::Began).or_else(|| is_over.then_some(GoalChange::Ended));
        GoalNews { has_begun: begun.is_some(), ended: events, change }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(id: [u8; 16], seconds: i64, status: i8) -> GoalStatus {
        GoalStatus { id, accepted: Stamp::from_nanos(seconds * 1_000_000_000), status }
    }

    #[test]
    fn a_plan_is_over_when_no_goal_is_at_work_any_more() {
        let (a, b) = ([1; 16], [2; 16]);
        let began = |seconds: i64| Some(GoalChange::Began(Stamp::from_nanos(seconds * 1_000_000_000)));
        let mut watch = GoalWatch::default();
        assert_eq!(watch.take(&[]).change, None);
        assert_eq!(watch.take(&[goal(a, 1, 4)]).change, Some(GoalChange::Ended), "over before anybody listened");
        assert_eq!(watch.take(&[goal(a, 1, 4)]).change, None, "told again");
        assert_eq!(watch.take(&[goal(a, 1, 4), goal(b, 7, 1)]).change, began(7));
        assert_eq!(watch.take(&[goal(b, 7, 2)]).change, None);
        let c = [3; 16];
        assert_eq!(watch.take(&[goal(b, 7, 2), goal(c, 9, 1)]).change, began(9), "another goal takes over");
        assert_eq!(watch.take(&[goal(b, 7, 6), goal(c, 9, 2)]).change, None, "the new one goes on");
        assert_eq!(watch.take(&[goal(c, 9, 5)]).change, Some(GoalChange::Ended), "cancelled");
    }

    #[test]
    fn a_goal_counts_from_when_it_was_seen_at_work() {
        use EpisodeEvent::{Aborted, Success};
        let (a, b) = ([1; 16], [2; 16]);
        let mut watch = GoalWatch::default();
        let mut take = |statuses: &[([u8; 16], i8)]| {
            let news = watch.take(&statuses.iter().map(|&(id, status)| goal(id, 0, status)).collect::<Vec<_>>());
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
