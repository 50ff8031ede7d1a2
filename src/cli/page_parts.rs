//! What pages of decisions have in common: parameters as quantities, frames as pictures.

use crate::frame::Frame;
use crate::page::{Picture, Quantity};
use crate::picture::{PictureError, to_jpeg};
use crate::planner::ParameterSpec;

/// Largest size of a picture in a page.
pub const PICTURE: (u32, u32) = (420, 420);

/// A planner's parameter, in its range and with its safe default.
pub fn quantity_of(parameter: &ParameterSpec) -> Quantity {
    let range = Some((parameter.min(), parameter.max()));
    Quantity::chosen(parameter.name(), parameter.unit().symbol(), range).with_default(parameter.safe_default())
}

/// A frame that is small enough, as a JPEG.
///
/// # Errors
/// In practice none; a picture that cannot be made.
pub fn picture_of(small: &Frame) -> Result<Picture, PictureError> {
    let (width, height) = (small.width(), small.height());
    Ok(Picture { media_type: "image/jpeg", bytes: to_jpeg(small)?, width, height })
}
