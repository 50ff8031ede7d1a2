//! The resize, byte for byte as the image processor does it.

use fast_image_resize::{self as fir, FilterType, PixelType, ResizeAlg, ResizeOptions, images};

use super::ImageSize;
use planner_tuner_core::frame::Frame;

/// Why an image could not be resized.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResizeError {
    /// A target side is zero or beyond what a [`Frame`] may have.
    #[error(
        "cannot resize to {width}x{height} pixels, expected 1 to {max} on each side; check the configured image size"
    )]
    Target {
        /// Wanted width, pixels.
        width: u32,
        /// Wanted height, pixels.
        height: u32,
        /// Largest side, pixels.
        max: u32,
    },
    /// The library refused a buffer or a size.
    #[error("resizing an image from {from_width}x{from_height} to {width}x{height} pixels failed: {reason}")]
    Library {
        /// Width of the source, pixels.
        from_width: u32,
        /// Height of the source, pixels.
        from_height: u32,
        /// Wanted width, pixels.
        width: u32,
        /// Wanted height, pixels.
        height: u32,
        /// What the library said.
        reason: String,
    },
}

/// Resizes one frame after the other with the bicubic filter, reusing its buffers.
#[derive(Debug)]
pub struct Resizer {
    convolution: fir::Resizer,
    options: ResizeOptions,
    widened: Vec<u8>,
    resized: Vec<u8>,
}

impl Default for Resizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Resizer {
    /// A resizer with empty buffers.
    pub fn new() -> Self {
        // Cubic with a = -0.5, widened when the image shrinks (anti-aliasing), as Pillow and torchvision do.
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
        Self { convolution: fir::Resizer::new(), options, widened: Vec::new(), resized: Vec::new() }
    }

    /// The frame at another size: rows of (red, green, blue) bytes without padding, valid until the next call.
    ///
    /// The width is done first and rounded to bytes before the height is done. That order shows at hard edges, and
    /// doing both axes in one call of `fast_image_resize` would use the other one.
    ///
    /// # Errors
    /// [`ResizeError`] for a target side of zero or beyond [`Frame::MAX_SIDE`].
    pub fn resize(&mut self, frame: &Frame, to: ImageSize) -> Result<&[u8], ResizeError> {
        let ImageSize { width, height } = to;
        let length = Frame::checked_len(width, height).map_err(|_| ResizeError::Target {
            width,
            height,
            max: Frame::MAX_SIDE,
        })?;
        let (from_width, from_height) = (frame.width(), frame.height());
        let library = |reason: String| ResizeError::Library { from_width, from_height, width, height, reason };

        // Both factors are at most `Frame::MAX_SIDE`.
        self.widened.resize(width as usize * from_height as usize * 3, 0);
        self.resized.resize(length, 0);
        let source = images::ImageRef::new(from_width, from_height, frame.rgb(), PixelType::U8x3)
            .map_err(|e| library(e.to_string()))?;
        let mut widened = images::Image::from_slice_u8(width, from_height, &mut self.widened, PixelType::U8x3)
            .map_err(|e| library(e.to_string()))?;
        let mut resized = images::Image::from_slice_u8(width, height, &mut self.resized, PixelType::U8x3)
            .map_err(|e| library(e.to_string()))?;
        self.convolution.resize(&source, &mut widened, &self.options).map_err(|e| library(e.to_string()))?;
        self.convolution.resize(&widened, &mut resized, &self.options).map_err(|e| library(e.to_string()))?;
        Ok(&self.resized)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn checkerboard(width: u32, height: u32) -> Frame {
        let rgb = (0..height).flat_map(|y| (0..width).flat_map(move |x| [(((x / 3) ^ (y / 3)) & 1) as u8 * 255; 3]));
        Frame::from_rgb8(width, height, rgb.collect()).unwrap()
    }

    #[test]
    fn same_size_is_a_copy() {
        let frame = checkerboard(31, 17);
        let mut resizer = Resizer::new();
        assert_eq!(resizer.resize(&frame, ImageSize { width: 31, height: 17 }).unwrap(), frame.rgb());
    }

    #[test]
    fn buffers_carry_nothing_over_between_sizes() {
        let (large, small) = (checkerboard(90, 60), checkerboard(40, 50));
        let to = ImageSize { width: 28, height: 56 };
        let mut resizer = Resizer::new();
        let alone = resizer.resize(&small, to).unwrap().to_vec();
        resizer.resize(&large, ImageSize { width: 84, height: 112 }).unwrap();
        assert_eq!(resizer.resize(&small, to).unwrap(), alone);
    }

    #[test]
    fn refuses_impossible_targets() {
        let frame = checkerboard(4, 4);
        let err = Resizer::new().resize(&frame, ImageSize { width: 0, height: 70_000 }).unwrap_err();
        assert!(err.to_string().starts_with("cannot resize to 0x70000 pixels"), "{err}");
    }
}
