//! Past frames, as small as the history encoder wants them.

use super::pillow_bilinear::PillowBilinear;
use crate::vision_language::processor::ResizeError;
use planner_tuner_core::frame::Frame;

/// Mean and standard deviation of ImageNet's red, green and blue, as fractions of 255.
const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// Turns frames into the history encoder's input: squares of `size` pixels, normalised with ImageNet's statistics.
#[derive(Debug)]
pub struct HistoryImageProcessor {
    size: u32,
    resizer: PillowBilinear,
    normalised: [[f32; 256]; 3],
}

impl HistoryImageProcessor {
    /// `size` is `history_image_size` of history_config.json, pixels.
    ///
    /// # Errors
    /// [`ResizeError::Target`] when it is zero or larger than a [`Frame`] may be.
    pub fn new(size: u32) -> Result<Self, ResizeError> {
        if !(1..=Frame::MAX_SIDE).contains(&size) {
            return Err(ResizeError::Target { width: size, height: size, max: Frame::MAX_SIDE });
        }
        let mut normalised = [[0.0; 256]; 3];
        for ((table, mean), std) in normalised.iter_mut().zip(IMAGENET_MEAN).zip(IMAGENET_STD) {
            for (value, byte) in table.iter_mut().zip(0u8..=255) {
                *value = (f32::from(byte) / 255.0 - mean) / std;
            }
        }
        Ok(Self { size, resizer: PillowBilinear::default(), normalised })
    }

    /// Side of the square, pixels.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The frame as a square, rows of (red, green, blue) bytes; valid until the next call.
    ///
    /// Pillow's bilinear filter with anti-aliasing, as `Image.resize` in the training code, bit for bit.
    pub fn resize_u8(&mut self, frame: &Frame) -> &[u8] {
        self.resizer.resize(frame, self.size)
    }

    /// One history frame as the encoder takes it: (byte/255 - mean)/std, row-major `[3, size, size]`.
    pub fn process(&mut self, frame: &Frame) -> Vec<f32> {
        normalise(&self.normalised, self.resizer.resize(frame, self.size))
    }

    /// The second half of [`Self::process`], for bytes that [`Self::resize_u8`] gave earlier.
    pub fn normalise(&self, rgb: &[u8]) -> Vec<f32> {
        normalise(&self.normalised, rgb)
    }
}

/// Rows of (red, green, blue) become three planes on the scale of the encoder.
#[expect(clippy::indexing_slicing, reason = "tables of 256 are indexed by a byte")]
fn normalise(tables: &[[f32; 256]; 3], rgb: &[u8]) -> Vec<f32> {
    let (pixels, _) = rgb.as_chunks::<3>();
    let mut planes = Vec::with_capacity(rgb.len());
    for (channel, table) in tables.iter().enumerate() {
        planes.extend(pixels.iter().map(|pixel| table[usize::from(pixel[channel])]));
    }
    planes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn planes_are_normalised_apart() {
        let frame = Frame::from_rgb8(50, 40, [0, 255, 128].repeat(50 * 40)).unwrap();
        let planes = HistoryImageProcessor::new(8).unwrap().process(&frame);
        let expected = [-0.485 / 0.229, (1.0 - 0.456) / 0.224, (128.0 / 255.0 - 0.406) / 0.225];
        for (plane, expected) in planes.chunks_exact(64).zip(expected) {
            assert!(plane.iter().all(|v| (v - expected).abs() < 1e-6), "{plane:?} {expected}");
        }
        assert_eq!(planes.len(), 3 * 64);
    }

    #[test]
    fn refuses_sizes_that_no_image_has() {
        assert!(HistoryImageProcessor::new(0).is_err());
        let err = HistoryImageProcessor::new(65_535).unwrap_err().to_string();
        assert!(err.starts_with("cannot resize to 65535x65535"), "{err}");
    }
}
