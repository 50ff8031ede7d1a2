//! Why a fine-tuning cannot go on.

use std::path::PathBuf;

use planner_tuner_model::checkpoint::CheckpointError;
use planner_tuner_model::feature::FeatureError;
use planner_tuner_model::learning::LearningError;
use planner_tuner_model::weights::WeightError;

/// What can go wrong between a folder of frames and a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FinetuneError {
    /// A file of the data.
    #[error("{path}: {problem}")]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// Tensors that make no heads.
    #[error("heads: {problem}")]
    Heads {
        /// What does not fit.
        problem: String,
    },
    /// Step after step without numbers.
    #[error(
        "{skipped} steps in a row up to step {step} gave a loss or gradient that is not finite; what was saved last is still \
         good: go on from it with a lower --learning-rate"
    )]
    Diverged {
        /// Steps in a row.
        skipped: u32,
        /// The last of them.
        step: u64,
    },
    /// A training is not gone on with under other conditions.
    #[error(
        "{path}: this training was begun with other data, another model or other options; leave out --resume, or give those \
         of the beginning (epochs and patience may differ)"
    )]
    OtherTraining {
        /// What was saved.
        path: PathBuf,
    },
    /// A checkpoint file.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The vision-language model or its LoRA.
    #[error(transparent)]
    Learning(#[from] LearningError),
    /// The heads.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// Tensors that do not make a model.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),
}
