//! Attention of a vision block, over windows or over the whole image (HF `Qwen2_5_VLVisionAttention`).

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;

use super::window::{AttentionPattern, WindowGroup};
use crate::vision_language::kernels::Heads;
use crate::vision_language::linear::LinearVisitor;
use crate::vision_language::rotary_table::{RotaryTable, split_heads};
use crate::vision_language::softmax::softmax_last_dim;
use crate::vision_language::{Linear, Precision, VisionConfig};

/// One block's attention.
#[derive(Debug)]
pub struct VisionAttention {
    qkv: Linear,
    proj: Linear,
    num_heads: usize,
    head_dim: usize,
}

impl VisionAttention {
    /// Reads the fused `qkv` and `proj`, both with biases.
    pub fn new(config: &VisionConfig, precision: Precision, vb: VarBuilder) -> Result<Self> {
        let width = config.hidden_size;
        Ok(Self {
            qkv: Linear::new(width, 3 * width, precision, vb.pp("qkv"))?,
            proj: Linear::new(width, width, precision, vb.pp("proj"))?,
            num_heads: config.num_heads,
            head_dim: config.head_dim(),
        })
    }

    /// Calls `visit` with each linear layer and its name below `path`.
    pub fn visit_linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) -> Result<()> {
        visit(format!("{path}.qkv"), &mut self.qkv)?;
        visit(format!("{path}.proj"), &mut self.proj)
    }

    /// `residual + attention(xs)`, all `[patches, hidden]`; patches attend within their window.
    pub fn forward_onto(
        &self,
        xs: &Tensor,
        residual: &Tensor,
        rotary: &RotaryTable,
        pattern: &AttentionPattern,
    ) -> Result<Tensor> {
        let qkv = self.qkv.forward(xs)?; // [patches, 3 * hidden]
        let (count, dim) = (self.num_heads, self.head_dim);
        let part = |index: usize| Heads { first: index * count * dim, count, dim };
        let query = rotary.split_and_rotate(&qkv, part(0))?; // [heads, patches, head_dim]
        let key = rotary.split_and_rotate(&qkv, part(1))?;
        let value = split_heads(&qkv, part(2))?;
        let scale = (self.head_dim as f64).powf(-0.5);
        let attended = match pattern.plan.attend(&query, &key, &value, scale)? {
            Some(attended) => attended,
            None => attend_in_windows(&query, &key, &value, scale, &pattern.groups)?,
        };
        self.proj.forward_onto(&attended, residual)
    }
}

/// `[heads, patches, head_dim]` to `[patches, heads * head_dim]`: all windows of one size in one batched product.
fn attend_in_windows(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    scale: f64,
    groups: &[WindowGroup],
) -> Result<Tensor> {
    let (heads, patches, head_dim) = query.dims3()?;
    let attended = groups.iter().map(|&WindowGroup { start, windows, patches: window }| {
        let batch = |tensor: &Tensor| {
            let group = tensor.narrow(1, start, windows * window)?;
            group.reshape((heads, windows, window, head_dim))?.transpose(0, 1) // [windows, heads, window, head_dim]
        };
        let (query, key, value) = (batch(query)?, batch(key)?, batch(value)?);
        let attended = attend_plainly(&(query * scale)?, &key, &value)?;
        attended.transpose(0, 1)?.reshape((heads, windows * window, head_dim))
    });
    let attended = Tensor::cat(&attended.collect::<Result<Vec<_>>>()?, 1)?;
    attended.transpose(0, 1)?.reshape((patches, heads * head_dim))
}

/// `[windows, heads, window, head_dim]` in and out. Scores are computed in f32, as of queries and keys.
fn attend_plainly(query: &Tensor, key: &Tensor, value: &Tensor) -> Result<Tensor> {
    let scores = query.contiguous()?.matmul(&key.t()?.contiguous()?)?; // [windows, heads, window, window]
    let weights = softmax_last_dim(&scores)?.to_dtype(value.dtype())?;
    weights.matmul(&value.contiguous()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{Device, Var};

    use super::super::window::WindowPartition;
    use super::*;
    use crate::vision_language::kernels::attention;

    #[test]
    fn the_kernel_equals_the_plain_operations() {
        let groups = WindowPartition::new(7, 9, 4, 4).groups().to_vec();
        let random = || Tensor::randn(0f32, 1., (3, 7 * 9 * 4, 12), &Device::Cpu).unwrap();
        let (query, key, value) = (random(), random(), random());
        let plain = attend_in_windows(&query, &key, &value, 0.3, &groups).unwrap();
        let fast = attention(&query, &key, &value, 0.3, AttentionPattern::new(groups).plan.spans()).unwrap();
        let difference = (plain - fast).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(difference < 1e-5, "{difference}");
    }

    #[test]
    fn the_kernels_gradient_is_that_of_the_plain_operations() {
        let pattern = AttentionPattern::new(WindowPartition::new(7, 9, 4, 4).groups().to_vec());
        let random = || Var::randn(0f32, 1., (3, 7 * 9 * 4, 12), &Device::Cpu).unwrap();
        let (query, key, value) = (random(), random(), random());
        let dy = Tensor::randn(0f32, 1., (7 * 9 * 4, 36), &Device::Cpu).unwrap();
        let gradients = |attended: &Tensor| {
            let found = (attended * &dy).unwrap().sum_all().unwrap().backward().unwrap();
            [&query, &key, &value].map(|part| found.get(part).unwrap().clone())
        };
        let plain = gradients(&attend_in_windows(&query, &key, &value, 0.3, &pattern.groups).unwrap());
        let fast = gradients(&pattern.plan.attend(&query, &key, &value, 0.3).unwrap().unwrap());
        for (fast, plain) in fast.iter().zip(&plain) {
            let difference = (fast - plain).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(difference < 2e-5, "{difference}");
        }
    }
}
