//! What is written down about a drive, and read back: recordings, transition logs, exports.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`drive`] | where the robot was, and what ended its episodes |
//! | [`recording`] | bags, MCAP files and image folders become frames, velocities and drive events |
//! | [`transition`] | decisions become steps, steps become logs that survive a kill |
//! | [`viewer`] | what a viewer is shown, in a file or live |
//! | [`export`] | logs become arrays for Python |
//!
//! Features and actions are plain numbers here: nothing knows tensors or ROS.

pub mod drive;
pub mod export;
pub mod recording;
pub mod transition;
pub mod viewer;
