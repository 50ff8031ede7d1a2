//! The gated MLP of both towers.

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;

use super::kernels::silu_mul;
use super::{Linear, Precision};

/// `down(silu(gate(x)) * up(x))`: HF `Qwen2MLP` without biases, `Qwen2_5_VLMLP` with them.
#[derive(Debug)]
pub struct SwiGlu {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

/// [`Linear::new`] or [`Linear::no_bias`].
type MakeLinear = fn(usize, usize, Precision, VarBuilder) -> Result<Linear>;

impl SwiGlu {
    /// Reads `gate_proj`, `up_proj` and `down_proj`.
    pub fn new(width: usize, inner: usize, linear: MakeLinear, precision: Precision, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            gate_proj: linear(width, inner, precision, vb.pp("gate_proj"))?,
            up_proj: linear(width, inner, precision, vb.pp("up_proj"))?,
            down_proj: linear(inner, width, precision, vb.pp("down_proj"))?,
        })
    }
}

impl Module for SwiGlu {
    /// `[rows, width]` in and out.
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let gated = silu_mul(&self.gate_proj.forward(xs)?, &self.up_proj.forward(xs)?)?;
        self.down_proj.forward(&gated)
    }
}
