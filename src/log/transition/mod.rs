//! A logged step: what the robot saw, did and got for it.

mod error;
mod exploration;
pub mod log;
mod made_decision;
mod recorder;
pub mod relabel;
mod reward;
mod reward_terms;
mod session;
mod step;

pub use error::TransitionError;
pub use exploration::Exploration;
pub use log::{Damage, EpisodeFiles, EpisodeWriter, LogFolder, LogHead, LoggedEpisode, StepRefusal, logs_in};
pub use made_decision::{DecisionError, MadeDecision};
pub use recorder::{EpisodeRecorder, EpisodeRules};
pub use reward::{RewardError, RewardWeights};
pub use reward_terms::RewardTerms;
pub use session::Session;
pub use step::{ChosenController, Ending, FrameNumber, ParameterOutcome, SentParameter, Step, Truncation};
