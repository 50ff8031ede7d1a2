//! Layer normalisation that can be learned through.
//!
//! candle's kernel is quick and has no gradient. Where one is asked for, the same is computed of plain
//! operations; both agree up to rounding.

use candle_core::{D, Module, Result, Tensor};
use candle_nn::{LayerNorm, VarBuilder};

/// Epsilon of torch's LayerNorm.
const EPSILON: f64 = 1e-5;

/// torch's `LayerNorm(width)`.
#[derive(Debug)]
pub struct Norm {
    kernel: LayerNorm,
    weight: Tensor,
    bias: Tensor,
}

impl Norm {
    /// Reads `weight` and `bias`.
    pub fn new(width: usize, vb: VarBuilder) -> Result<Self> {
        let (weight, bias) = (vb.get(width, "weight")?, vb.get(width, "bias")?);
        Ok(Self { kernel: LayerNorm::new(weight.clone(), bias.clone(), EPSILON), weight, bias })
    }
}

impl Module for Norm {
    /// `[rows, width]` in and out.
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        if !xs.track_op() && !self.weight.track_op() {
            return self.kernel.forward(xs);
        }
        let centred = xs.broadcast_sub(&xs.mean_keepdim(D::Minus1)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + EPSILON)?.sqrt()?;
        centred.broadcast_div(&deviation)?.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;

    use candle_core::{DType, Device, Var};

    use super::*;

    /// Rows of ordinary numbers.
    fn numbers(rows: usize, width: usize, phase: f32) -> Tensor {
        let values: Vec<f32> = (0..rows * width).map(|i| (i as f32 * 0.7 + phase).sin() * 3.0 + 0.5).collect();
        Tensor::from_vec(values, (rows, width), &Device::Cpu).unwrap()
    }

    fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn with_and_without_a_gradient_they_say_the_same() {
        let norm = |learns: bool| {
            let part = |phase| {
                let plain = numbers(1, 12, phase).squeeze(0).unwrap();
                if learns { Var::from_tensor(&plain).unwrap().into_inner() } else { plain }
            };
            let tensors = HashMap::from([("weight".to_owned(), part(0.3)), ("bias".to_owned(), part(1.1))]);
            Norm::new(12, VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)).unwrap()
        };
        let xs = numbers(5, 12, 0.0);
        let learned = norm(true).forward(&xs).unwrap();
        assert!(learned.track_op());
        assert!(largest_difference(&norm(false).forward(&xs).unwrap(), &learned) < 2e-6);
    }
}
