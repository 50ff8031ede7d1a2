//! A rosbag2 recording whose pictures are drawn from its laser scans, plans, odometry and transforms.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clock::{ClockWatch, Times};
use super::drive_message::goal_statuses;
use super::recording::Observation;
use super::robots::{Robots, TransformTopics};
use super::scene_message;
use super::survey::{BagFiles, MessagePlace, Survey, UnreadMessage};
use super::topic::{Topic, TopicKind, TopicQuery};
use super::transform_stream::TransformStream;
use super::velocity_track::VelocityTrack;
use super::{
    Drawing, DrawingOptions, GoalWatch, RecordingError, RecordingOptions, SkipCounts, SkipReason, Skipped, StampSource,
};
use planner_tuner_core::frame::render::Renderer;
use planner_tuner_core::frame::{Stamp, StampedFrame};
use planner_tuner_core::scene::{Issue, PlanLayer, Refused, ScanMessage, Surroundings, TransformMessage};

/// An open bag. The messages are read one at a time, in the order of recording.
pub(super) struct DrawnBag {
    files: BagFiles,
    scan_topic: Topic,
    odometry_topic: Topic,
    messages: std::iter::Peekable<std::vec::IntoIter<(MessagePlace, Input)>>,
    transforms: TransformStream,
    velocities: VelocityTrack,
    stamps: StampSource,
    clocks: ClockWatch,
    surroundings: Surroundings,
    goals: GoalWatch,
    renderer: Renderer,
    /// Scans that wait for the odometry behind them, with the times they were recorded.
    waiting: VecDeque<(Stamp, ScanMessage)>,
    /// Scans that have not been yielded.
    scans_left: usize,
    losses: VecDeque<Skipped>,
}

/// What a message is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Input {
    Odometry,
    Goals,
    Plan,
    Scan,
}

/// A scan waits this long for the odometry behind it, nanoseconds of recording time. As long as in the node.
const ODOMETRY_MAY_FOLLOW: i64 = Surroundings::ODOMETRY_MAY_FOLLOW.as_nanos() as i64;
/// How far ahead the transform behind a scan is looked for, nanoseconds of recording time: as long as tf2 remembers.
const LOOK_AHEAD: i64 = 10_000_000_000;
/// The actions whose goals a plan belongs to, as Nav2 names them.
const GOALS: [&str; 2] = ["navigate_to_pose/_action/status", "navigate_through_poses/_action/status"];
/// Most scans that wait: a scanner of 300 Hz.
const MAX_WAITING: usize = 30;

impl DrawnBag {
    /// Opens the files of one recording, given in the order they were recorded.
    pub(super) fn open(
        path: &Path,
        files: Vec<PathBuf>,
        options: &RecordingOptions,
        drawing: &DrawingOptions,
        skips: &mut SkipCounts,
    ) -> Result<Self, RecordingError> {
        let is_input = |kind| !matches!(kind, TopicKind::Image | TopicKind::CompressedImage);
        let (files, mut survey) = Survey::of(files, is_input, options.stamps, skips)?;
        let mut robots = Robots::among(survey.topics());
        let chosen = [&options.odometry_topic, &drawing.scan_topic, &drawing.plan_topic];
        chosen.into_iter().flatten().for_each(|topic| robots.follow(path, topic));
        let scan_topic = robots.select(path, &TopicQuery::scan(drawing.scan_topic.as_deref()))?;
        let odometry_topic = robots.select(path, &TopicQuery::odometry(options.odometry_topic.as_deref()))?;
        let plan_topic = robots.select_if_any(path, &TopicQuery::plan(drawing.plan_topic.as_deref()), "plan")?;
        let chosen = (drawing.tf_topic.as_deref(), drawing.tf_static_topic.as_deref());
        let TransformTopics { moving, fixed } =
            robots.transforms(path, chosen, &[&odometry_topic.name, &scan_topic.name])?;
        let is_goals = |topic: &&Topic| {
            let is_usual = GOALS.iter().any(|usual| topic.name.ends_with(usual));
            topic.kind() == Some(TopicKind::GoalStatus) && is_usual && robots.is_of_followed(&topic.name)
        };
        let goal_topics: Vec<Topic> = survey.topics().iter().filter(is_goals).cloned().collect();
        if plan_topic.is_none() {
            log::warn!("{}: no plan topic (of type nav_msgs/msg/Path); pictures have no plan", path.display());
        }
        let clocks = survey.clock(&odometry_topic);
        let velocities = survey.velocities(&odometry_topic, skips);

        let of = |topic: &Topic, input| survey.places(path, topic).into_iter().map(move |place| (place, input));
        let mut messages: Vec<_> = of(&scan_topic, Input::Scan).collect();
        let scans_left = messages.len();
        if scans_left == 0 {
            return Err(RecordingError::NoImages { path: path.to_owned(), topic: scan_topic.name });
        }
        messages.extend(of(&odometry_topic, Input::Odometry));
        messages.extend(plan_topic.iter().flat_map(|topic| of(topic, Input::Plan)));
        messages.extend(goal_topics.iter().flat_map(|topic| of(topic, Input::Goals)));
        let transforms = [(moving, false), (fixed, true)].into_iter().flat_map(|(topics, are_static)| {
            let places = topics.into_iter().flat_map(|topic| survey.places(path, &topic));
            places.map(move |place| (place, are_static)).collect::<Vec<_>>()
        });
        let transforms = TransformStream::new(transforms.collect(), options.stamps);
        // What was recorded in the same moment as a scan is known when the scan is drawn.
        messages.sort_by_key(|(place, input)| (place.log_time(), *input, *place));
        Ok(Self {
            files,
            scan_topic,
            odometry_topic,
            messages: messages.into_iter().peekable(),
            transforms,
            velocities,
            stamps: options.stamps,
            clocks,
            surroundings: Surroundings::new(drawing.rules),
            goals: GoalWatch::default(),
            renderer: Renderer::new(),
            waiting: VecDeque::new(),
            scans_left,
            losses: VecDeque::new(),
        })
    }

