//! An image comes in: the costmap picture, its stamp, and the velocity the robot had.

mod error;
#[expect(clippy::module_inception, reason = "the folder is named after what it holds")]
mod frame;
pub mod render;
mod velocity;

pub use error::FrameError;
pub use frame::{Frame, Stamp, StampedFrame};
pub use velocity::BodyVelocity;
