//! How the heads are shown the past.

use candle_core::{Device, Tensor};

use crate::checkpoint::HistoryConfig;
use crate::feature::HistoryImageProcessor;
use crate::vision_language::processor::ResizeError;
use planner_tuner_core::frame::Frame;

/// Which past frames a checkpoint wants, and their way to the size it wants.
#[derive(Debug)]
pub(super) struct PastFrames {
    config: HistoryConfig,
    images: HistoryImageProcessor,
}

impl PastFrames {
    /// As the checkpoint says.
    ///
    /// # Errors
    /// [`ResizeError`] for a size that frames cannot be brought to.
    pub(super) fn new(config: HistoryConfig) -> Result<Self, ResizeError> {
        let images = HistoryImageProcessor::new(config.history_image_size)?;
        Ok(Self { config, images })
    }

    pub(super) fn config(&self) -> &HistoryConfig {
        &self.config
    }

    /// Side of a past frame, pixels.
    pub(super) fn side(&self) -> usize {
        self.images.size() as usize
    }

    /// The frame as the history encoder takes it, `[3, side, side]`.
    pub(super) fn pixels(&mut self, frame: &Frame, device: &Device) -> candle_core::Result<Tensor> {
        let side = self.side();
        Tensor::from_vec(self.images.process(frame), (3, side, side), device)
    }
}
