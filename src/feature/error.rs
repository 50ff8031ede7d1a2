//! Why there is no feature.

use crate::weights::WeightError;

/// What can go wrong between hidden states and the feature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeatureError {
    /// A value is NaN or infinite; nothing after this stage may be used.
    #[error("{stage} holds {value} at index {index}; the model's numbers cannot be used for this frame")]
    NotFinite {
        /// Where it first shows: `hidden state 0` to `3`, `history vector`, `feature`, `regression` or `action`.
        stage: String,
        /// Index of the first such value.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A number of an action lies outside [-1, 1].
    #[error("action holds {value} at index {index}, expected a number from -1 to 1")]
    ActionRange {
        /// Index of the first such value.
        index: usize,
        /// The value.
        value: f32,
    },
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
pub(crate) fn finite_values(stage: &str, tensor: &candle_core::Tensor) -> Result<Vec<f32>, FeatureError> {
    finite(stage, tensor.flatten_all()?.to_dtype(candle_core::DType::F32)?.to_vec1::<f32>()?)
}

/// The values, if all of them are finite.
pub(crate) fn finite(stage: &str, values: Vec<f32>) -> Result<Vec<f32>, FeatureError> {
    match values.iter().copied().enumerate().find(|(_, value)| !value.is_finite()) {
        Some((index, value)) => Err(FeatureError::NotFinite { stage: stage.to_string(), index, value }),
        None => Ok(values),
    }
}
