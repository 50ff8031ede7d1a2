//! The sequence becomes one vector, weighted by where the model looks.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Linear, VarBuilder, linear, ops::softmax};

/// `Linear(feature, feature / 4)`, ReLU, `Linear(feature / 4, 1)`, softmax over the sequence.
#[derive(Debug)]
pub struct AttentionPool {
    narrow: Linear,
    score: Linear,
}

impl AttentionPool {
    /// Reads the linear layers `0` and `2`.
    pub fn new(feature: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self { narrow: linear(feature, feature / 4, vb.pp("0"))?, score: linear(feature / 4, 1, vb.pp("2"))? })
    }

    /// `[seq, feature]` becomes the pooled `[1, feature]` and the weights `[seq, 1]`.
    pub fn forward(&self, fused: &Tensor) -> Result<(Tensor, Tensor)> {
        let scores = self.score.forward(&self.narrow.forward(fused)?.relu()?)?;
        let weights = softmax(&scores, 0)?; // [seq, 1]
        Ok((weights.t()?.matmul(fused)?, weights))
    }
}
