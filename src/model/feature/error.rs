//! Why there is no feature.

use candle_core::{DType, Tensor};

use crate::weights::WeightError;
use planner_tuner_core::numbers::{NumbersError, finite};

/// What can go wrong between hidden states and the feature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeatureError {
    /// A value is NaN or infinite, or an action out of range.
    #[error(transparent)]
    Numbers(#[from] NumbersError),
    /// The head wants another number of history frames.
    #[error("the history encoder takes {expected} frames, {found} were given")]
    HistoryLength {
        /// Frames that the checkpoint was trained with.
        expected: usize,
        /// Frames that were given.
        found: usize,
    },
    /// The tensors do not make this head.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// A tensor operation failed.
    #[error("the feature head failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// The values of a tensor, if all of them are finite.
pub(crate) fn finite_values(stage: &str, tensor: &Tensor) -> Result<Vec<f32>, FeatureError> {
    Ok(finite(stage, values(tensor)?)?)
}

/// The values of a tensor of any shape and type, finite or not.
pub(crate) fn values(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()
}
