//! Causal attention with grouped key and value heads (HF `Qwen2_5_VLAttention`).

use candle_core::{DType, Module, Result, Tensor};
use candle_nn::VarBuilder;

use super::mrope::SequenceGeometry;
use crate::vision_language::kernels::Heads;
use crate::vision_language::linear::LinearVisitor;
use crate::vision_language::rotary_table::split_heads;
use crate::vision_language::softmax::softmax_last_dim;
use crate::vision_language::{Linear, Precision, TextConfig};

/// Rotated keys in f32, and values, of the tokens so far: `[kv_heads, seq, head_dim]` each.
#[derive(Debug, Clone)]
pub struct KeyValues {
    key: Tensor,
    value: Tensor,
}

impl KeyValues {
    fn extended(&self, key: &Tensor, value: &Tensor) -> Result<Self> {
        Ok(Self { key: Tensor::cat(&[&self.key, key], 1)?, value: Tensor::cat(&[&self.value, value], 1)? })
    }
}

/// One layer's attention.
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
    /// Reads `q_proj`, `k_proj`, `v_proj` with biases and `o_proj` without.
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

    /// Calls `visit` with each linear layer and its name below `path`.
    pub fn visit_linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) -> Result<()> {
        visit(format!("{path}.q_proj"), &mut self.q_proj)?;
        visit(format!("{path}.k_proj"), &mut self.k_proj)?;
        visit(format!("{path}.v_proj"), &mut self.v_proj)?;
        visit(format!("{path}.o_proj"), &mut self.o_proj)
    }

    /// `residual + attention(xs)`, all `[rows, hidden]`, with the keys and values of the whole sequence: those of the
    /// `prefix` that the rows come after, and their own.
    pub fn forward_onto(
        &self,
        xs: &Tensor,
        residual: &Tensor,
        geometry: &SequenceGeometry,
        prefix: Option<&KeyValues>,
    ) -> Result<(Tensor, KeyValues)> {
        let heads = |count: usize| Heads { first: 0, count, dim: self.head_dim };
        let query = geometry.split_and_rotate(&self.q_proj.forward(xs)?, heads(self.num_heads))?;
        let key = geometry.split_and_rotate(&self.k_proj.forward(xs)?, heads(self.num_kv_heads))?;
        let value = split_heads(&self.v_proj.forward(xs)?, heads(self.num_kv_heads))?; // [kv_heads, rows, head_dim]
        let whole = match prefix {
            Some(prefix) => prefix.extended(&key, &value)?,
            None => KeyValues { key, value },
        };
        let KeyValues { key, value } = &whole;
        let scale = (self.head_dim as f64).powf(-0.5);
        let attended = match geometry.plan().attend(&query, key, value, scale)? {
            Some(attended) => attended,
            None => attend_plainly(&query, key, value, scale, geometry.causal_mask())?,
        };
        Ok((self.o_proj.forward_onto(&attended, residual)?, whole))
    }
}