    /// Scans that are still to come.
    pub(super) fn remaining(&self) -> usize {
        self.scans_left
    }

    pub(super) fn scan_topic(&self) -> &Topic {
        &self.scan_topic
    }

    pub(super) fn odometry_topic(&self) -> &Topic {
        &self.odometry_topic
    }

    /// What was lost beside whole frames since the last call.
    pub(super) fn take_losses(&mut self) -> impl Iterator<Item = Skipped> + '_ {
        self.losses.drain(..)
    }

    /// Whether the scan that has waited longest may be drawn.
    fn is_ready(&mut self) -> bool {
        let Some((log_time, scan)) = self.waiting.front() else { return false };
        let deadline = log_time.nanos().saturating_add(ODOMETRY_MAY_FOLLOW);
        self.surroundings.has_pose_for(scan.stamp)
            || self.waiting.len() > MAX_WAITING
            || self.messages.peek().is_none_or(|(next, _)| next.log_time().nanos() > deadline)
    }

    /// Takes the transforms that were recorded until then.
    fn take_transforms(&mut self, until: Stamp) {
        while let Some(next) = self.transforms.next_until(&mut self.files, until, |_| false) {
            self.take_transform(next);
        }
    }

    /// Looks ahead for the transforms behind a scan: between two samples lies what lies between them, however long the
    /// second one took. Not beyond a clock that is set back.
    fn look_ahead(&mut self, log_time: Stamp, scan: &ScanMessage) {
        let until = Stamp::from_nanos(log_time.nanos().saturating_add(LOOK_AHEAD));
        while self.surroundings.awaits_transforms(scan.stamp, &scan.frame) {
            let stops = |next: &TransformMessage| self.surroundings.is_set_back_by(next);
            let Some(next) = self.transforms.next_until(&mut self.files, until, stops) else { break };
            self.take_transform(next);
        }
    }

    fn take_transform(&mut self, transform: Result<TransformMessage, Skipped>) {
        match transform {
            Ok(message) => {
                let taken = self.surroundings.take_transform(&message);
                let what = format!("transform of '{}'", message.child_frame);
                self.note(taken, Issue::InvalidTransform, message.stamp, &what);
            }
            Err(lost) => self.losses.push_back(lost),
        }
    }

    /// Takes a message; a scan that cannot be read is yielded as what was lost.
    fn take(&mut self, place: MessagePlace, input: Input) -> Result<(), Skipped> {
        let log_time = place.log_time();
        let payload = self.files.payload(place);
        let lost = |reason, what: &str, problem: UnreadMessage| {
            Skipped::new(reason, Some(log_time), format!("{what} cannot be read: {problem}"))
        };
        match input {
            Input::Scan => {
                let lost = |problem: UnreadMessage| {
                    lost(SkipReason::UnreadableMessage, &format!("{}: the scan", self.scan_topic.name), problem)
                };
                let message = scene_message::scan(&payload.map_err(lost)?, log_time);
                let mut message = message.map_err(|error| lost(error.into()))?;
                message.stamp = self.stamps.choose(Some(message.stamp), log_time);
                self.waiting.push_back((log_time, message));
            }
            Input::Odometry => {
                // One that cannot be read has been counted with the velocities.
                let message = payload.ok().and_then(|payload| scene_message::odometry(&payload, log_time).ok());
                if let Some(mut message) = message {
                    message.stamp = self.stamps.choose(Some(message.stamp), log_time);
                    let taken = self.surroundings.take_odometry(&message);
                    self.note(taken, Issue::InvalidPose, message.stamp, "odometry");
                }
            }
            Input::Plan => {
                let plan = payload.and_then(|payload| Ok(scene_message::plan(&payload, log_time)?));
                match plan {
                    Ok(mut plan) => {
                        plan.stamp = self.stamps.choose(Some(plan.stamp), log_time);
                        self.surroundings.take_plan(plan);
                    }
                    Err(problem) => self.losses.push_back(lost(SkipReason::UnreadablePlan, "a plan", problem)),
                }
            }
            Input::Goals => {
                let statuses = payload.and_then(|payload| Ok(goal_statuses(&payload)?));
                match statuses {
                    Ok(statuses) => {
                        let change = self.goals.take(&statuses).change;
                        change.into_iter().for_each(|change| self.surroundings.take_goal(change));
                    }
                    Err(problem) => {
                        self.losses.push_back(lost(SkipReason::UnreadableMessage, "a goal status", problem))
                    }
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, taken: Result<(), Refused>, issue: Issue, stamp: Stamp, what: &str) {
        if let Err(refused) = taken {
            self.lose(issue, stamp, format!("{what}: {refused}"));
        }
    }

    fn lose(&mut self, issue: Issue, stamp: Stamp, message: String) {
        self.losses.push_back(Skipped::new(SkipReason::Drawing(issue), Some(stamp), message));
    }

    fn draw(&mut self, log_time: Stamp, scan: ScanMessage) -> Result<Observation, Skipped> {
        let stamp = scan.stamp;
        let refuse = |issue, message: String| Skipped::new(SkipReason::Drawing(issue), Some(stamp), message);
        self.clocks.check(&self.scan_topic, Times { log_time, stamp, was_zero: false })?;
        let velocity = self.velocities.at(log_time, stamp);
        let (velocity, velocity_age_s) = velocity.map_err(|no| no.skipped(stamp, &self.odometry_topic))?;
        self.look_ahead(log_time, &scan);
        let composed = self.surroundings.compose(scan).map_err(|no| {
            let topic = if no.is_blind() { &self.scan_topic.name } else { &self.odometry_topic.name };
            let source = if no.issue() == Issue::UndrawableScene { String::new() } else { format!("{topic}: ") };
            refuse(no.issue(), format!("{source}{no}"))
        })?;
        let scene = &composed.scene;
        let (frame, report) =
            self.renderer.draw(scene).map_err(|error| refuse(Issue::UndrawableScene, error.to_string()))?;
        let drawing = Drawing {
            robot: scene.robot,
            pose_age_s: composed.pose_age_s,
            ranges: scene.scan.ranges.len(),
            path_points: scene.path.len(),
            plan: composed.plan,
            report,
        };
        if report.nan_ranges > 0 {
            let message = format!("{} of {} ranges are NaN and were skipped", report.nan_ranges, drawing.ranges);
            self.lose(Issue::NanRanges, stamp, message);
        }
        if report.unusable_path_points > 0 {
            let (unusable, all) = (report.unusable_path_points, drawing.path_points);
            let message = format!("{unusable} of {all} path points are not finite or out of reach, the path has gaps");
            self.lose(Issue::UnusablePathPoints, stamp, message);
        }
        match &drawing.plan {
            PlanLayer::WithoutTransform(no) => {
                let message = format!("the plan was left out: {no}; --assume-same-frame draws it all the same");
                self.lose(Issue::PlanWithoutTransform, stamp, message);
            }
            PlanLayer::Stale(age_s) => {
                let message = format!(
                    "the plan was left out: it is {age_s:.1} s old; raise --max-plan-age, or leave it out to draw a plan \
                     until its goal is over"
                );
                self.lose(Issue::StalePlan, stamp, message);
            }
            PlanLayer::Drawn | PlanLayer::None | PlanLayer::GoalOver | PlanLayer::Empty => {}
        }
        let frame = StampedFrame { stamp, frame: Arc::new(frame) };
        let age_s = log_time.seconds_since(stamp);
        Ok(Observation { frame, velocity, velocity_age_s, age_s, episode: 0, drawing: Some(drawing), history: None })
    }
}

impl Iterator for DrawnBag {
    type Item = Result<Observation, Skipped>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.is_ready()
                && let Some((log_time, scan)) = self.waiting.pop_front()
            {
                self.scans_left = self.scans_left.saturating_sub(1);
                return Some(self.draw(log_time, scan));
            }
            let (place, input) = self.messages.next()?;
            self.take_transforms(place.log_time());
            if let Err(skipped) = self.take(place, input) {
                self.scans_left = self.scans_left.saturating_sub(1);
                return Some(Err(skipped));
            }
        }
    }
}
