//! Why a model cannot learn.

use super::LearningNeeds;
use crate::checkpoint::CheckpointError;
use crate::feature::FeatureError;
use crate::vision_language::ModelError;
use crate::vision_language::processor::ProcessorError;
use crate::weights::WeightError;

/// What can go wrong with a LoRA, a gradient or a step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearningError {
    /// A checkpoint file.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Tensors that do not make the model.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The image processor, the prompt or the tokenizer.
    #[error(transparent)]
    Processor(#[from] ProcessorError),
    /// The vision-language model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The heads.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// A LoRA that no layer takes.
    #[error("a LoRA of rank {rank} does not fit {layer}, a matrix of {rows}x{cols}: choose a rank of at most {most}")]
    Rank {
        /// The layer's published name.
        layer: String,
        /// The rank.
        rank: usize,
        /// Outputs of the layer.
        rows: usize,
        /// Inputs of the layer.
        cols: usize,
        /// The largest rank that fits.
        most: usize,
    },
    /// Nothing of the model was chosen.
    #[error("the LoRA has no layer to learn beside: choose at least one of text, vision and merger")]
    NoTargets,
    /// An adapter whose layers have different ranks or scales.
    #[error(
        "{path}: {field} gives some layers another value, which a training cannot go on with; merge the adapter into its base model first"
    )]
    Patterns {
        /// The adapter's file.
        path: String,
        /// `rank_pattern` or `alpha_pattern`.
        field: &'static str,
    },
    /// A training that takes more memory than there is.
    #[error("learning takes {needs}; there are {:.1} GiB{advice}", *available as f64 / f64::from(1 << 30))]
    Memory {
        /// What it takes.
        needs: LearningNeeds,
        /// Bytes that there are.
        available: u64,
        /// What would fit, or nothing.
        advice: &'static str,
    },
    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
}
