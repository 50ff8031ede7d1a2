//! One step of an episode.

use super::RewardTerms;
use crate::drive::{Pose, Position};
use planner_tuner_core::frame::{BodyVelocity, Stamp};
use planner_tuner_core::numbers::Action;
use planner_tuner_core::numbers::Feature;

/// A decision, and what came of it until the next one. Known in full only then, so it is logged one decision late.
///
/// The observation after it is that of the step with the next index; the last step of an episode carries its own
/// ([`Step::next_feature`]), because no step follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Of the frame that was decided on.
    pub stamp: Stamp,
    /// Number within the episode, from 0. Where a number is left out, steps were lost: nothing leads across.
    pub index: u64,
    /// The frame in the same log.
    pub frame: FrameNumber,
    /// What the robot drove when the frame was taken.
    pub velocity: BodyVelocity,
    /// Where the robot was, when known.
    pub pose: Option<Pose>,
    /// Where it was going, when known; in the pose's frame.
    pub goal: Option<Position>,
    /// The 256 numbers that the actor saw.
    pub feature: Feature,
    /// What the actor said.
    pub action: Action,
    /// The exploration noise that was drawn for each number of the action; zeros without exploration.
    pub noise: Vec<f32>,
    /// The action after noise, cut to [-1, 1]: what the parameters were made of, and what a critic learns about.
    pub explored: Action,
    /// What was sent to the planner, in the planner file's order, and what became of each.
    pub parameters: Vec<SentParameter>,
    /// The controller that was chosen from a bank, where one is used: its values are what the planner drove with.
    pub controller: Option<ChosenController>,
    /// What the reward is made of.
    pub terms: RewardTerms,
    /// The reward that was given for the terms at the time.
    pub reward: f32,
    /// Whether the episode goes on.
    pub ending: Ending,
    /// The feature of the observation after the last step of an episode, where there was one; `None` on all others.
    pub next_feature: Option<Feature>,
}

/// Number of a frame in its log, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameNumber(pub u64);

/// A controller of a bank, as it was chosen for a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenController {
    /// Its id in Nav2's `controller_plugins`.
    pub id: String,
    /// Planner parameters, with the values that it is configured with.
    pub values: Vec<(String, f64)>,
}

/// Whether an episode goes on after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The next step belongs to the same episode.
    Continues,
    /// The robot reached its goal: nothing follows, nothing is bootstrapped.
    Success,
    /// The robot hit something: nothing follows, nothing is bootstrapped.
    Collision,
    /// The episode was cut off where it could have gone on: the value of what follows counts.
    Truncated(Truncation),
}

/// Why an episode was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Truncation {
    /// The time for it was over.
    TimeOut,
    /// The stamps jumped, or the recording has a hole.
    Gap,
    /// A new goal, or the operator's wish.
    Aborted,
    /// The recording or the log ended.
    End,
}

impl Ending {
    /// A true end: the return after it is 0.
    pub fn terminated(self) -> bool {
        matches!(self, Ending::Success | Ending::Collision)
    }

    /// A cut: the return after it is bootstrapped.
    pub fn truncated(self) -> bool {
        matches!(self, Ending::Truncated(_))
    }
}

/// A planner parameter as it was sent, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct SentParameter {
    /// As in the planner file.
    pub name: String,
    /// In the parameter's unit.
    pub value: f64,
    /// What the planner did with it.
    pub outcome: ParameterOutcome,
}

/// What became of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterOutcome {
    /// In use.
    Applied,
    /// Accepted, not in use while the planner runs.
    Stored,
    /// Refused by the planner.
    Refused,
    /// The planner does not answer.
    Unreachable,
    /// Nothing was set: shadow mode, a replay, or an outcome that was not known in time.
    NotSet,
}
