//! Frames as they are logged.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};

use crate::frame::Frame;

/// A PNG that is quick to make: the same frame gives the same bytes.
pub(super) fn encode(frame: &Frame) -> Result<Vec<u8>, String> {
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Default, FilterType::NoFilter)
        .write_image(frame.rgb(), frame.width(), frame.height(), ExtendedColorType::Rgb8)
        .map_err(|error| format!("a frame of {}x{} pixels: {error}", frame.width(), frame.height()))?;
    Ok(png)
}
