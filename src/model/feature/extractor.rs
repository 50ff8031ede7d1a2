//! Hidden states and previous frames in, feature and attention out.

use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{DType, Device, Tensor};

use super::error::{finite_values, values};
use super::{DptHead, FeatureError, HeadDropout, HistoryEncoder, Pooled, ProjectedPrefix};
use crate::vision_language::HiddenStates;
use planner_tuner_core::numbers::Feature;

/// A DPT head with the history encoder it was trained with.
#[derive(Debug)]
pub struct FeatureExtractor {
    dpt_head: DptHead,
    history: Option<History>,
}

#[derive(Debug)]
struct History {
    encoder: HistoryEncoder,
    frames: usize,
    /// Tells encoders apart that follow each other in one process.
    number: u64,
}

/// A previous frame as a history encoder sees it, `[1, history]`: encoded once, used in every later decision. Encoded
/// again by an extractor with another encoder, so that the past is not lost when the policy changes.
#[derive(Debug, Clone)]
pub struct EncodedFrame {
    vector: Tensor,
    pixels: Tensor,
    encoder: u64,
}

impl EncodedFrame {
    /// `[1, history]`, before the position embedding.
    pub fn tensor(&self) -> &Tensor {
        &self.vector
    }
}

impl History {
    fn encode(&self, pixels: &Tensor) -> candle_core::Result<EncodedFrame> {
        let vector = self.encoder.encode_frame(pixels)?;
        Ok(EncodedFrame { vector, pixels: pixels.clone(), encoder: self.number })
    }

    fn expect_frames(&self, found: usize) -> Result<(), FeatureError> {
        let expected = self.frames;
        if found == expected { Ok(()) } else { Err(FeatureError::HistoryLength { expected, found }) }
    }

    /// History vectors `[batch, history]` from pixels, with a gradient.
    fn vectors(&self, observations: &[HeadInput]) -> Result<Tensor, FeatureError> {
        observations.iter().try_for_each(|observation| self.expect_frames(observation.newest_first.len()))?;
        let frames: Vec<&Tensor> = observations.iter().flat_map(|observation| observation.newest_first).collect();
        let encoded = self.encoder.encode_frames(&Tensor::stack(&frames, 0)?)?;
        Ok(self.encoder.encode_sequences(&encoded.reshape((observations.len(), self.frames, ()))?)?)
    }

    /// The vector of a frame in this encoder's terms.
    fn vector_of(&self, frame: &EncodedFrame) -> candle_core::Result<Tensor> {
        if frame.encoder == self.number { Ok(frame.vector.clone()) } else { self.encoder.encode_frame(&frame.pixels) }
    }
}

/// What heads see of an observation.
#[derive(Debug, Clone, Copy)]
pub struct HeadInput<'a> {
    /// Of the current frame.
    pub hidden_states: &'a HiddenStates,
    /// Pixels of the frames before, as the history encoder wants them: `[3, side, side]` each, newest first.
    pub newest_first: &'a [Tensor],
}

/// The feature of a frame, and how it came about.
#[derive(Debug, Clone)]
pub struct ExtractedFeature {
    /// After history fusion.
    pub feature: Feature,
    /// Weight of each token of the sequence; they sum to 1.
    pub attention: Vec<f32>,
    /// The pooled vector before history fusion.
    pub pooled: Vec<f32>,
    /// The history vector, where the head uses one.
    pub history: Option<Vec<f32>>,
}

impl FeatureExtractor {
    /// A head with a history encoder for `frames` frames, or without history.
    pub fn new(dpt_head: DptHead, history: Option<(HistoryEncoder, usize)>) -> Self {
        static ENCODERS: AtomicU64 = AtomicU64::new(0);
        let numbered = |(encoder, frames)| {
            let number = ENCODERS.fetch_add(1, Ordering::Relaxed);
            History { encoder, frames, number }
        };
        Self { dpt_head, history: history.map(numbered) }
    }

    /// Number of previous frames that a feature takes; 0 for a head without history.
    pub fn history_frames(&self) -> usize {
        self.history.as_ref().map_or(0, |history| history.frames)
    }

