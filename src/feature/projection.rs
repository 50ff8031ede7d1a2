//! One hidden state, brought to the feature's width.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Linear, VarBuilder, linear};

use super::norm::Norm;

/// `Sequential(Linear(hidden, feature), LayerNorm(feature))`.
#[derive(Debug)]
pub struct Projection {
    linear: Linear,
    norm: Norm,
}

impl Projection {
    /// Reads `0` (the linear layer) and `1` (the norm).
    pub fn new(hidden: usize, feature: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self { linear: linear(hidden, feature, vb.pp("0"))?, norm: Norm::new(feature, vb.pp("1"))? })
    }
}

impl Module for Projection {
    /// `[seq, hidden] -> [seq, feature]`
    fn forward(&self, hidden_state: &Tensor) -> Result<Tensor> {
        self.norm.forward(&self.linear.forward(hidden_state)?)
    }
}
