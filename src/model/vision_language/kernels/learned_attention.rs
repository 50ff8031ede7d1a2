//! Attention that can be learned through: forward by the kernel, and back by the same blocks of rows. A block's scores are
//! computed again when its turn comes, so that they are never all in memory: of a vision block of the 3B model they would
//! take 88 MB, several times over.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

use super::attention::{Attention, AttentionSpan, values};
use super::gemm::{Matrix, MatrixMut, multiply};
use crate::vectors::Vectors;

/// `softmax(scale * query key^T) value` as [`attention`](super::attention), with a gradient for all three.
pub struct LearnedAttention {
    /// Positive.
    pub scale: f32,
    /// They cover the queries in order.
    pub spans: Arc<[AttentionSpan]>,
}

/// Sizes of queries `[heads, rows, dim]` and of keys `[kv_heads, seq, dim]`.
#[derive(Clone, Copy)]
struct Sizes {
    heads: usize,
    rows: usize,
    dim: usize,
    /// Query heads that share a key head.
    group: usize,
    seq: usize,
}

/// Of one key head and the query heads that share it.
struct HeadGradients<'g> {
    query: &'g mut [f32],
    key: &'g mut [f32],
    value: &'g mut [f32],
}

/// What the whole attention was given and gave, and the gradient of the latter.
struct Known<'k> {
    query: &'k [f32],
    key: &'k [f32],
    value: &'k [f32],
    /// `[rows, heads * dim]`
    attended: &'k [f32],
    of_attended: &'k [f32],
}

impl CustomOp3 for LearnedAttention {
    fn name(&self) -> &'static str {
        "learned-attention"
    }

    fn cpu_fwd(
        &self,
        query: &CpuStorage,
        query_layout: &Layout,
        key: &CpuStorage,
        key_layout: &Layout,
        value: &CpuStorage,
        value_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let attention = Attention { scale: self.scale, spans: &self.spans, vectors: Vectors::in_use() };
        attention.cpu_fwd(query, query_layout, key, key_layout, value, value_layout)
    }

    fn bwd(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        attended: &Tensor,
        of_attended: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((heads, rows, dim), (kv_heads, seq, _)) = (query.dims3()?, key.dims3()?);
        let sizes = Sizes { heads, rows, dim, group: heads / kv_heads, seq };
        let of_attended = of_attended.contiguous()?;
        let [query_gradient, key_gradient, value_gradient] =
            with_values([query, key, value, attended, &of_attended], |[query, key, value, attended, of_attended]| {
                self.back(sizes, &Known { query, key, value, attended, of_attended })
            })?;
        let of = |gradient: Vec<f32>, like: &Tensor| Tensor::from_vec(gradient, like.shape(), like.device()).map(Some);
        Ok((of(query_gradient, query)?, of(key_gradient, key)?, of(value_gradient, value)?))
    }
}

impl LearnedAttention {
    fn back(&self, sizes: Sizes, known: &Known<'_>) -> Result<[Vec<f32>; 3]> {
        let Sizes { heads, rows, dim, group, seq } = sizes;
        let kv_heads = heads / group;
        let mut gradients = [heads * rows, kv_heads * seq, kv_heads * seq].map(|count| vec![0f32; count * dim]);
        let [query, key, value] = &mut gradients;
        let of_keys = key.par_chunks_mut(seq * dim).zip(value.par_chunks_mut(seq * dim));
        let of_heads = query.par_chunks_mut(group * rows * dim).zip(of_keys).enumerate();
        of_heads.try_for_each(|(kv_head, (query, (key, value)))| {
            self.back_head(sizes, kv_head, known, &mut HeadGradients { query, key, value })
        })?;
        Ok(gradients)
    }

