//! The feature itself.

use super::{NumbersError, finite};

/// The pooled vector after history fusion (256 numbers for the 3B checkpoints): what actor and critic see. Finite by
/// construction. Not to be mixed up with the output of the regression MLP.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature(Vec<f32>);

impl Feature {
    /// Takes the values.
    ///
    /// # Errors
    /// [`NumbersError::NotFinite`] when one is NaN or infinite.
    pub fn from_values(values: Vec<f32>) -> Result<Self, NumbersError> {
        finite("feature", values).map(Self)
    }

    /// The values.
    pub fn values(&self) -> &[f32] {
        &self.0
    }
}
