//! Pictures for people: where the model looks, and what was decided over a drive.

mod error;
mod png;

pub use error::PictureError;
pub use png::{frame_to_png, save_png};
