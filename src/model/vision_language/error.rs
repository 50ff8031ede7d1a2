//! What can go wrong between an image and its hidden states.

use super::ConfigError;
use crate::weights::WeightError;

/// Why the vision-language model could not be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// `config.json` is missing, unreadable, or describes something that is not implemented.
    #[error("{path}: {reason}")]
    Config {
        /// The file.
        path: String,
        /// The field, what was expected and what was found.
        reason: ConfigError,
    },
    /// The weights do not make this model.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The patch grid cannot be merged or does not fit the patches.
    #[error("patch grid of {rows}x{cols} with merge size {merge}: {reason}")]
    Grid {
        /// Patches from top to bottom.
        rows: usize,
        /// Patches from left to right.
        cols: usize,
        /// Patches per side that become one token.
        merge: usize,
        /// What does not fit.
        reason: String,
    },
    /// The token sequence does not hold the image tokens it should.
    #[error(
        "prompt of {length} tokens has its {image_tokens} image tokens at {image_start}, which does not fit; \
         the prompt and the image processor disagree"
    )]
    Sequence {
        /// Tokens in all.
        length: usize,
        /// Index of the first image token.
        image_start: usize,
        /// Number of image tokens.
        image_tokens: usize,
    },
    /// A prompt that is longer than the configuration allows without a feature that is not implemented.
    #[error(
        "the prompt has {length} tokens, config.json allows {longest}: {reason}, which is not implemented; use a shorter \
         prompt, a smaller --max-pixels, or a base model without it"
    )]
    TooLong {
        /// Tokens in all.
        length: usize,
        /// Tokens up to which the feature changes nothing.
        longest: usize,
        /// The field, and what it would do.
        reason: &'static str,
    },
    /// A token that the embedding table does not have.
    #[error("token id {id} is beyond the embedding table of {vocab_size} rows; tokenizer and model do not fit")]
    TokenId {
        /// The id.
        id: u32,
        /// Rows of the table.
        vocab_size: usize,
    },
    /// A tensor operation failed: out of memory, or a lost device.
    #[error("the forward pass failed: {0}")]
    Tensor(#[from] candle_core::Error),
}
