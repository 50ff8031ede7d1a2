//! From decisions and events to the steps of episodes. Pure: no clock, no file; recordings and robots use the same.

use std::sync::Arc;
use std::time::Duration;

use super::log::LogEntry;
use super::{
    ChosenController, Ending, FrameNumber, LogHead, MadeDecision, ParameterOutcome, RewardTerms, RewardWeights,
    Session, Step, Truncation,
};
use crate::drive::{EpisodeEvent, Pose, Position};
use planner_tuner_core::frame::Stamp;
use planner_tuner_core::numbers::Feature;

/// How decisions become episodes.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeRules {
    /// The longest time between two decisions of one episode.
    pub max_gap: Duration,
    /// The longest episode, seconds; `None` for no limit.
    pub time_out: Option<f64>,
    /// What a step is worth.
    pub weights: RewardWeights,
    /// Goes into the names of episodes, so that those of another run are called otherwise.
    pub run: String,
}

/// Puts steps together: each is known in full when the next decision is made, or when something ends the episode.
#[derive(Debug)]
pub struct EpisodeRecorder {
    /// Of the next episode; name and length of the feature are filled in when it begins.
    session: Session,
    rules: EpisodeRules,
    episodes: u64,
    running: Option<Running>,
    pose: Option<Pose>,
    goal: Option<Position>,
    nearest_laser_m: Option<f64>,
}

/// The episode that goes on.
#[derive(Debug)]
struct Running {
    head: Arc<LogHead>,
    began: Stamp,
    index: u64,
    decision: MadeDecision,
    pose: Option<Pose>,
    goal: Option<Position>,
    /// Told by the recording, in place of pose and goal.
    progress_m: Option<f64>,
    /// The episode ends with this step; the next decision still tells what was seen after it.
    aborted: bool,
}

impl EpisodeRecorder {
    /// For this session; its episode's name and the length of its feature are not looked at.
    pub fn new(session: Session, rules: EpisodeRules) -> Self {
        let (episodes, running, pose, goal, nearest_laser_m) = (0, None, None, None, None);
        Self { session, rules, episodes, running, pose, goal, nearest_laser_m }
    }

    /// The robot is here.
    pub fn pose(&mut self, pose: Pose) {
        self.pose = Some(pose);
    }

    /// The robot is to go there.
    pub fn goal(&mut self, goal: Position) {
        self.goal = Some(goal);
    }

    /// The mean of the ten nearest laser returns is now this; `None` when nothing came back.
    pub fn nearest_laser(&mut self, metres: Option<f64>) {
        self.nearest_laser_m = metres;
    }

    /// The goal has come nearer since the last decision, as the recording itself says.
    pub fn progress(&mut self, metres: f64) {
        if let Some(running) = &mut self.running {
            *running.progress_m.get_or_insert(0.0) += metres;
        }
    }

    /// What has become of the last decision's parameters, in their order.
    pub fn outcomes(&mut self, outcomes: impl IntoIterator<Item = ParameterOutcome>) {
        let parameters = self.running.iter_mut().flat_map(|running| &mut running.decision.parameters);
        for (parameter, outcome) in parameters.zip(outcomes) {
            parameter.outcome = outcome;
        }
    }

    /// The controller that was chosen from a bank for the last decision.
    pub fn controller(&mut self, controller: Option<ChosenController>) {
        if let Some(running) = &mut self.running {
            running.decision.controller = controller;
        }
    }

    /// Something happened. The step that it ends, if its outcome is known by that.
    pub fn event(&mut self, event: EpisodeEvent) -> Option<LogEntry> {
        let running = self.running.as_mut()?;
        match event {
            EpisodeEvent::Aborted => {
                running.aborted = true;
                None
            }
            EpisodeEvent::Cut => self.finish(),
            // Whatever happens after the goal was given up is not this episode's.
            EpisodeEvent::Success | EpisodeEvent::Collision | EpisodeEvent::TimeOut if running.aborted => None,
            EpisodeEvent::Success => self.end(Ending::Success, true, None),
            EpisodeEvent::Collision => self.end(Ending::Collision, true, None),
            EpisodeEvent::TimeOut => self.end(Ending::Truncated(Truncation::TimeOut), true, None),
        }
    }

