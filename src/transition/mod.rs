//! A logged step: what the robot saw, did and got for it.

mod error;
pub mod log;
mod reward;
mod reward_terms;
mod session;
mod step;

pub use error::TransitionError;
pub use log::{Damage, EpisodeFiles, EpisodeWriter, LogFolder, LogHead, LoggedEpisode, Refusal, logs_in};
pub use reward::{RewardError, RewardWeights};
pub use reward_terms::RewardTerms;
pub use session::{ExtractorId, PolicyId, Session};
pub use step::{Ending, FrameNumber, ParameterOutcome, Pose, Position, SentParameter, Step, Truncation};
