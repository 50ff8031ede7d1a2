//! What an error of a GPU means for the work after it.

/// What an error of a GPU means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GpuFault {
    /// Its memory is full: with other programs gone, or after loading again, it may work.
    OutOfMemory,
    /// The process can never use the GPU again: an illegal address, an uncorrectable memory error, a card that is gone.
    ContextLost,
    /// Anything else: a wrong argument, a kernel that is not there. The same call fails the same way again, and the
    /// model is as good as before.
    Refused,
}

/// Names of the driver's errors after which its context is unusable ("sticky" errors, CUDA Driver API, `CUresult`).
const CONTEXT_LOST: [&str; 14] = [
    "ILLEGAL_ADDRESS",
    "LAUNCH_FAILED",
    "LAUNCH_TIMEOUT",
    "ECC_UNCORRECTABLE",
    "MISALIGNED_ADDRESS",
    "INVALID_ADDRESS_SPACE",
    "INVALID_PC",
    "HARDWARE_STACK_ERROR",
    "ILLEGAL_INSTRUCTION",
    "ASSERT",
    "NVLINK_UNCORRECTABLE",
    "DEVICE_UNAVAILABLE",
    "DEINITIALIZED",
    "CONTEXT_IS_DESTROYED",
];

/// The names under which a full memory is reported, by the driver and by cuBLAS.
const OUT_OF_MEMORY: [&str; 3] = ["OUT_OF_MEMORY", "out of memory", "ALLOC_FAILED"];

impl GpuFault {
    /// Finds out from an error of candle; `None` for one that is not about a GPU.
    pub fn of(error: &candle_core::Error) -> Option<Self> {
        let mut inner = error;
        loop {
            inner = match inner {
                candle_core::Error::Cuda(reason) => return Some(Self::from_text(&reason.to_string())),
                candle_core::Error::WithBacktrace { inner, .. }
                | candle_core::Error::WithPath { inner, .. }
                | candle_core::Error::Context { inner, .. } => inner,
                _ => return None,
            };
        }
    }

    /// The driver's errors have a code each and print its name; cuBLAS's likewise.
    fn from_text(text: &str) -> Self {
        let names = |known: &[&str]| known.iter().any(|name| text.contains(name));
        match () {
            () if names(&OUT_OF_MEMORY) => Self::OutOfMemory,
            () if names(&CONTEXT_LOST) => Self::ContextLost,
            () => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn cuda(text: &str) -> candle_core::Error {
        candle_core::Error::Cuda(text.to_owned().into())
    }

    #[test]
    fn a_full_memory_a_lost_context_and_a_bug_are_three_things() {
        // As cudarc prints them.
        let full = r#"DriverError(CUDA_ERROR_OUT_OF_MEMORY, "out of memory")"#;
        let lost = r#"DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered")"#;
        let bug = r#"DriverError(CUDA_ERROR_NOT_FOUND, "named symbol not found")"#;
        assert_eq!(GpuFault::of(&cuda(full)), Some(GpuFault::OutOfMemory));
        assert_eq!(GpuFault::of(&cuda("CUBLAS_STATUS_ALLOC_FAILED")), Some(GpuFault::OutOfMemory));
        assert_eq!(GpuFault::of(&cuda(lost)), Some(GpuFault::ContextLost));
        assert_eq!(GpuFault::of(&cuda(bug)), Some(GpuFault::Refused));
        assert_eq!(GpuFault::of(&candle_core::Error::Msg("CUDA_ERROR_OUT_OF_MEMORY".into())), None);
    }

    #[test]
    fn context_around_an_error_does_not_hide_it() {
        let wrapped = cuda("CUDA_ERROR_LAUNCH_FAILED").context("layer 3").bt();
        assert_eq!(GpuFault::of(&wrapped), Some(GpuFault::ContextLost));
    }
}
