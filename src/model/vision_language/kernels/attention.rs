//! Attention by blocks of rows: a block's scores stay in the cache from their product to the product with the values.

use std::cell::Cell;
use std::ops::Range;

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::exp::exp;
use super::gemm::{Matrix, MatrixMut, multiply};
use crate::vectors::Vectors;

/// Query rows of a block; its scores are at most a few hundred kilobytes.
pub const BLOCK_ROWS: usize = 64;

thread_local! {
    /// Room for a block's scores and results, kept from one block to the next.
    static ROOMS: Cell<(Vec<f32>, Vec<f32>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// Queries that attend to the same keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttentionSpan {
    /// Rows of the query; spans follow each other without gaps.
    pub queries: Range<usize>,
    /// Rows of key and value.
    pub keys: Range<usize>,
    /// Whether the last query stands at the last key, the one before it at the one before, and none sees what is later.
    pub causal: bool,
}

impl AttentionSpan {
    /// `rows` queries, the last of `seq` tokens: each sees itself and what comes before it. The upper half is never
    /// computed.
    pub fn causal(rows: usize, seq: usize) -> Vec<Self> {
        blocks(0..rows).map(|queries| Self { keys: 0..seq - rows + queries.end, queries, causal: true }).collect()
    }

    /// All of `range` attend to each other.
    pub fn full(range: Range<usize>) -> impl Iterator<Item = Self> {
        blocks(range.clone()).map(move |queries| Self { queries, keys: range.clone(), causal: false })
    }
}

fn blocks(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(BLOCK_ROWS).map(move |start| start..end.min(start + BLOCK_ROWS))
}

/// `softmax(scale * query key^T) value`: `[heads, rows, dim]`, `[kv_heads, seq, dim]` twice, result `[rows, heads * dim]`.
/// Query heads share key heads in order, as in grouped-query attention. The scale is positive.
///
/// # Errors
/// When the shapes do not fit, or the spans do not cover the queries.
pub fn attention(query: &Tensor, key: &Tensor, value: &Tensor, scale: f64, spans: &[AttentionSpan]) -> Result<Tensor> {
    let attention = Attention { scale: scale as f32, spans, vectors: Vectors::in_use() };
    query.contiguous()?.apply_op3_no_bwd(&key.contiguous()?, &value.contiguous()?, &attention)
}

/// Whether the kernels of this folder take the tensor.
pub fn is_cpu_f32(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32
}

/// The values of a contiguous f32 tensor.
pub fn values<'s>(storage: &'s CpuStorage, layout: &Layout) -> Result<&'s [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => match storage.as_slice::<f32>()?.get(start..end) {
            Some(values) => Ok(values),
            None => bail!("a tensor's layout reaches past its storage"),
        },
        None => bail!("expected a contiguous tensor"),
    }
}

pub(super) struct Attention<'s> {
    pub(super) scale: f32,
    pub(super) spans: &'s [AttentionSpan],
    pub(super) vectors: Vectors,
}

impl CustomOp3 for Attention<'_> {
    fn name(&self) -> &'static str {
        "attention"
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
        let (heads, rows, dim) = query_layout.shape().dims3()?;
        let (kv_heads, seq, _) = key_layout.shape().dims3()?;
        if key_layout.shape() != value_layout.shape() || key_layout.dims().last() != Some(&dim) || dim == 0 || seq == 0
        {
            bail!("attention of {:?} to {:?} and {:?}", query_layout.dims(), key_layout.dims(), value_layout.dims());
        }
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            bail!("{heads} query heads cannot share {kv_heads} key heads");
        }
        self.check_spans(rows, seq)?;
        let (query, key, value) =
            (values(query, query_layout)?, values(key, key_layout)?, values(value, value_layout)?);
        let mut out = vec![0f32; query.len()];
        let sharing = heads / kv_heads;
        let mut tasks: Vec<Task> = (0..heads)
            .flat_map(|head| self.spans.iter().map(move |span| (head, span)))
            .map(|(head, span)| Task { head, span, out: Vec::with_capacity(span.queries.len()) })
            .collect();
        let mut out_rows = out.chunks_exact_mut(heads * dim);
        for (index, span) in self.spans.iter().enumerate() {
            for row in out_rows.by_ref().take(span.queries.len()) {
                // The tasks of a span stand a head's number of spans apart.
                let of_span = tasks.iter_mut().skip(index).step_by(self.spans.len());
                of_span.zip(row.chunks_exact_mut(dim)).for_each(|(task, part)| task.out.push(part));
            }
        }
        tasks.into_par_iter().try_for_each(|Task { head, span, out }| {
            let part = |values, first_row: usize, rows: &Range<usize>| {
                slice(values, (first_row + rows.start) * dim, rows.len() * dim)
            };
            let query = part(query, head * rows, &span.queries)?;
            let first_key = head / sharing * seq;
            let (key, value) = (part(key, first_key, &span.keys)?, part(value, first_key, &span.keys)?);
            self.attend(&Block { span, dim, query, key, value }, out)
        })?;
        Ok((CpuStorage::F32(out), Shape::from((rows, heads * dim))))
    }
}

