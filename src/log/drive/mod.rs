//! A drive, apart from how it was recorded: where the robot was, and how its episodes ended.

mod event;
mod pose;

pub use event::EpisodeEvent;
pub use pose::{Pose, Position};
