//! Causal attention with grouped key and value heads (HF `Qwen2_5_VLAttention`).

use candle_core::{DType, Module, Result, Tensor};
use candle_nn::{VarBuilder, ops::softmax_last_dim, rotary_emb::rope};

use super::mrope::SequenceGeometry;
use crate::vision_language::{Linear, Precision, TextConfig};

#[derive(Debug)]
pub struct TextAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    num_heads: usize,
    num_kv_heads: usize,
    head_dim: usize,
}

impl TextAttention {
    pub fn new(config: &TextConfig, precision: Precision, vb: VarBuilder) -> Result<Self> {
        let width = config.hidden_size;
        let query_width = config.num_attention_heads * config.head_dim;
        let kv_width = config.num_key_value_heads * config.head_dim;
        Ok(Self {
            q_proj: Linear::new(width, query_width, precision, vb.pp("q_proj"))?,
            k_proj: Linear::new(width, kv_width, precision, vb.pp("k_proj"))?,
            v_proj: Linear::new(width, kv_width, precision, vb.pp("v_proj"))?,
            o_proj: Linear::no_bias(query_width, width, precision, vb.pp("o_proj"))?,
            num_heads: config.num_attention_heads,
            num_kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
        })
    }

    /// `[seq, hidden]` in and out.
    pub fn forward(&self, xs: &Tensor, geometry: &SequenceGeometry) -> Result<Tensor> {
        let seq = xs.dim(0)?;
        let heads = |ys: Tensor, count: usize| {
            ys.reshape((seq, count, self.head_dim))?.transpose(0, 1)?.contiguous() // [count, seq, head_dim]
        };
        let query = rotate(&heads(self.q_proj.forward(xs)?, self.num_heads)?, geometry)?;
        let query = (query * (self.head_dim as f64).powf(-0.5))?;
        let key = rotate(&heads(self.k_proj.forward(xs)?, self.num_kv_heads)?, geometry)?;
        let value = heads(self.v_proj.forward(xs)?, self.num_kv_heads)?;

        // The query heads that share a key head are stacked as rows, so that keys and values are never repeated.
        let stacked = (self.num_kv_heads, self.num_heads / self.num_kv_heads * seq, self.head_dim);
        let scores = query.reshape(stacked)?.matmul(&key.t()?)?; // [kv_heads, group * seq, seq]
        let scores = scores.reshape((self.num_heads, seq, seq))?.to_dtype(DType::F32)?;
        let weights = softmax_last_dim(&scores.broadcast_add(&geometry.causal_mask)?)?.to_dtype(value.dtype())?;
        let attended = weights.reshape((stacked.0, stacked.1, seq))?.matmul(&value)?;
        let attended = attended
            .reshape((self.num_heads, seq, self.head_dim))?
            .transpose(0, 1)?
            .reshape((seq, self.num_heads * self.head_dim))?;
        self.o_proj.forward(&attended)
    }
}

/// Rotates `[heads, seq, head_dim]` in f32 and returns to the activations' format.
fn rotate(xs: &Tensor, geometry: &SequenceGeometry) -> Result<Tensor> {
    let rotated = rope(&xs.to_dtype(DType::F32)?.unsqueeze(0)?, &geometry.cos, &geometry.sin)?;
    rotated.squeeze(0)?.to_dtype(xs.dtype())
}