    /// A decision is made. The step before it, whose outcome is known by that.
    pub fn decided(&mut self, decision: MadeDecision) -> Option<LogEntry> {
        let Some(running) = &self.running else {
            self.begin(decision);
            return None;
        };
        let since = decision.stamp.nanos().saturating_sub(running.decision.stamp.nanos());
        let gap = since < 0 || u128::from(since.unsigned_abs()) > self.rules.max_gap.as_nanos();
        let lasted = decision.stamp.seconds_since(running.began);
        let timed_out = self.rules.time_out.is_some_and(|limit| lasted >= limit);
        let (ending, next) = if gap {
            // Aborted before the gap or not: what followed was not seen.
            (Ending::Truncated(if running.aborted { Truncation::Aborted } else { Truncation::Gap }), None)
        } else if running.aborted {
            (Ending::Truncated(Truncation::Aborted), Some(decision.feature.clone()))
        } else if timed_out {
            (Ending::Truncated(Truncation::TimeOut), Some(decision.feature.clone()))
        } else {
            (Ending::Continues, None)
        };
        let entry = self.end(ending, !gap, next);
        match ending {
            Ending::Continues => self.go_on(decision),
            _ => self.begin(decision),
        }
        entry
    }

    /// Nothing more will be known of the last step: the recording ends, or goes on somewhere else.
    pub fn finish(&mut self) -> Option<LogEntry> {
        let aborted = self.running.as_ref()?.aborted;
        let entry =
            self.end(Ending::Truncated(if aborted { Truncation::Aborted } else { Truncation::End }), false, None);
        self.running = None;
        entry
    }

    /// Other files decide from now on: a new episode begins.
    pub fn session(&mut self, session: Session) -> Option<LogEntry> {
        let entry = self.finish();
        self.session = session;
        entry
    }

    /// The step that is running, ended this way. `outcome` says whether the robot was seen after it.
    fn end(&mut self, ending: Ending, outcome: bool, next_feature: Option<Feature>) -> Option<LogEntry> {
        let running = self.running.as_ref()?;
        let by_pose = || {
            let (before, after, goal) = (running.pose?, self.pose?, running.goal?);
            Some(distance(before.position, goal) - distance(after.position, goal))
        };
        let progress_m = running.progress_m.or_else(by_pose).filter(|metres| metres.is_finite());
        let terms = RewardTerms {
            progress_m: progress_m.filter(|_| outcome || running.progress_m.is_some()),
            nearest_laser_m: self.nearest_laser_m.filter(|_| outcome),
            collision: ending == Ending::Collision,
            success: ending == Ending::Success,
            time_out: ending == Ending::Truncated(Truncation::TimeOut),
        };
        let decision = running.decision.clone();
        let step = Step {
            stamp: decision.stamp,
            index: running.index,
            frame: FrameNumber(running.index),
            velocity: decision.velocity,
            pose: running.pose,
            goal: running.goal,
            feature: decision.feature,
            action: decision.action,
            noise: decision.noise,
            explored: decision.explored,
            parameters: decision.parameters,
            controller: decision.controller,
            terms,
            reward: running.head.weights.reward(&terms),
            ending,
            next_feature,
        };
        let entry = LogEntry { head: Arc::clone(&running.head), step, frame: decision.frame };
        if ending != Ending::Continues {
            self.running = None;
        }
        Some(entry)
    }

    fn begin(&mut self, decision: MadeDecision) {
        let planner = self.session.planner.to_lowercase();
        let episode = format!("{}_{planner}_{}_{:04}", utc(decision.stamp), self.rules.run, self.episodes);
        self.episodes += 1;
        let feature_length = decision.feature.values().len();
        let session = Session { episode, feature_length, ..self.session.clone() };
        self.running = Some(Running {
            head: Arc::new(LogHead { session, weights: self.rules.weights }),
            began: decision.stamp,
            index: 0,
            decision,
            pose: self.pose,
            goal: self.goal,
            progress_m: None,
            aborted: false,
        });
    }

    fn go_on(&mut self, decision: MadeDecision) {
        let Some(running) = &mut self.running else { return };
        running.index += 1;
        running.decision = decision;
        running.pose = self.pose;
        running.goal = self.goal;
        running.progress_m = None;
    }
}

fn distance(a: Position, b: Position) -> f64 {
    (a.x - b.x).hypot(a.y - b.y)
}

/// A stamp as a sortable name, `20231114T221320.250Z`; one that lies before 1970, or after 9999, as the nearest that doesn't.
fn utc(stamp: Stamp) -> String {
    let millis = stamp.nanos().max(0) / 1_000_000;
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%Y%m%dT%H%M%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_become_names() {
        for (seconds, name) in [
            (0, "19700101T000000.000Z"),
            (951_782_400, "20000229T000000.000Z"),
            (1_700_000_000, "20231114T221320.000Z"),
            (4_107_542_399, "21000228T235959.000Z"),
            (4_107_542_400, "21000301T000000.000Z"),
        ] {
            assert_eq!(utc(Stamp::from_nanos(seconds * 1_000_000_000)), name);
        }
        assert_eq!(utc(Stamp::from_nanos(1_700_000_000_250_999_999)), "20231114T221320.250Z");
        assert_eq!(utc(Stamp::from_nanos(-5)), "19700101T000000.000Z");
    }
}
