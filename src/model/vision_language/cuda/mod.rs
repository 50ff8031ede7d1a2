//! The project's own CUDA kernels: one source each, checked in with the PTX that it was compiled to, so that nobody needs
//! nvcc for them. `.ci/ptx` makes it and checks it; the tests run the sources on the CPU.

/// `nf4_to_bf16` of `nf4.cu`.
#[cfg(feature = "cuda")]
pub(super) const NF4: &str = include_str!("nf4.ptx");

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
pub(super) fn nf4_launch(count: usize) -> Option<candle_core::cuda_backend::cudarc::driver::LaunchConfig> {
    Some(candle_core::cuda_backend::cudarc::driver::LaunchConfig {
        grid_dim: (nf4_blocks(count)?, 1, 1),
        block_dim: (THREADS, 1, 1),
        shared_mem_bytes: 0,
    })
}

#[cfg(test)]
mod tests;