    /// Encodes a frame `[3, side, side]` (normalised as the history encoder wants it) for later; `None` for a head
    /// without history.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn encode_frame(&self, frame: &Tensor) -> Result<Option<EncodedFrame>, FeatureError> {
        Ok(self.history.as_ref().map(|history| history.encode(frame)).transpose()?)
    }

    /// The feature of hidden states and the encoded previous frames, newest first: [`Self::pool`], then [`Self::fuse`].
    ///
    /// # Errors
    /// Those of the two.
    pub fn extract(
        &self,
        hidden_states: &HiddenStates,
        newest_first: &[EncodedFrame],
    ) -> Result<ExtractedFeature, FeatureError> {
        self.fuse(&self.pool(&mut ProjectedPrefix::default(), hidden_states)?, newest_first)
    }

    /// What the head pools of hidden states: all that a feature takes from the current frame. `known` is what this head has
    /// made of the prompt's constant beginning; it must not have been given to another one.
    ///
    /// # Errors
    /// [`FeatureError::Numbers`] naming the first stage with a NaN or an infinity.
    pub fn pool(&self, known: &mut ProjectedPrefix, hidden_states: &HiddenStates) -> Result<Pooled, FeatureError> {
        let pooled = self.dpt_head.pool_onto(known, hidden_states)?;
        finite_values("feature", &pooled.feature).map_err(|error| first_bad_stage(hidden_states).unwrap_or(error))?;
        Ok(pooled)
    }

    /// The feature of what was pooled and the encoded previous frames, newest first.
    ///
    /// # Errors
    /// [`FeatureError::HistoryLength`] for another number of frames than the head wants, [`FeatureError::Numbers`]
    /// for a NaN or an infinity.
    pub fn fuse(&self, pooled: &Pooled, newest_first: &[EncodedFrame]) -> Result<ExtractedFeature, FeatureError> {
        let history = self.history_vector(newest_first)?;
        let fused = self.dpt_head.fuse_history(&pooled.feature, history.as_ref())?;
        Ok(ExtractedFeature {
            feature: Feature::from_values(values(&fused)?)?,
            attention: finite_values("attention", &pooled.attention)?,
            pooled: finite_values("pooled feature", &pooled.feature)?,
            history: history.map(|vector| finite_values("history vector", &vector)).transpose()?,
        })
    }

    /// The supervised regression from a feature: one normalised value for each output.
    ///
    /// # Errors
    /// [`FeatureError::Numbers`] when an output is NaN or infinite.
    pub fn regress(&self, feature: &Feature, device: &Device) -> Result<Vec<f32>, FeatureError> {
        finite_values("regression", &self.dpt_head.regress(&as_row(feature, device)?)?)
    }

    /// The features `[batch, feature]` of some observations, all recomputed at once; their sequences may differ in length.
    /// A gradient leads back to the weights where they are variables, and to the hidden states where they are. Nothing is
    /// checked: a NaN is in the result.
    ///
    /// As [`Self::extract`] up to rounding.
    ///
    /// # Errors
    /// [`FeatureError::HistoryLength`] for another number of frames than the head wants; when a tensor operation fails.
    pub fn forward_batch(&self, observations: &[HeadInput]) -> Result<Tensor, FeatureError> {
        let states: Vec<&HiddenStates> = observations.iter().map(|observation| observation.hidden_states).collect();
        let pooled = self.dpt_head.pool_batch(&states)?;
        let history = self.history.as_ref().map(|history| history.vectors(observations)).transpose()?;
        Ok(self.dpt_head.fuse_history(&pooled, history.as_ref())?)
    }

    /// The features `[batch, feature]` of pooled vectors `[batch, feature]` and, for heads with history, the pooled maps of the
    /// frames before: the end of [`Self::forward_batch`].
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn finish_batch(&self, pooled: &Tensor, maps: Option<&Tensor>) -> candle_core::Result<Tensor> {
        let vector = match (&self.history, maps) {
            (Some(history), Some(maps)) => {
                let encoded = history.encoder.encode_maps(maps)?.reshape((pooled.dim(0)?, history.frames, ()))?;
                Some(history.encoder.encode_sequences(&encoded)?)
            }
            _ => None,
        };
        self.dpt_head.fuse_history(pooled, vector.as_ref())
    }

    /// Fails unless each observation brings as many frames as the head wants.
    pub(super) fn expect_frames(&self, observations: &[HeadInput]) -> Result<(), FeatureError> {
        let Some(history) = &self.history else { return Ok(()) };
        observations.iter().try_for_each(|observation| history.expect_frames(observation.newest_first.len()))
    }

    /// The supervised regression `[1, outputs]`, normalised, of a feature `[1, feature]`, with what is left out while it
    /// learns. A gradient leads back to both.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn forward_regression(&self, feature: &Tensor, dropout: Option<HeadDropout>) -> Result<Tensor, FeatureError> {
        Ok(self.dpt_head.regress_dropping(feature, dropout)?)
    }

    fn history_vector(&self, newest_first: &[EncodedFrame]) -> Result<Option<Tensor>, FeatureError> {
        let Some(history) = &self.history else { return Ok(None) };
        history.expect_frames(newest_first.len())?;
        let frames: Vec<Tensor> =
            newest_first.iter().map(|frame| history.vector_of(frame)).collect::<candle_core::Result<_>>()?;
        let vector = history.encoder.encode_sequence(&frames)?;
        finite_values("history vector", &vector)?;
        Ok(Some(vector))
    }
}

/// As `[1, feature]`, f32.
fn as_row(feature: &Feature, device: &Device) -> candle_core::Result<Tensor> {
    Tensor::from_slice(feature.values(), (1, feature.values().len()), device)
}

/// The hidden state in which a NaN or an infinity first shows, if any does.
fn first_bad_stage(hidden_states: &HiddenStates) -> Option<FeatureError> {
    hidden_states.whole().ok()?.iter().enumerate().find_map(|(index, state)| {
        let state = state.to_dtype(DType::F32).ok()?;
        finite_values(&format!("hidden state {index}"), &state).err()
    })
}
