//! Softmax that can be learned through.

use candle_core::{D, Result, Tensor};
use candle_nn::ops;

/// Softmax over the last dimension: candle's kernel, or plain operations where a gradient is asked for.
pub fn softmax_last_dim(xs: &Tensor) -> Result<Tensor> {
    if xs.track_op() { ops::softmax(xs, D::Minus1) } else { ops::softmax_last_dim(xs) }
}
