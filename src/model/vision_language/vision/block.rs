//! One block of the vision tower (HF `Qwen2_5_VLVisionBlock`).

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;

use super::attention::VisionAttention;
use super::window::AttentionPattern;
use crate::vision_language::linear::LinearVisitor;
use crate::vision_language::rms_norm::RmsNorm;
use crate::vision_language::rotary_table::RotaryTable;
use crate::vision_language::swiglu::SwiGlu;
use crate::vision_language::{Linear, Precision, VisionConfig};

/// Epsilon of the vision tower's norms; fixed in HF's code.
pub(super) const RMS_NORM_EPS: f64 = 1e-6;

/// Attention and MLP, each behind a norm and around it a residual.
#[derive(Debug)]
pub struct VisionBlock {
    norm1: RmsNorm,
    attn: VisionAttention,
    norm2: RmsNorm,
    mlp: SwiGlu,
}

impl VisionBlock {
    /// Reads `norm1`, `attn`, `norm2` and `mlp`.
    pub fn new(config: &VisionConfig, precision: Precision, vb: VarBuilder) -> Result<Self> {
        let width = config.hidden_size;
        let norm = |name: &str| RmsNorm::new(width, RMS_NORM_EPS, vb.pp(name).set_dtype(precision.activations()));
        Ok(Self {
            norm1: norm("norm1")?,
            attn: VisionAttention::new(config, precision, vb.pp("attn"))?,
            norm2: norm("norm2")?,
            mlp: SwiGlu::new(width, config.intermediate_size, Linear::new, precision, vb.pp("mlp"))?,
        })
    }

    /// Calls `visit` with each linear layer and its name below `path`.
    pub fn visit_linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) -> Result<()> {
        self.attn.visit_linears(&format!("{path}.attn"), visit)?;
        self.mlp.visit_linears(&format!("{path}.mlp"), visit)
    }

    /// `[patches, hidden]` in and out.
    pub fn forward(&self, xs: &Tensor, rotary: &RotaryTable, pattern: &AttentionPattern) -> Result<Tensor> {
        let xs = self.attn.forward_onto(&self.norm1.forward(xs)?, xs, rotary, pattern)?;
        self.mlp.forward_onto(&self.norm2.forward(&xs)?, &xs)
    }
}
