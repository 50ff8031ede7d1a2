//! A linear layer whose matrix may be stored in a narrower format than it is computed in.

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;

use super::Precision;

/// `y = x W^T + b` on rows.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,       // [out, in], in the storage format
    bias: Option<Tensor>, // [out], in the activations' format
}

impl Linear {
    /// Reads `weight` and `bias`.
    pub fn new(in_dim: usize, out_dim: usize, precision: Precision, vb: VarBuilder) -> Result<Self> {
        let bias = vb.get_with_hints_dtype(out_dim, "bias", Default::default(), precision.activations())?;
        Ok(Self { bias: Some(bias), ..Self::no_bias(in_dim, out_dim, precision, vb)? })
    }

    /// Reads `weight` only.
    pub fn no_bias(in_dim: usize, out_dim: usize, precision: Precision, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints_dtype((out_dim, in_dim), "weight", Default::default(), precision.weights())?;
        Ok(Self { weight, bias: None })
    }

    /// From a matrix `[out, in]` that was put together elsewhere.
    pub fn from_weight(weight: Tensor) -> Self {
        Self { weight, bias: None }
    }
}

impl Module for Linear {
    /// `[rows, in] -> [rows, out]`
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        // A matrix stored as bf16 is widened for the length of one product.
        let weight = self.weight.to_dtype(xs.dtype())?;
        let ys = xs.matmul(&weight.t()?)?;
        match &self.bias {
            Some(bias) => ys.broadcast_add(bias),
            None => Ok(ys),
        }
    }
}
