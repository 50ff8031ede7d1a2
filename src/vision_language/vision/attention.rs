//! Attention of a vision block, over windows or over the whole image (HF `Qwen2_5_VLVisionAttention`).

use candle_core::{DType, Module, Result, Tensor};
use candle_nn::{VarBuilder, ops::softmax_last_dim, rotary_emb::rope};

use super::rotary::VisionRotary;
use super::window::WindowGroup;
use crate::vision_language::{Linear, Precision, VisionConfig};

#[derive(Debug)]
pub struct VisionAttention {
    qkv: Linear,
    proj: Linear,
    num_heads: usize,
    head_dim: usize,
}

impl VisionAttention {
    pub fn new(config: &VisionConfig, precision: Precision, vb: VarBuilder) -> Result<Self> {
        let width = config.hidden_size;
        Ok(Self {
            qkv: Linear::new(width, 3 * width, precision, vb.pp("qkv"))?,
            proj: Linear::new(width, width, precision, vb.pp("proj"))?,
            num_heads: config.num_heads,
            head_dim: config.head_dim(),
        })
    }

    /// `xs` is `[patches, hidden]`; the patches of each group attend within their window.
    pub fn forward(&self, xs: &Tensor, rotary: &VisionRotary, groups: &[WindowGroup]) -> Result<Tensor> {
        let patches = xs.dim(0)?;
        let qkv = self.qkv.forward(xs)?.reshape((patches, 3, self.num_heads, self.head_dim))?;
        let part = |index: usize| qkv.narrow(1, index, 1)?.squeeze(1)?.transpose(0, 1)?.contiguous();
        let query = rotate(&part(0)?, rotary)?; // [heads, patches, head_dim]
        let query = (query * (self.head_dim as f64).powf(-0.5))?;
        let key = rotate(&part(1)?, rotary)?;
        let value = part(2)?;
        let attended =
            groups.iter().map(|group| self.attend(&query, &key, &value, group)).collect::<Result<Vec<_>>>()?;
        self.proj.forward(&Tensor::cat(&attended, 0)?)
    }

    /// All windows of one size in one batched product: `[heads, patches, head_dim]` in,
    /// `[windows * window, heads * head_dim]` out.
    fn attend(&self, query: &Tensor, key: &Tensor, value: &Tensor, group: &WindowGroup) -> Result<Tensor> {
        let WindowGroup { start, windows, patches } = *group;
        let batch = |tensor: &Tensor| {
            tensor.narrow(1, start, windows * patches)?.contiguous()?.reshape((
                self.num_heads * windows,
                patches,
                self.head_dim,
            ))
        };
        let scores = batch(query)?.matmul(&batch(key)?.t()?)?; // [heads * windows, window, window]
        let weights = softmax_last_dim(&scores.to_dtype(DType::F32)?)?.to_dtype(value.dtype())?;
        weights
            .matmul(&batch(value)?)?
            .reshape((self.num_heads, windows * patches, self.head_dim))?
            .transpose(0, 1)?
            .reshape((windows * patches, self.num_heads * self.head_dim))
    }
}

/// Rotates `[heads, patches, head_dim]` in f32, as HF does, and returns to the activations' format.
fn rotate(xs: &Tensor, rotary: &VisionRotary) -> Result<Tensor> {
    let rotated = rope(&xs.to_dtype(DType::F32)?.unsqueeze(0)?, &rotary.cos, &rotary.sin)?;
    rotated.squeeze(0)?.to_dtype(xs.dtype())
}
