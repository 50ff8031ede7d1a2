//! What a viewer is shown of a drive, as messages that Foxglove, Lichtblick, RViz's relatives and Rerun know.
//!
//! | module | what it is |
//! | --- | --- |
//! | `message` | a message with all that a viewer must know of its channel |
//! | `decision` | a decision: frame with attention, parameters |
//! | `drive` | a moment of a drive: scan, plan, pose, transforms, the field |
//! | `definitions` | the text that tells a viewer how to read a ROS message |
//! | `file` | messages as an MCAP file |
//!
//! Whoever shows them live takes the same messages, so that a file and a live view always hold the same channels.

mod decision;
mod definitions;
mod drive;
mod file;
mod message;

pub use decision::{DECISION_TOPIC, OVERLAY_TOPIC, decision_messages};
pub use drive::{FIELD_TOPIC, Field, PLAN_TOPIC, POSE_TOPIC, SCAN_TOPIC, Seen, TRANSFORM_TOPIC, field_message};
pub use file::ViewerFile;
pub use message::{ViewerError, ViewerMessage};
