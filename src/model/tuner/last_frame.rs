//! The same frame again costs next to nothing: a robot that stands still, or a camera that is slower than the decisions.

use super::TunerError;
use super::frozen::ImageTokens;
use crate::feature::{EncodedFrame, Pooled};
use planner_tuner_core::frame::Frame;

/// What was computed of the frame that was seen last. Every part is there only if computing it succeeded.
#[derive(Debug, Default)]
pub(super) struct LastFrame {
    frame: Option<Frame>,
    /// For the decisions after it.
    encoded: Option<EncodedFrame>,
    image: Option<ImageTokens>,
    /// What a head pooled with one wording of the prompt, whose ids are these.
    pooled: Option<(Vec<u32>, Pooled)>,
}

impl LastFrame {
    /// From here on it is this frame: what is known of another one is forgotten. Pixels are compared, not a hash of them.
    pub(super) fn turn_to(&mut self, frame: &Frame) {
        if self.frame.as_ref() != Some(frame) {
            *self = Self { frame: Some(frame.clone()), ..Self::default() };
        }
    }

    /// The frame, encoded by `make` if it has not been.
    pub(super) fn encoded_or(
        &mut self,
        make: impl FnOnce() -> Result<Option<EncodedFrame>, TunerError>,
    ) -> Result<Option<EncodedFrame>, TunerError> {
        if self.encoded.is_none() {
            self.encoded = make()?;
        }
        Ok(self.encoded.clone())
    }

    /// Its image tokens, computed by `make` if they have not been.
    pub(super) fn image_or(
        &mut self,
        make: impl FnOnce() -> Result<ImageTokens, TunerError>,
    ) -> Result<ImageTokens, TunerError> {
        match &self.image {
            Some(image) => Ok(image.clone()),
            None => Ok(self.image.insert(make()?).clone()),
        }
    }

    /// What the heads pooled, if it was for this prompt.
    pub(super) fn pooled_for(&self, input_ids: &[u32]) -> Option<&Pooled> {
        self.pooled.as_ref().filter(|(seen, _)| seen == input_ids).map(|(_, pooled)| pooled)
    }

    /// Keeps what the heads pooled for this prompt.
    pub(super) fn keep_pooled(&mut self, input_ids: &[u32], pooled: &Pooled) {
        self.pooled = Some((input_ids.to_vec(), pooled.clone()));
    }

    /// Forgets what the heads made of the frame: they are others now.
    pub(super) fn forget_heads(&mut self) {
        (self.encoded, self.pooled) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn only_the_same_pixels_and_the_same_prompt_are_known() {
        let frame = |value| Frame::from_rgb8(2, 1, vec![value; 6]).unwrap();
        let zero = Tensor::new(0f32, &Device::Cpu).unwrap();
        let mut last = LastFrame::default();
        last.turn_to(&frame(1));
        let pooled = Pooled { feature: zero.clone(), attention: zero };
        last.keep_pooled(&[1, 2], &pooled);
        last.turn_to(&frame(1));
        assert!(last.pooled_for(&[1, 2]).is_some());
        assert!(last.pooled_for(&[1, 3]).is_none());
        last.turn_to(&frame(2));
        assert!(last.pooled_for(&[1, 2]).is_none());
    }
}
