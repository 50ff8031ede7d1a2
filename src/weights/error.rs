//! Why weights were refused.

use super::nf4::Nf4Error;
use crate::checkpoint::CheckpointError;

/// Why a set of tensors does not make a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightError {
    /// Names or shapes do not fit; every difference is listed.
    #[error("{what}: {} tensor(s) do not fit the model\n{}", .differences.len(), .differences.join("\n"))]
    Mismatch {
        /// The files or folder.
        what: String,
        /// One line for each tensor, sorted by name.
        differences: Vec<String>,
    },
    /// The machine has not enough memory; nothing has been read.
    #[error("{what} needs {need_mib} MiB of memory, {available_mib} MiB are available; close other programs{advice}")]
    Memory {
        /// The files or folder.
        what: String,
        /// What loading takes at its peak, MiB.
        need_mib: u64,
        /// What the system can give, MiB.
        available_mib: u64,
        /// A form that would fit, if there is one.
        advice: String,
    },
    /// The LoRA adapter cannot be merged into this base model.
    #[error("LoRA adapter {adapter}: {reason}")]
    Adapter {
        /// The adapter's file.
        adapter: String,
        /// The tensor, what was expected and what was found.
        reason: String,
    },
    /// Two tensors of one source mean the same layer.
    #[error("{what}: '{first}' and '{second}' are both the tensor '{canonical}'; remove one of them")]
    Ambiguous {
        /// The files or folder.
        what: String,
        /// The name shared by both.
        canonical: String,
        /// First name in the files.
        first: String,
        /// Second name in the files.
        second: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A matrix cannot be had in 4 bits.
    #[error(transparent)]
    Nf4(#[from] Nf4Error),
    /// A tensor operation failed while loading.
    #[error("loading the weights failed: {0}")]
    Tensor(#[from] candle_core::Error),
}
