//! A frame becomes patches: HF's `Qwen2VLImageProcessorFast` for one still image.

use super::{
    ImageSize, PreprocessorConfig, ProcessedImage, ProcessorError, Resizer, patches::PatchCutter, smart_resize,
};
use planner_tuner_core::frame::Frame;

/// Resizes, normalises and cuts frames, one after the other; buffers and tables are made once.
#[derive(Debug)]
pub struct ImageProcessor {
    config: PreprocessorConfig,
    resizer: Resizer,
    cutter: PatchCutter,
}

impl ImageProcessor {
    /// A processor with these settings.
    pub fn new(config: PreprocessorConfig) -> Self {
        let cutter = PatchCutter::new(&config);
        Self { config, resizer: Resizer::new(), cutter }
    }

    /// The settings.
    pub fn config(&self) -> &PreprocessorConfig {
        &self.config
    }

    /// The size that a frame of this size is resized to.
    ///
    /// # Errors
    /// [`ProcessorError::AspectRatio`] when one side is more than 200 times the other.
    pub fn resized_size(&self, size: ImageSize) -> Result<ImageSize, ProcessorError> {
        smart_resize(size, self.config.factor(), self.config.min_pixels(), self.config.max_pixels())
    }

    /// Patches of a frame of any size.
    ///
    /// # Errors
    /// [`ProcessorError::AspectRatio`] as [`Self::resized_size`]; [`ProcessorError::Resize`] when the result would be
    /// larger than a [`Frame`] may be.
    pub fn process(&mut self, frame: &Frame) -> Result<ProcessedImage, ProcessorError> {
        let to = self.resized_size(ImageSize { width: frame.width(), height: frame.height() })?;
        let rgb = self.resizer.resize(frame, to)?;
        self.cutter.cut(rgb, to)
    }

    /// The first half of [`Self::process`]: the frame at the size that is cut, as the image processor's own bytes.
    ///
    /// # Errors
    /// As [`Self::process`].
    pub fn resize(&mut self, frame: &Frame) -> Result<Frame, ProcessorError> {
        let to = self.resized_size(ImageSize { width: frame.width(), height: frame.height() })?;
        let rgb = self.resizer.resize(frame, to)?.to_vec();
        Frame::from_rgb8(to.width, to.height, rgb).map_err(|_| ProcessorError::PatchGrid {
            width: to.width,
            height: to.height,
            factor: self.config.factor(),
        })
    }

    /// The second half of [`Self::process`]: patches of a frame that already has the right size.
    ///
    /// # Errors
    /// [`ProcessorError::PatchGrid`] when the sides are not multiples of `patch_size * merge_size`.
    pub fn cut(&self, resized: &Frame) -> Result<ProcessedImage, ProcessorError> {
        self.cutter.cut(resized.rgb(), ImageSize { width: resized.width(), height: resized.height() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn processor(json: &str) -> ImageProcessor {
        ImageProcessor::new(PreprocessorConfig::from_json("test", json.as_bytes()).unwrap())
    }

    fn noise(width: u32, height: u32) -> Frame {
        let bytes = (0..width * height * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
        Frame::from_rgb8(width, height, bytes.collect()).unwrap()
    }

    #[test]
    fn the_pixel_budget_decides_the_grid() {
        let frame = noise(600, 400);
        let grid = processor("{}").process(&frame).unwrap().grid();
        assert_eq!((grid.h, grid.w, grid.image_tokens(2)), (28, 42, 294));
        let served = processor(r#"{"min_pixels": 240000, "max_pixels": 240000}"#).process(&frame).unwrap();
        assert_eq!((served.grid().h, served.grid().w, served.image_tokens()), (30, 44, 330));
    }

    #[test]
    fn the_two_halves_make_the_whole_and_repeat_themselves() {
        let frame = noise(300, 200);
        let mut processor = processor("{}");
        let whole = processor.process(&frame).unwrap();
        let resized = processor.resize(&frame).unwrap();
        assert_eq!(processor.cut(&resized).unwrap(), whole);
        processor.process(&noise(100, 333)).unwrap();
        assert_eq!(processor.process(&frame).unwrap(), whole);
    }

    #[test]
    fn strips_are_refused() {
        let err = processor("{}").process(&noise(1000, 4)).unwrap_err().to_string();
        assert!(err.starts_with("image is 1000x4 pixels"), "{err}");
    }
}
