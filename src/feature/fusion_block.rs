//! One step of the top-down fusion.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Conv1d, Conv1dConfig, VarBuilder, conv1d, conv1d_no_bias};

/// Adds a resampled skip connection and refines with two convolutions along the sequence.
#[derive(Debug)]
pub struct FusionBlock {
    resample: Conv1d,
    conv1: Conv1d,
    conv2: Conv1d,
}

impl FusionBlock {
    /// Reads `resample`, `conv1` and `conv2`.
    pub fn new(feature: usize, vb: VarBuilder) -> Result<Self> {
        let same_length = Conv1dConfig { padding: 1, ..Default::default() };
        Ok(Self {
            resample: conv1d_no_bias(feature, feature, 1, Default::default(), vb.pp("resample"))?,
            conv1: conv1d(feature, feature, 3, same_length, vb.pp("conv1"))?,
            conv2: conv1d(feature, feature, 3, same_length, vb.pp("conv2"))?,
        })
    }

    /// `[1, feature, seq]` in and out. The residual is taken *before* the skip is added.
    pub fn forward(&self, xs: &Tensor, skip: &Tensor) -> Result<Tensor> {
        let merged = (xs + self.resample.forward(skip)?)?;
        let refined = self.conv2.forward(&self.conv1.forward(&merged)?.relu()?)?;
        (refined + xs)?.relu()
    }
}
