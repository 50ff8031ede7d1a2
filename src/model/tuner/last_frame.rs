//! The same frame again costs next to nothing: a robot that stands still, or a camera that is slower than the decisions.

use candle_core::Tensor;

use crate::feature::{EncodedFrame, Pooled};
use crate::vision_language::processor::GridThw;
use planner_tuner_core::frame::Frame;

/// What was computed of the frame that was seen last. Every part is there only if computing it succeeded.
#[derive(Debug, Default)]
pub(super) struct LastFrame {
    frame: Option<Frame>,
    /// For the decisions after it.
    pub(super) encoded: Option<EncodedFrame>,
    pub(super) image: Option<ImageTokens>,
    pub(super) pooled: Option<PooledPrompt>,
}

/// The frame as the vision tower sees it.
#[derive(Debug, Clone)]
pub(super) struct ImageTokens {
    pub(super) grid: GridThw,
    /// `[tokens, hidden]`
    pub(super) tokens: Tensor,
}

/// What a head pools of the frame with one wording of the prompt.
#[derive(Debug)]
pub(super) struct PooledPrompt {
    pub(super) input_ids: Vec<u32>,
    pub(super) pooled: Pooled,
}

impl LastFrame {
    /// From here on it is this frame: what is known of another one is forgotten. Pixels are compared, not a hash of them.
    pub(super) fn turn_to(&mut self, frame: &Frame) {
        if self.frame.as_ref() != Some(frame) {
            *self = Self { frame: Some(frame.clone()), ..Self::default() };
        }
    }

    /// What the heads pooled, if it was for this prompt.
    pub(super) fn pooled_for(&self, input_ids: &[u32]) -> Option<&Pooled> {
        let seen = self.pooled.as_ref().filter(|seen| seen.input_ids == input_ids)?;
        Some(&seen.pooled)
    }

    /// Forgets what the heads made of the frame: they are others now.
    pub(super) fn forget_heads(&mut self) {
        (self.encoded, self.pooled) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::Device;

    use super::*;

    #[test]
    fn only_the_same_pixels_and_the_same_prompt_are_known() {
        let frame = |value| Frame::from_rgb8(2, 1, vec![value; 6]).unwrap();
        let zero = Tensor::new(0f32, &Device::Cpu).unwrap();
        let mut last = LastFrame::default();
        last.turn_to(&frame(1));
        let pooled = Pooled { feature: zero.clone(), attention: zero };
        last.pooled = Some(PooledPrompt { input_ids: vec![1, 2], pooled });
        last.turn_to(&frame(1));
        assert!(last.pooled_for(&[1, 2]).is_some());
        assert!(last.pooled_for(&[1, 3]).is_none());
        last.turn_to(&frame(2));
        assert!(last.pooled_for(&[1, 2]).is_none());
    }
}
