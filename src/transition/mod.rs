//! A logged step: what the robot saw, did and got for it.

mod reward_terms;
mod session;
mod step;

pub use reward_terms::RewardTerms;
pub use session::{ExtractorId, PolicyId, Session};
pub use step::{Ending, FrameNumber, ParameterOutcome, Pose, Position, SentParameter, Step, Truncation};
