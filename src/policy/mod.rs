//! An action: what the policy makes of the feature. And what has to be true before another policy may take over.

mod action;
mod actor;
mod change;
mod random;
mod watch;

pub use action::Action;
pub use actor::Actor;
pub use change::{ParameterChange, PolicyChange};
pub use random::Random;
pub(crate) use random::SplitMix;
pub use watch::{Evidence, Look, PolicyWatch};
