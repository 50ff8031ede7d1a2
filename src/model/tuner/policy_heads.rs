//! All that a policy is made of, behind the hidden states.

use std::path::Path;

use candle_core::{DType, Device, Tensor};

use super::decision::HeadOutput;
use super::staged::mismatch;
use super::{TunerError, golden};
use crate::checkpoint::Normalization;
use crate::feature::{EncodedFrame, ExtractedFeature, FeatureError, FeatureExtractor, Pooled, ProjectedPrefix};
use crate::policy::Actor;
use crate::vision_language::HiddenStates;
use planner_tuner_core::planner::{PlannerParameters, PlannerSpec};

/// A feature extractor, what turns its feature into parameters, and the planner whose parameters they are.
#[derive(Debug)]
pub(super) struct PolicyHeads {
    extractor: FeatureExtractor,
    output: OutputHead,
    planner: PlannerSpec,
    device: Device,
}

/// What turns a feature into parameters.
#[derive(Debug)]
pub(super) enum OutputHead {
    Actor(Actor),
    Regression(Normalization),
}

impl PolicyHeads {
    pub(super) fn new(extractor: FeatureExtractor, output: OutputHead, planner: PlannerSpec, device: Device) -> Self {
        Self { extractor, output, planner, device }
    }

    /// Refuses heads of the other kind, which those at `path` are.
    pub(super) fn expect_same_kind(&self, other: &Self, path: &Path) -> Result<(), TunerError> {
        match (&self.output, &other.output) {
            (OutputHead::Regression(_), OutputHead::Actor(_)) => {
                Err(mismatch(path, "the regression head is in use; restart with a policy"))
            }
            (OutputHead::Actor(_), OutputHead::Regression(_)) => {
                Err(mismatch(path, "an actor is in use, and this policy has none; restart with it"))
            }
            _ => Ok(()),
        }
    }

    /// A past frame's pixels `[3, side, side]`, encoded; `None` for heads without history.
    pub(super) fn encode_frame(&self, pixels: &Tensor) -> Result<Option<EncodedFrame>, FeatureError> {
        self.extractor.encode_frame(pixels)
    }

    /// A past in which nothing but `frame` was ever seen.
    pub(super) fn past_of(&self, frame: Option<EncodedFrame>) -> Vec<EncodedFrame> {
        vec![frame; self.extractor.history_frames()].into_iter().flatten().collect()
    }

    /// What the heads pool of hidden states. `known` must not have been given to other heads.
    pub(super) fn pool(
        &self,
        known: &mut ProjectedPrefix,
        hidden_states: &HiddenStates,
    ) -> Result<Pooled, FeatureError> {
        self.extractor.pool(known, hidden_states)
    }

    /// Feature and output of what the heads pooled.
    pub(super) fn apply(
        &self,
        pooled: &Pooled,
        newest_first: &[EncodedFrame],
    ) -> Result<(ExtractedFeature, HeadOutput), TunerError> {
        let extracted = self.extractor.fuse(pooled, newest_first)?;
        let output = match &self.output {
            OutputHead::Actor(actor) => {
                let action = actor.act(&extracted.feature)?;
                let parameters = self.planner.from_action(action.values())?;
                HeadOutput::Actor { action, parameters }
            }
            OutputHead::Regression(normalization) => {
                let normalised = self.extractor.regress(&extracted.feature, &self.device)?;
                let (outputs, means) = (normalised.len(), normalization.len());
                if outputs != means {
                    return Err(TunerError::Normalization { outputs, means });
                }
                let denormalised = normalization.denormalise(&normalised);
                let values = self.planner.from_regression(&denormalised)?;
                HeadOutput::Regression { normalised, denormalised, values }
            }
        };
        Ok((extracted, output))
    }

    /// Parameters for an observation that was kept. `known` as for [`Self::pool`].
    pub(super) fn decide(
        &self,
        known: &mut ProjectedPrefix,
        hidden_states: &HiddenStates,
        newest_first: &[EncodedFrame],
    ) -> Result<PlannerParameters, TunerError> {
        let (_, output) = self.apply(&self.pool(known, hidden_states)?, newest_first)?;
        Ok(output.parameters().clone())
    }

    /// Decides on a made-up observation, for want of a real one. `side` is that of past frames; 0 without history.
    pub(super) fn try_on_made_up(&self, hidden: usize, side: usize) -> Result<(), TunerError> {
        let grey = Tensor::zeros((3, side, side), DType::F32, &self.device)?;
        let past = if side == 0 { None } else { self.encode_frame(&grey)? };
        let hidden_states = golden::made_up(hidden, &self.device)?;
        let pooled = self.pool(&mut ProjectedPrefix::default(), &hidden_states)?;
        self.apply(&pooled, &self.past_of(past))?;
        Ok(())
    }
}
