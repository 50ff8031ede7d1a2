//! A drive, apart from how it was recorded: where the robot was, and how its episodes ended.

mod event;

pub use event::EpisodeEvent;
pub use planner_tuner_core::pose::{Pose, Position};
