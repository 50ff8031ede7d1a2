//! What is wrong with a step that is not written, or not taken from a log.

use super::check::StepRefusal;
use planner_tuner_core::frame::FrameError;
use planner_tuner_core::numbers::NumbersError;

/// What is wrong with a step: the field, what was expected, what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepFault {
    /// Not an object of a step's fields.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// More than is ever read.
    #[error("a step of {length} bytes, at most {most} are read")]
    TooLong {
        /// Its length, bytes.
        length: usize,
        /// The limit, bytes.
        most: usize,
    },
    /// Of another session than the file's.
    #[error("{field} is '{}', the file says '{expected}'", found.escape_debug())]
    Session {
        /// Which part of the session.
        field: &'static str,
        /// What the step says.
        found: String,
        /// What the file says.
        expected: String,
    },
    /// An ending that is none.
    #[error(transparent)]
    EndingName(UnknownName),
    /// The ending and what follows from it disagree.
    #[error("ending is {ending}, terminated {terminated} and truncated {truncated}")]
    Ending {
        /// Its name.
        ending: String,
        /// Whether the step says that the episode ended.
        terminated: bool,
        /// Whether the step says that the episode was cut off.
        truncated: bool,
    },
    /// A velocity that no robot has.
    #[error(transparent)]
    Velocity(FrameError),
    /// An action out of range.
    #[error(transparent)]
    Action(NumbersError),
    /// A feature that is not finite.
    #[error(transparent)]
    Feature(NumbersError),
    /// An outcome that is none.
    #[error(transparent)]
    OutcomeName(UnknownName),
    /// A parameter's value is no number.
    #[error("{} is not a number", name.escape_debug())]
    ParameterNotANumber {
        /// The parameter.
        name: String,
    },
    /// A value of a controller is no number.
    #[error("controller {}: {} is not a number", id.escape_debug(), name.escape_debug())]
    ControllerNotANumber {
        /// The controller.
        id: String,
        /// The value's name.
        name: String,
    },
    /// Each parameter has an outcome.
    #[error("parameters and outcomes have different names")]
    OutcomeNames,
    /// A stamp before the clock's zero.
    #[error("stamp_ns is {nanos}, expected none below 0")]
    Stamp {
        /// What it says, nanoseconds.
        nanos: i64,
    },
    /// Too few or too many numbers of an action.
    #[error("{field} has {found} numbers, expected {expected}")]
    ActionLength {
        /// Which action.
        field: &'static str,
        /// Its numbers.
        found: usize,
        /// The session's parameters.
        expected: usize,
    },
    /// Noise that is not finite, or too little or too much of it.
    #[error("noise is {found:?}, expected {expected} finite numbers")]
    Noise {
        /// The noise.
        found: Vec<f32>,
        /// The session's parameters.
        expected: usize,
    },
    /// A feature of another length.
    #[error("{field} has {found} numbers, expected {expected}")]
    FeatureLength {
        /// Which feature.
        field: &'static str,
        /// Its numbers.
        found: usize,
        /// The session's length.
        expected: usize,
    },
    /// Other parameters than the session's, or in another order.
    #[error("parameters are {found}, expected {expected}")]
    ParameterNames {
        /// Their names.
        found: String,
        /// The session's.
        expected: String,
    },
    /// A parameter is not finite.
    #[error("{name} is {value}, expected a finite number")]
    ParameterValue {
        /// The parameter.
        name: String,
        /// Its value.
        value: f64,
    },
    /// Pose or goal is not finite.
    #[error("pose {pose:?} or goal {goal:?} is not finite")]
    Pose {
        /// x and y, metres, and yaw, radians.
        pose: Option<[f64; 3]>,
        /// x and y, metres.
        goal: Option<[f64; 2]>,
    },
    /// A term of the reward is not finite.
    #[error("progress and laser distance are {0:?}, expected finite numbers")]
    Terms([Option<f64>; 2]),
    /// The reward is not finite or beyond the bound that the log declares.
    #[error("reward is {reward}, expected a number within ±{bound}")]
    Reward {
        /// The reward.
        reward: f32,
        /// The log's bound.
        bound: f64,
    },
    /// Not behind the steps before it.
    #[error("step {index} comes behind step {last}")]
    Order {
        /// Its number.
        index: u64,
        /// The number of the step before it.
        last: u64,
    },
    /// There are no steps after an episode's end.
    #[error("step {index} comes behind the end of the episode")]
    BehindEnd {
        /// Its number.
        index: u64,
    },
}

/// A name that is not among those that are known.
#[derive(Debug, thiserror::Error)]
#[error("{field} is '{}', expected one of {}", found.escape_debug(), known.join(", "))]
pub struct UnknownName {
    field: String,
    found: String,
    known: Vec<&'static str>,
}

impl UnknownName {
    pub(super) fn new(field: &str, found: &str, known: Vec<&'static str>) -> Self {
        Self { field: field.to_owned(), found: found.to_owned(), known }
    }
}

impl StepFault {
    /// The reason that it is counted under.
    pub fn refusal(&self) -> StepRefusal {
        match self {
            Self::Json(_) | Self::TooLong { .. } | Self::EndingName(_) | Self::Ending { .. } | Self::Velocity(_) => {
                StepRefusal::Unreadable
            }
            Self::Session { .. } => StepRefusal::Session,
            Self::Action(_) | Self::ActionLength { .. } => StepRefusal::Action,
            Self::Feature(_) | Self::FeatureLength { .. } => StepRefusal::Feature,
            Self::OutcomeName(_)
            | Self::ParameterNotANumber { .. }
            | Self::ControllerNotANumber { .. }
            | Self::OutcomeNames
            | Self::ParameterNames { .. }
            | Self::ParameterValue { .. } => StepRefusal::Parameters,
            Self::Stamp { .. } => StepRefusal::Stamp,
            Self::Noise { .. } => StepRefusal::Noise,
            Self::Pose { .. } => StepRefusal::Pose,
            Self::Terms(_) => StepRefusal::Terms,
            Self::Reward { .. } => StepRefusal::Reward,
            Self::Order { .. } | Self::BehindEnd { .. } => StepRefusal::Order,
        }
    }
}
