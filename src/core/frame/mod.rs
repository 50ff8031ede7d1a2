//! An image comes in: the costmap picture, its stamp, and the velocity the robot had.

mod appearance;
mod encoding;
mod error;
#[expect(clippy::module_inception, reason = "the folder is named after what it holds")]
mod frame;
mod history;
mod image_codec;
mod image_file;
mod jpeg_end;
mod png_encoder;
pub mod render;
mod velocity;

pub use appearance::{OddAppearance, odd_appearance};
pub use encoding::{PixelEncoding, RawImage};
pub use error::FrameError;
pub use frame::{Frame, Stamp, StampedFrame};
pub use history::{HistoryRing, ResetReason};
pub use png_encoder::{EncodeError, PngEffort};
pub use velocity::BodyVelocity;
