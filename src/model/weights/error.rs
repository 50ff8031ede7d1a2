//! Why weights were refused.

use super::nf4::Nf4Error;
use crate::checkpoint::CheckpointError;

/// Why a set of tensors does not make a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightError {
    /// Names or shapes do not fit; the first of either kind are listed, all are counted.
    #[error(
        "{what}: {} tensor(s) do not fit the model\n{}",
        unmet.len() + extra.len(),
        [unmet, extra].into_iter().filter(|lines| !lines.is_empty()).map(|lines| shortened_list(lines))
            .collect::<Vec<_>>().join("\n")
    )]
    Mismatch {
        /// The files or folder.
        what: String,
        /// One line for each tensor that is missing or mis-shaped, sorted by name.
        unmet: Vec<String>,
        /// One line for each tensor that the model has no place for, sorted by name.
        extra: Vec<String>,
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
    /// A base model in fewer bits, by a method that is not read.
    #[error(
        "{what}: the base model is quantised by {method}, as its tensor '{tensor}' shows, expected whole weights or \
         bitsandbytes' NF4; take the model as it was published without quantisation, and --quantize nf4 where memory is \
         short"
    )]
    Quantised {
        /// The files or folder.
        what: String,
        /// AWQ or GPTQ, for one.
        method: &'static str,
        /// A tensor that only such files have.
        tensor: String,
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

/// The first lines of a list, and how many more there are: hundreds of tensors that do not fit tell no more than eight.
pub(crate) fn shortened_list(lines: &[String]) -> String {
    const SHOWN: usize = 8;
    let rest = lines.len().saturating_sub(SHOWN);
    let mut text = lines.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n");
    if rest > 0 {
        text += &format!("\n  … and {rest} more");
    }
    text
}