/// Queries and keys in f32, values in the activations' format: `[heads, rows, head_dim]`, `[kv_heads, seq, head_dim]` twice
/// and a mask `[1, rows, seq]` to `[rows, heads * head_dim]` in the format of the values. The query heads that share a key
/// head are stacked as rows, so that keys and values are never repeated.
fn attend_plainly(query: &Tensor, key: &Tensor, value: &Tensor, scale: f64, mask: &Tensor) -> Result<Tensor> {
    let (heads, rows, head_dim) = query.dims3()?;
    let (kv_heads, seq, _) = key.dims3()?;
    let stacked_rows = heads / kv_heads * rows;
    let query = (query.to_dtype(DType::F32)? * scale)?.reshape((kv_heads, stacked_rows, head_dim))?;
    let scores = query.matmul(&key.to_dtype(DType::F32)?.t()?)?; // [kv_heads, group * rows, seq]
    let scores = scores.reshape((heads, rows, seq))?;
    let weights = softmax_last_dim(&scores.broadcast_add(mask)?)?.to_dtype(value.dtype())?;
    let attended = weights.reshape((kv_heads, stacked_rows, seq))?.matmul(value)?.reshape((heads, rows, head_dim))?;
    attended.transpose(0, 1)?.reshape((rows, heads * head_dim))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{Device, Var};

    use super::*;
    use crate::vision_language::kernels::{AttentionPlan, AttentionSpan, attention};

    #[test]
    fn the_kernel_equals_the_plain_operations() {
        let (rows, seq) = (150, 210);
        let random = |heads: usize, rows: usize| Tensor::randn(0f32, 1., (heads, rows, 16), &Device::Cpu).unwrap();
        let (query, key, value) = (random(4, rows), random(2, seq), random(2, seq));
        let mask: Vec<f32> =
            (0..rows * seq).map(|at| if at % seq <= seq - rows + at / seq { 0.0 } else { f32::NEG_INFINITY }).collect();
        let mask = Tensor::from_vec(mask, (1, rows, seq), &Device::Cpu).unwrap();
        let plain = attend_plainly(&query, &key, &value, 0.25, &mask).unwrap();
        let fast = attention(&query, &key, &value, 0.25, &AttentionSpan::causal(rows, seq)).unwrap();
        let difference = (plain - fast).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(difference < 1e-5, "{difference}");
    }

    #[test]
    fn the_kernels_gradient_is_that_of_the_plain_operations() {
        // All rows, and the last ones of a sequence; more than a block of rows.
        for (rows, seq) in [(150, 150), (70, 210), (1, 1)] {
            let random = |heads: usize, rows: usize| Var::randn(0f32, 1., (heads, rows, 16), &Device::Cpu).unwrap();
            let (query, key, value) = (random(4, rows), random(2, seq), random(2, seq));
            let dy = Tensor::randn(0f32, 1., (rows, 64), &Device::Cpu).unwrap();
            let mask = (0..rows * seq)
                .map(|at| if at % seq <= seq - rows + at / seq { 0.0 } else { f32::NEG_INFINITY })
                .collect::<Vec<_>>();
            let mask = Tensor::from_vec(mask, (1, rows, seq), &Device::Cpu).unwrap();
            let gradients = |attended: &Tensor| {
                let found = (attended * &dy).unwrap().sum_all().unwrap().backward().unwrap();
                [&query, &key, &value].map(|part| found.get(part).unwrap().clone())
            };
            let plain = gradients(&attend_plainly(&query, &key, &value, 0.25, &mask).unwrap());
            let attended = AttentionPlan::causal(rows, seq).attend(&query, &key, &value, 0.25).unwrap().unwrap();
            for (fast, plain) in gradients(&attended).iter().zip(&plain) {
                let difference = (fast - plain).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(difference < 2e-5, "{rows} of {seq}: {difference}");
            }
        }
    }

    /// The 3B model's key biases reach hundreds. They are the same for all keys, so that they cancel in the softmax, unless
    /// scores are rounded to bf16 before: the output was then off by 6 %.
    #[test]
    fn large_biases_of_keys_do_not_drown_the_scores_in_bf16() {
        let (rows, heads, dim) = (64, Heads { first: 0, count: 2, dim: 32 }, 32);
        let random =
            |scale: f64, shape: (usize, usize)| Tensor::randn(0f32, scale as f32, shape, &Device::Cpu).unwrap();
        let width = heads.count * dim;
        let bias = random(27.0, (1, width));
        let query = random(1.0, (rows, width)).to_dtype(DType::BF16).unwrap();
        let key = random(1.0, (rows, width)).broadcast_add(&bias).unwrap().to_dtype(DType::BF16).unwrap();
        let value = random(1.0, (rows, width)).to_dtype(DType::BF16).unwrap();
        let angles = (0..rows * dim / 2).map(|at| (at / (dim / 2)) as f32 * 0.01).collect();
        let table =
            crate::vision_language::rotary_table::RotaryTable::new(angles, rows, dim / 2, &Device::Cpu).unwrap();
        let mask = Tensor::zeros((1, rows, rows), DType::F32, &Device::Cpu).unwrap();
        let attend = |dtype: DType| {
            let parts = [&query, &key, &value].map(|part| part.to_dtype(dtype).unwrap());
            let [query, key] = [&parts[0], &parts[1]].map(|part| table.split_and_rotate(part, heads).unwrap());
            assert_eq!(query.dtype(), DType::F32);
            let value = split_heads(&parts[2], heads).unwrap();
            attend_plainly(&query, &key, &value, 0.18, &mask).unwrap().to_dtype(DType::F32).unwrap()
        };
        let (exact, found) = (attend(DType::F32), attend(DType::BF16));
        let norm =
            |tensor: &Tensor| tensor.sqr().unwrap().sum_all().unwrap().sqrt().unwrap().to_scalar::<f32>().unwrap();
        let share = norm(&(&found - &exact).unwrap()) / norm(&exact);
        assert!(share < 5e-3, "{share}");
    }
}
