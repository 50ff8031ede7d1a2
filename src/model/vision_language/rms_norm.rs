//! The norm of both towers.

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::with_tracing;

/// HF `Qwen2RMSNorm`: `weight * x / sqrt(mean(x^2) + epsilon)`, computed in f32.
///
/// candle's kernel is quick and has no gradient. Where one is asked for, the same is computed of plain operations; both
/// agree up to rounding.
#[derive(Debug, Clone)]
pub struct RmsNorm(with_tracing::RmsNorm);

impl RmsNorm {
    /// Reads `weight`.
    pub fn new(width: usize, epsilon: f64, vb: VarBuilder) -> Result<Self> {
        Ok(Self(with_tracing::RmsNorm::new(width, epsilon, vb)?))
    }
}

impl Module for RmsNorm {
    /// `[rows, width]` in and out.
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        if xs.track_op() { self.0.forward_diff(xs) } else { self.0.forward(xs) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;

    use candle_core::{DType, Device, Var};

    use super::*;

    #[test]
    fn with_and_without_a_gradient_it_says_the_same() {
        let weight = Tensor::randn(1f32, 0.3, 48, &Device::Cpu).unwrap();
        let tensors = HashMap::from([("weight".to_owned(), weight)]);
        let norm = RmsNorm::new(48, 1e-6, VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)).unwrap();
        let xs = Var::randn(0f32, 3., (7, 48), &Device::Cpu).unwrap();
        let tracked = norm.forward(&xs).unwrap();
        assert!(tracked.track_op());
        let plain = norm.forward(&xs.as_detached_tensor()).unwrap();
        let difference = (tracked - plain).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(difference < 2e-6, "{difference}");
    }
}
