//! Why numbers are not a feature or an action.

/// What is wrong with numbers that came out of a model or a file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NumbersError {
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
}

/// The values, if all of them are finite.
///
/// # Errors
/// [`NumbersError::NotFinite`] for the first that is not.
pub fn finite(stage: &str, values: Vec<f32>) -> Result<Vec<f32>, NumbersError> {
    match values.iter().copied().enumerate().find(|(_, value)| !value.is_finite()) {
        Some((index, value)) => Err(NumbersError::NotFinite { stage: stage.to_owned(), index, value }),
        None => Ok(values),
    }
}
