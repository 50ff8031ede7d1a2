//! The project's own CUDA kernels: one source each, checked in with the PTX that it was compiled to, so that nobody needs
//! nvcc for them. `.ci/ptx` makes it and checks it; the tests run the sources on the CPU.

#[cfg(feature = "cuda")]
use candle_core::cuda_backend::cudarc::driver::LaunchConfig;

#[cfg(any(test, feature = "cuda"))]
use super::kernels::AttentionSpan;

/// `nf4_to_bf16` of `nf4.cu`.
#[cfg(feature = "cuda")]
pub(super) const NF4: &str = include_str!("nf4.ptx");

/// `attend_f32` and `attend_bf16` of `attention.cu`.
#[cfg(feature = "cuda")]
pub(super) const ATTENTION: &str = include_str!("attention.ptx");

/// `dropout_f32` of `dropout.cu`.
#[cfg(feature = "cuda")]
pub(super) const DROPOUT: &str = include_str!("dropout.ptx");

/// Blocks of [`THREADS`] for `count` numbers, one a thread; `None` for more than a kernel counts.
#[cfg(any(test, feature = "cuda"))]
pub(super) fn dropout_blocks(count: usize) -> Option<u32> {
    Some(u32::try_from(count).ok()?.div_ceil(THREADS))
}

/// How `dropout_f32` is launched for `count` numbers.
#[cfg(feature = "cuda")]
pub(super) fn dropout_launch(count: usize) -> Option<LaunchConfig> {
    Some(LaunchConfig { grid_dim: (dropout_blocks(count)?, 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 })
}

/// Largest number of columns of a head that `attention.cu` takes.
#[cfg(feature = "cuda")]
pub(super) const ATTENTION_MAX_DIM: usize = 128;
/// Queries of a tile, and keys that it looks at together.
#[cfg(any(test, feature = "cuda"))]
const ATTENTION_ROWS: usize = 32;

/// The tiles of `attention.cu` for these spans, five numbers each: first row, row behind the last, first key, key behind the
/// last, and 1 where the last row ends at the last key and each before it one earlier.
#[cfg(any(test, feature = "cuda"))]
pub(super) fn attention_tiles(spans: &[AttentionSpan]) -> Vec<u32> {
    let tile = |span: &AttentionSpan, start: usize| {
        let end = span.queries.end.min(start + ATTENTION_ROWS);
        let last_key = if span.causal { span.keys.end - (span.queries.end - end) } else { span.keys.end };
        [start, end, span.keys.start, last_key, usize::from(span.causal)].map(|number| number as u32)
    };
    spans.iter().flat_map(|span| span.queries.clone().step_by(ATTENTION_ROWS).flat_map(|at| tile(span, at))).collect()
}

/// Floats of shared memory that a block of `attention.cu` takes.
#[cfg(any(test, feature = "cuda"))]
const fn attention_shared_floats(dim: usize) -> usize {
    2 * ATTENTION_ROWS * (dim + 1) + ATTENTION_ROWS * (ATTENTION_ROWS + 1) + 7 * ATTENTION_ROWS
}

/// How `attention.cu` is launched.
#[cfg(feature = "cuda")]
pub(super) fn attention_launch(tiles: usize, heads: usize, dim: usize) -> LaunchConfig {
    LaunchConfig {
        grid_dim: (tiles as u32, heads as u32, 1),
        block_dim: (128, 1, 1),
        shared_mem_bytes: (attention_shared_floats(dim) * size_of::<f32>()) as u32,
    }
}

/// Values that a thread of `nf4_to_bf16` makes.
#[cfg(any(test, feature = "cuda"))]
const NF4_PER_THREAD: u32 = 8;
/// Threads of a block.
#[cfg(any(test, feature = "cuda"))]
const THREADS: u32 = 256;

/// Blocks of [`THREADS`] that make `count` values; `None` for more than a kernel counts.
#[cfg(any(test, feature = "cuda"))]
pub(super) fn nf4_blocks(count: usize) -> Option<u32> {
    let count = u32::try_from(count).ok()?;
    Some(count.div_ceil(NF4_PER_THREAD).div_ceil(THREADS))
}

/// How `nf4_to_bf16` is launched for `count` values.
#[cfg(feature = "cuda")]
pub(super) fn nf4_launch(count: usize) -> Option<LaunchConfig> {
    Some(LaunchConfig { grid_dim: (nf4_blocks(count)?, 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 })
}

#[cfg(test)]
mod tests;
