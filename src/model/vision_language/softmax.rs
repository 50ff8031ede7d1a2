//! Softmax that can be learned through.

use candle_core::{D, Result, Tensor};
use candle_nn::ops;

/// Softmax over the last dimension: candle's kernel, which has no gradient, or plain operations where one is asked for.
pub fn softmax_last_dim(xs: &Tensor) -> Result<Tensor> {
    if xs.track_op() { ops::softmax(xs, D::Minus1) } else { ops::softmax_last_dim(xs) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn with_and_without_a_gradient_it_says_the_same() {
        let xs = Var::randn(0f32, 3., (5, 12), &Device::Cpu).unwrap();
        let softened = softmax_last_dim(&xs).unwrap();
        assert!(softened.backward().is_ok(), "candle's kernel would refuse");
        let plain = softmax_last_dim(&xs.as_detached_tensor()).unwrap();
        let difference = (softened - plain).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(difference < 1e-6, "{difference}");
    }
}