    #[expect(clippy::indexing_slicing, reason = "the forward pass has checked that spans, shapes and heads fit")]
    fn back_head(&self, sizes: Sizes, kv_head: usize, known: &Known<'_>, sums: &mut HeadGradients<'_>) -> Result<()> {
        let Sizes { heads, rows, dim, group, seq } = sizes;
        let (width, keys_at) = (heads * dim, kv_head * seq * dim);
        let (mut weights, mut of_weights) = (Vec::new(), Vec::new());
        for in_group in 0..group {
            let head = kv_head * group + in_group;
            for AttentionSpan { queries, keys, causal } in self.spans.iter() {
                let (count, seen) = (queries.len(), keys.len());
                let block = |values, start: usize| Matrix::new(part(values, start, count * dim), count, dim);
                let of_keys = |values| Matrix::new(part(values, keys_at + keys.start * dim, seen * dim), seen, dim);
                let of_head = |values| {
                    Matrix::new(part(values, queries.start * width, count * width), count, width)?
                        .columns(head * dim..(head + 1) * dim)
                };
                let query = block(known.query, (head * rows + queries.start) * dim)?;
                let (key, value, of_attended) =
                    (of_keys(known.key)?, of_keys(known.value)?, of_head(known.of_attended)?);
                weights.resize(count * seen, 0f32);
                of_weights.resize(count * seen, 0f32);
                multiply(MatrixMut::new(&mut weights, count, seen, seen)?, false, query, key.t())?;
                multiply(MatrixMut::new(&mut of_weights, count, seen, seen)?, false, of_attended, value.t())?;
                for row in 0..count {
                    let visible = if *causal { seen - count + row + 1 } else { seen };
                    let at = (queries.start + row) * width + head * dim;
                    // sum(weight * its gradient), over all keys
                    let sum: f32 = dot(&known.attended[at..at + dim], &known.of_attended[at..at + dim]);
                    let line = row * seen..(row + 1) * seen;
                    self.to_scores(&mut weights[line.clone()], &mut of_weights[line], visible, sum);
                }
                let weights = Matrix::new(&weights, count, seen)?; // [queries, keys]
                let of_scores = Matrix::new(&of_weights, count, seen)?;
                let range = keys.start * dim..keys.end * dim;
                let of_value = MatrixMut::new(&mut sums.value[range.clone()], seen, dim, dim)?;
                multiply(of_value, true, weights.t(), of_attended)?;
                multiply(MatrixMut::new(&mut sums.key[range], seen, dim, dim)?, true, of_scores.t(), query)?;
                let at = (in_group * rows + queries.start) * dim;
                let of_query = MatrixMut::new(&mut sums.query[at..at + count * dim], count, dim, dim)?;
                multiply(of_query, true, of_scores, key)?;
            }
        }
        Ok(())
    }

    /// Of a row of products with the keys makes weights, and of the weights' gradients those of the products. `sum` is that
    /// of the weights times their gradients.
    fn to_scores(&self, row: &mut [f32], of_row: &mut [f32], visible: usize, sum: f32) {
        let (row, hidden) = row.split_at_mut(visible.min(row.len()));
        hidden.fill(0.0);
        let (of_row, of_hidden) = of_row.split_at_mut(visible.min(of_row.len()));
        of_hidden.fill(0.0);
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|score| *score = (self.scale * (*score - largest)).exp());
        let total: f32 = row.iter().sum();
        for (weight, gradient) in row.iter_mut().zip(of_row) {
            *weight /= total;
            *gradient = self.scale * *weight * (*gradient - sum);
        }
    }
}

/// Of a slice that is shorter, nothing: the products then refuse it.
fn part(values: &[f32], start: usize, len: usize) -> &[f32] {
    values.get(start..start + len).unwrap_or_default()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Calls `work` with the numbers of contiguous f32 tensors on a CPU.
fn with_values<T>(tensors: [&Tensor; 5], work: impl FnOnce([&[f32]; 5]) -> Result<T>) -> Result<T> {
    let held = tensors.map(Tensor::storage_and_layout);
    let [a, b, c, d, e] = held.each_ref().map(|(storage, layout)| match &**storage {
        Storage::Cpu(storage) => values(storage, layout),
        _ => bail!("expected a tensor on a CPU"),
    });
    work([a?, b?, c?, d?, e?])
}