/// One head's block of queries.
struct Task<'t> {
    head: usize,
    span: &'t AttentionSpan,
    /// Where each query's result goes.
    out: Vec<&'t mut [f32]>,
}

/// What one head's block of queries attends to: query `[block, dim]`, key and value `[keys, dim]`.
struct Block<'b> {
    span: &'b AttentionSpan,
    dim: usize,
    query: &'b [f32],
    key: &'b [f32],
    value: &'b [f32],
}

impl Attention<'_> {
    fn check_spans(&self, rows: usize, seq: usize) -> Result<()> {
        let end = self.spans.iter().try_fold(0, |at, span| {
            let fits = span.queries.start == at
                && span.queries.end > at
                && !span.keys.is_empty()
                && span.keys.end <= seq
                && (!span.causal || span.keys.len() >= span.queries.len());
            fits.then_some(span.queries.end)
        });
        if end != Some(rows) {
            bail!("the attention's spans do not cover {rows} queries and {seq} keys");
        }
        Ok(())
    }

    /// `out` are the block's rows of `dim`.
    fn attend(&self, of: &Block<'_>, out: Vec<&mut [f32]>) -> Result<()> {
        let Block { span, dim, query, key, value } = *of;
        let (block, keys) = (span.queries.len(), span.keys.len());
        let (mut scores, mut attended) = ROOMS.take();
        scores.resize(block * keys, 0.0);
        attended.resize(block * dim, 0.0);
        let transposed = Matrix::new(key, keys, dim)?.t();
        let into = MatrixMut::new(&mut scores, block, keys, keys)?;
        multiply(into, false, Matrix::new(query, block, dim)?, transposed)?;
        self.vectors.dispatch(|| {
            for (row, scores) in scores.chunks_exact_mut(keys).enumerate() {
                let visible = if span.causal { keys - block + row + 1 } else { keys };
                let (seen, unseen) = scores.split_at_mut(visible);
                softmax(seen, self.scale);
                unseen.fill(0.0);
            }
        });
        let into = MatrixMut::new(&mut attended, block, dim, dim)?;
        multiply(into, false, Matrix::new(&scores, block, keys)?, Matrix::new(value, keys, dim)?)?;
        for (row, attended) in out.into_iter().zip(attended.chunks_exact(dim)) {
            row.copy_from_slice(attended);
        }
        ROOMS.set((scores, attended));
        Ok(())
    }
}

fn slice(values: &[f32], start: usize, len: usize) -> Result<&[f32]> {
    match values.get(start..start + len) {
        Some(part) => Ok(part),
        None => bail!("values {start}..{} of {}", start + len, values.len()),
    }
}

#[inline(always)]
fn softmax(scores: &mut [f32], scale: f32) {
    // Thirty-two running values each, so that neither loop waits for its own last step.
    let largest = lanes(scores, f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = exp((*score - largest) * scale);
    }
    let share = 1.0 / lanes(scores, 0.0, |sum, value| sum + value);
    scores.iter_mut().for_each(|score| *score *= share);
}

/// Two of the widest vectors.
const LANES: usize = 32;

