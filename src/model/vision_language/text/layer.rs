//! One decoder layer (HF `Qwen2_5_VLDecoderLayer`).

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;

use super::attention::{KeyValues, TextAttention};
use super::mrope::SequenceGeometry;
use crate::vision_language::linear::LinearVisitor;
use crate::vision_language::rms_norm::RmsNorm;
use crate::vision_language::swiglu::SwiGlu;
use crate::vision_language::{Linear, Precision, TextConfig};

/// Attention and MLP, each behind a norm and around it a residual.
#[derive(Debug)]
pub struct DecoderLayer {
    input_layernorm: RmsNorm,
    self_attn: TextAttention,
    post_attention_layernorm: RmsNorm,
    mlp: SwiGlu,
}

impl DecoderLayer {
    /// Reads `input_layernorm`, `self_attn`, `post_attention_layernorm` and `mlp`.
    pub fn new(config: &TextConfig, precision: Precision, vb: VarBuilder) -> Result<Self> {
        let width = config.hidden_size;
        let norm =
            |name: &str| RmsNorm::new(width, config.rms_norm_eps, vb.pp(name).set_dtype(precision.activations()));
        Ok(Self {
            input_layernorm: norm("input_layernorm")?,
            self_attn: TextAttention::new(config, precision, vb.pp("self_attn"))?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
            mlp: SwiGlu::new(width, config.intermediate_size, Linear::no_bias, precision, vb.pp("mlp"))?,
        })
    }

    /// Calls `visit` with each linear layer and its name below `path`.
    pub fn visit_linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) -> Result<()> {
        self.self_attn.visit_linears(&format!("{path}.self_attn"), visit)?;
        self.mlp.visit_linears(&format!("{path}.mlp"), visit)
    }

    /// `[rows, hidden]` in and out, with the keys and values of the whole sequence; see [`TextAttention::forward_onto`].
    pub fn forward(
        &self,
        xs: &Tensor,
        geometry: &SequenceGeometry,
        prefix: Option<&KeyValues>,
    ) -> Result<(Tensor, KeyValues)> {
        let (xs, key_values) = self.self_attn.forward_onto(&self.input_layernorm.forward(xs)?, xs, geometry, prefix)?;
        let xs = self.mlp.forward_onto(&self.post_attention_layernorm.forward(&xs)?, &xs)?;
        Ok((xs, key_values))
    }
}
