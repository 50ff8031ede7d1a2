//! One step of the top-down fusion.

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;

use super::convolution::SequenceConvolution;

/// Adds a resampled skip connection and refines with two convolutions along the sequence.
#[derive(Debug)]
pub struct FusionBlock {
    resample: SequenceConvolution,
    conv1: SequenceConvolution,
    conv2: SequenceConvolution,
}

impl FusionBlock {
    /// Reads `resample`, `conv1` and `conv2`.
    pub fn new(feature: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            resample: SequenceConvolution::without_bias(feature, 1, vb.pp("resample"))?,
            conv1: SequenceConvolution::new(feature, 3, vb.pp("conv1"))?,
            conv2: SequenceConvolution::new(feature, 3, vb.pp("conv2"))?,
        })
    }

    /// `[1, feature, seq]` in and out. The residual is taken *before* the skip is added.
    pub fn forward(&self, xs: &Tensor, skip: &Tensor) -> Result<Tensor> {
        let merged = (xs + self.resample.forward(skip)?)?;
        let refined = self.conv2.forward(&self.conv1.forward(&merged)?.relu()?)?;
        (refined + xs)?.relu()
    }

    /// `[batch, seq, feature]` in and out, with a gradient. What `keep` `[batch, seq, 1]` is 0 for is behind the end of a shorter
    /// sequence, and must be 0 in what is given.
    pub fn forward_batch(&self, xs: &Tensor, skip: &Tensor, keep: Option<&Tensor>) -> Result<Tensor> {
        let within = |xs: Tensor| keep.map_or_else(|| Ok(xs.clone()), |keep| xs.broadcast_mul(keep));
        let merged = (xs + self.resample.forward_batch(skip)?)?;
        let refined = within(self.conv1.forward_batch(&merged)?.relu()?)?;
        let refined = within(self.conv2.forward_batch(&refined)?)?;
        (refined + xs)?.relu()
    }
}