#[inline(always)]
fn lanes(values: &[f32], start: f32, fold: impl Fn(f32, f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [start; LANES];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &value)| *lane = fold(*lane, value));
    }
    lanes.iter().chain(rest).fold(start, |all, &value| fold(all, value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::Device;
    use candle_nn::ops::softmax_last_dim;

    use super::*;

    fn random(shape: (usize, usize, usize)) -> Tensor {
        Tensor::randn(0f32, 1.5, shape, &Device::Cpu).unwrap()
    }

    /// Repeats the key heads, adds a mask of `allowed`, and leaves the rest to candle.
    fn plain(query: &Tensor, key: &Tensor, value: &Tensor, allowed: impl Fn(usize, usize) -> bool) -> Tensor {
        let (heads, rows, _) = query.dims3().unwrap();
        let (kv_heads, seq, _) = key.dims3().unwrap();
        let repeat = |t: &Tensor| {
            let heads: Vec<_> = (0..heads).map(|h| t.get(h / (heads / kv_heads)).unwrap()).collect();
            Tensor::stack(&heads, 0).unwrap()
        };
        let mask: Vec<f32> =
            (0..rows * seq).map(|at| if allowed(at / seq, at % seq) { 0.0 } else { f32::NEG_INFINITY }).collect();
        let mask = Tensor::from_vec(mask, (1, rows, seq), &Device::Cpu).unwrap();
        let scores = query.matmul(&repeat(key).t().unwrap()).unwrap().broadcast_add(&mask).unwrap();
        let attended = softmax_last_dim(&scores).unwrap().matmul(&repeat(value)).unwrap();
        attended.transpose(0, 1).unwrap().flatten_from(1).unwrap()
    }

    fn with_all_vectors(query: &Tensor, key: &Tensor, value: &Tensor, spans: &[AttentionSpan]) -> Tensor {
        let attended = Vectors::available().into_iter().map(|vectors| {
            let attention = Attention { scale: 1.0, spans, vectors };
            (vectors.set(), query.apply_op3_no_bwd(key, value, &attention).unwrap())
        });
        let widest = attention(query, key, value, 1.0, spans).unwrap();
        for (set, attended) in attended {
            assert_eq!(difference(&attended, &widest), 0.0, "{set}");
        }
        widest
    }

    fn difference(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn causal_with_and_without_a_prefix() {
        for (heads, kv_heads, rows, seq, dim) in
            [(4, 2, 70, 70, 16), (4, 1, 33, 150, 8), (2, 2, 1, 1, 4), (16, 2, 200, 201, 128)]
        {
            let (query, key, value) =
                (random((heads, rows, dim)), random((kv_heads, seq, dim)), random((kv_heads, seq, dim)));
            let fast = with_all_vectors(&query, &key, &value, &AttentionSpan::causal(rows, seq));
            let expected = plain(&query, &key, &value, |row, col| col <= seq - rows + row);
            assert!(difference(&fast, &expected) < 1e-5);
        }
    }

    #[test]
    fn all_vectors_give_the_same_softmax_wherever_the_scores_lie() {
        let scores: Vec<f32> = (0..16 + 3 * LANES).map(|at| ((at * 37 % 101) as f32 - 50.0) * 0.13).collect();
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        for (at, len) in (0..16).flat_map(|at| [1, 5, 31, 32, 33, 3 * LANES].map(|len| (at, len))) {
            let softmax_with = |vectors: Vectors| {
                let mut all = scores.clone();
                let part = &mut all[at..at + len];
                vectors.dispatch(|| softmax(part, 0.7));
                bits(part)
            };
            let plain = softmax_with(Vectors::BASELINE);
            let sum: f32 = plain.iter().map(|&bits| f32::from_bits(bits)).sum();
            assert!((sum - 1.0).abs() < 1e-5, "{sum}");
            for vectors in Vectors::available() {
                assert!(softmax_with(vectors) == plain, "{}: {len} scores from {at} on", vectors.set());
            }
        }
    }

    #[test]
    fn windows_and_whole() {
        let (query, key, value) = (random((3, 150, 12)), random((3, 150, 12)), random((3, 150, 12)));
        let windows: Vec<_> = [0..64, 64..80, 80..150].into_iter().flat_map(AttentionSpan::full).collect();
        let window = |at: usize| [64, 80].iter().filter(|&&start| at >= start).count();
        let fast = with_all_vectors(&query, &key, &value, &windows);
        assert!(difference(&fast, &plain(&query, &key, &value, |row, col| window(row) == window(col))) < 1e-5);
        let whole: Vec<_> = AttentionSpan::full(0..150).collect();
        let fast = with_all_vectors(&query, &key, &value, &whole);
        assert!(difference(&fast, &plain(&query, &key, &value, |_, _| true)) < 1e-5);
    }

    #[test]
    fn spans_that_do_not_cover_are_refused() {
        let (query, key) = (random((2, 10, 4)), random((2, 10, 4)));
        let span = |queries: Range<usize>, keys: Range<usize>| AttentionSpan { queries, keys, causal: false };
        for spans in [
            vec![],
            vec![span(0..9, 0..10)],
            vec![span(0..10, 0..11)],
            vec![span(1..10, 0..10)],
            vec![span(0..10, 3..3)],
        ] {
            assert!(attention(&query, &key, &key, 1.0, &spans).is_err(), "{spans:?}");
        }
    }
}
