//! Frames made small, for strips and pages.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, Resizer};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use super::PictureError;
use crate::frame::Frame;

/// Lines stay sharp enough to read, and a frame takes some 20 kB.
const QUALITY: u8 = 82;

/// The frame scaled to the largest size within a width and a height, pixels.
///
/// # Errors
/// [`PictureError::Draw`] when the scaler gives up.
pub fn thumbnail(frame: &Frame, (most_width, most_height): (u32, u32)) -> Result<Frame, PictureError> {
    let draw = |error: &dyn std::fmt::Display| PictureError::Draw(error.to_string());
    let (from_width, from_height) = (frame.width(), frame.height());
    let scale = (f64::from(most_width) / f64::from(from_width)).min(f64::from(most_height) / f64::from(from_height));
    let side = |pixels: u32| (f64::from(pixels) * scale).round().max(1.0) as u32;
    let (width, height) = (side(from_width), side(from_height));
    let full = ImageRef::new(from_width, from_height, frame.rgb(), PixelType::U8x3).map_err(|error| draw(&error))?;
    let mut small = Image::new(width, height, PixelType::U8x3);
    Resizer::new().resize(&full, &mut small, None).map_err(|error| draw(&error))?;
    Ok(Frame::from_rgb8(width, height, small.into_vec())?)
}

/// The frame as a JPEG file.
///
/// # Errors
/// [`PictureError::Draw`] when the encoder gives up.
pub fn to_jpeg(frame: &Frame) -> Result<Vec<u8>, PictureError> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode(frame.rgb(), frame.width(), frame.height(), ExtendedColorType::Rgb8)
        .map_err(|error| PictureError::Draw(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_thumbnail_keeps_its_shape_and_its_colours() {
        let frame = Frame::from_rgb8(600, 400, [30, 120, 200].repeat(600 * 400)).unwrap();
        let small = thumbnail(&frame, (420, 420)).unwrap();
        assert_eq!((small.width(), small.height()), (420, 280));
        let read = Frame::from_image_bytes(&to_jpeg(&small).unwrap()).unwrap();
        assert_eq!((read.width(), read.height()), (420, 280));
        assert!(read.rgb().iter().zip([30u8, 120, 200].iter().cycle()).all(|(a, b)| a.abs_diff(*b) <= 4));
        let narrow = Frame::from_rgb8(1, 1000, vec![0; 3000]).unwrap();
        assert_eq!(thumbnail(&narrow, (420, 280)).unwrap().width(), 1);
    }
}
