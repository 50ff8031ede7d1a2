//! Frames as PNG files. The same frame gives the same bytes.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};

use super::Frame;

/// The PNG encoder gave up.
#[derive(Debug, thiserror::Error)]
#[error("a picture of {width}x{height} pixels cannot be encoded as PNG: {reason}")]
pub struct EncodeError {
    /// Width, pixels.
    width: u32,
    /// Height, pixels.
    height: u32,
    /// What the encoder said.
    reason: String,
}

/// How hard a PNG is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PngEffort {
    /// Quick to make: a robot logs while it drives.
    Quick,
    /// Small: made once, kept and sent.
    Small,
}

impl Frame {
    /// The bytes of an RGB PNG. Rows are not filtered: the pictures are flat areas with few edges.
    ///
    /// # Errors
    /// [`EncodeError`] when the encoder gives up.
    pub fn to_png(&self, effort: PngEffort) -> Result<Vec<u8>, EncodeError> {
        let compression = match effort {
            PngEffort::Quick => CompressionType::Default,
            PngEffort::Small => CompressionType::Best,
        };
        let (width, height) = (self.width(), self.height());
        let mut png = Vec::new();
        PngEncoder::new_with_quality(&mut png, compression, FilterType::NoFilter)
            .write_image(self.rgb(), width, height, ExtendedColorType::Rgb8)
            .map_err(|error| EncodeError { width, height, reason: error.to_string() })?;
        Ok(png)
    }
}
