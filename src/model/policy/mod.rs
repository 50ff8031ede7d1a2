//! An action: what the policy makes of the feature. And what has to be true before another policy may take over.

mod actor;
mod change;
mod laser_network;
mod watch;

pub use actor::Actor;
pub use change::{ParameterChange, PolicyChange};
pub use laser_network::{LaserNetwork, LaserNetworkError};
pub use watch::{Evidence, Look, PolicyWatch};
