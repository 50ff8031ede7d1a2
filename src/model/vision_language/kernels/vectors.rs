//! Loops with the widest vectors that the processor has.

/// Runs `work` compiled for this processor's vectors (AVX-512, AVX2 with FMA, or what the target has at least), which is
/// found out when it runs. What `work` calls must be inlined into it to profit.
#[inline(always)]
pub fn widest_vectors<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}
