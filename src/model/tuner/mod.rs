//! The whole road of one decision: a frame, the frames before it and the velocity in; planner parameters out.

mod adapter_in_use;
mod choice;
mod decision;
mod error;
mod frozen;
mod golden;
mod heads;
mod last_frame;
mod load;
mod past;
mod policy_heads;
mod spec;
mod stage_end;
mod staged;
mod stream;
mod survey;
#[expect(clippy::module_inception, reason = "the folder is named after what it holds")]
mod tuner;

pub use crate::device::DeviceChoice;
pub use choice::{QuantizeChoice, UnknownChoice};
pub use decision::{Decision, HeadOutput, Stage, StageTimes};
pub use error::TunerError;
pub use load::{Head, LoadProgress, TunerOptions};
pub use spec::{Compute, ModelSpec};
pub use staged::{PolicyLoader, StagedPolicy};
pub use stream::{DecisionInput, DecisionModel, DecisionStream, StreamedDecision};
pub use survey::ModelSurvey;
pub use tuner::Tuner;
