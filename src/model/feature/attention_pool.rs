//! The sequence becomes one vector, weighted by where the model looks.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Linear, VarBuilder, linear, ops::softmax};

/// What is added to the score of a place that is not there.
const FAR_BELOW: f64 = 1e9;

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

    /// `[batch, seq, feature]` becomes the pooled `[batch, feature]`, with a gradient. `keep` as a fusion block takes it.
    pub fn forward_batch(&self, fused: &Tensor, keep: Option<&Tensor>) -> Result<Tensor> {
        let (batch, seq, feature) = fused.dims3()?;
        let rows = fused.reshape((batch * seq, feature))?;
        let scores = self.score.forward(&self.narrow.forward(&rows)?.relu()?)?.reshape((batch, seq, 1))?;
        let scores = match keep {
            // Nothing is left of what is so far below all others.
            Some(keep) => (scores + ((keep - 1.0)? * FAR_BELOW)?)?,
            None => scores,
        };
        let weights = softmax(&scores, 1)?.transpose(1, 2)?; // [batch, 1, seq]
        weights.matmul(fused)?.squeeze(1)
    }
}
