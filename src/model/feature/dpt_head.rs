//! The DPT head: four hidden states and a history vector become the feature.

use candle_core::{Device, Module, Result, Tensor};
use candle_nn::{Linear, VarBuilder, linear};

use super::attention_pool::AttentionPool;
use super::fusion_block::FusionBlock;
use super::learned_linear::forward_rows;
use super::norm::Norm;
use super::projection::{ProjectedPrefix, Projection, Projections};
use super::regression::{HeadDropout, RegressionHead};
use super::sequence_layout::SequenceLayout;
use crate::vision_language::HiddenStates;
use crate::weights::WeightSource;

/// Sizes of a DPT head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DptSizes {
    /// Width of the hidden states.
    pub hidden: usize,
    /// Width of the feature.
    pub feature: usize,
    /// Width of the history vector, or `None` for a head without history.
    pub history: Option<usize>,
    /// Outputs of the regression.
    pub num_params: usize,
}

/// The DPT head of the supervised checkpoint and of every policy.
#[derive(Debug)]
pub struct DptHead {
    projections: Projections,
    fusion_blocks: Vec<FusionBlock>,
    spatial_attention: AttentionPool,
    history_fusion: Option<HistoryFusion>,
    mlp: RegressionHead,
}

/// What attention pooling leaves of an image.
#[derive(Debug, Clone)]
pub struct Pooled {
    /// `[1, feature]`
    pub feature: Tensor,
    /// Weight of each token, `[seq, 1]`; they sum to 1.
    pub attention: Tensor,
}

impl DptSizes {
    /// Feature width and number of regression outputs as the tensors say; the rest is given by the model.
    ///
    /// `None` when the tensors that tell are missing: then any sizes will do to list what is missing.
    pub fn of(source: &dyn WeightSource, prefix: &str, hidden: usize, history: Option<usize>) -> Option<Self> {
        let rows = |name: &str| source.shape(&format!("{prefix}{name}"))?.first().copied();
        Some(Self { hidden, feature: rows("projections.0.0.weight")?, history, num_params: rows("mlp.6.weight")? })
    }
}

impl DptHead {
    /// Reads `projections`, `fusion_blocks`, `spatial_attention`, `history_fusion` and `mlp`.
    pub fn new(sizes: DptSizes, vb: VarBuilder) -> Result<Self> {
        let DptSizes { hidden, feature, history, num_params } = sizes;
        let projection = |index: usize| Projection::new(hidden, feature, vb.pp("projections").pp(index));
        let fusion_block = |index: usize| FusionBlock::new(feature, vb.pp("fusion_blocks").pp(index));
        Ok(Self {
            projections: Projections::new([projection(0)?, projection(1)?, projection(2)?, projection(3)?]),
            fusion_blocks: (0..3).map(fusion_block).collect::<Result<_>>()?,
            spatial_attention: AttentionPool::new(feature, vb.pp("spatial_attention"))?,
            history_fusion: history
                .map(|history| HistoryFusion::new(feature, history, vb.pp("history_fusion")))
                .transpose()?,
            mlp: RegressionHead::new(feature, num_params, vb.pp("mlp"))?,
        })
    }

    /// Projects, fuses from the deepest state to the earliest, pools.
    pub fn pool(&self, hidden_states: &HiddenStates) -> Result<Pooled> {
        self.pool_projected(&self.projections.forward(hidden_states)?)
    }

    /// As [`Self::pool`] up to rounding, with what is known of the prefix. `known` must be this head's alone, and its weights
    /// must not have changed meanwhile.
    pub fn pool_onto(&self, known: &mut ProjectedPrefix, hidden_states: &HiddenStates) -> Result<Pooled> {
        self.pool_projected(&self.projections.forward_onto(known, hidden_states)?)
    }

    /// What [`Self::pool`] makes of each of several observations, `[batch, feature]`, with a gradient to weights and hidden
    /// states. Sequences may differ in length.
    pub fn pool_batch(&self, observations: &[&HiddenStates]) -> Result<Tensor> {
        let device = observations.first().map_or(Device::Cpu, |states| states.rest()[0].device().clone());
        let layout = SequenceLayout::of(observations, &device)?;
        let projected = self.projections.forward_all(observations)?;
        let projected: Vec<Tensor> = projected.iter().map(|rows| layout.padded(rows)).collect::<Result<_>>()?;
        let keep = layout.keep();
        let mut from_the_deepest = projected.iter().zip(self.fusion_blocks.iter()).rev();
        let deepest = projected.last().ok_or_else(|| candle_core::Error::Msg("no hidden states".into()))?;
        let fused =
            from_the_deepest.try_fold(deepest.clone(), |xs, (skip, block)| block.forward_batch(&xs, skip, keep))?;
        self.spatial_attention.forward_batch(&fused, keep)
    }

    /// `[seq, feature]` of each hidden state.
    fn pool_projected(&self, projected: &[Tensor]) -> Result<Pooled> {
        let projected: Vec<Tensor> = projected.iter().map(|rows| rows.t()?.unsqueeze(0)).collect::<Result<_>>()?; // [1, feature, seq] each
        let mut from_the_deepest = projected.iter().zip(self.fusion_blocks.iter()).rev();
        let deepest = projected.last().ok_or_else(|| candle_core::Error::Msg("no hidden states".into()))?;
        let fused = from_the_deepest.try_fold(deepest.contiguous()?, |xs, (skip, block)| block.forward(&xs, skip))?;
        let fused = fused.squeeze(0)?.t()?.contiguous()?; // [seq, feature]
        let (feature, attention) = self.spatial_attention.forward(&fused)?;
        Ok(Pooled { feature, attention })
    }

    /// The feature `[batch, feature]`: the pooled vector, fused with the history vector `[batch, history]` where the head has
    /// a history fusion.
    pub fn fuse_history(&self, pooled: &Tensor, history: Option<&Tensor>) -> Result<Tensor> {
        match (&self.history_fusion, history) {
            (Some(fusion), Some(history)) => fusion.forward(&Tensor::cat(&[pooled, history], 1)?),
            _ => Ok(pooled.clone()),
        }
    }

    /// The supervised regression `[1, num_params]`, normalised.
    pub fn regress(&self, feature: &Tensor) -> Result<Tensor> {
        self.mlp.forward(feature)
    }

    /// The same while it learns.
    pub(super) fn regress_dropping(&self, feature: &Tensor, dropout: Option<HeadDropout>) -> Result<Tensor> {
        self.mlp.forward_dropping(feature, dropout)
    }
}

/// `Sequential(Linear(feature + history, feature), LayerNorm, GELU)`.
#[derive(Debug)]
struct HistoryFusion {
    linear: Linear,
    norm: Norm,
}

impl HistoryFusion {
    fn new(feature: usize, history: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self { linear: linear(feature + history, feature, vb.pp("0"))?, norm: Norm::new(feature, vb.pp("1"))? })
    }
}

impl Module for HistoryFusion {
    fn forward(&self, both: &Tensor) -> Result<Tensor> {
        self.norm.forward(&forward_rows(&self.linear, both)?)?.gelu_erf()
    }
}
