//! The feature itself.

use candle_core::{Device, Tensor};

use super::error::{FeatureError, finite, finite_values};

/// The pooled vector after history fusion (256 numbers for the 3B checkpoints): what actor and critic see. Finite by
/// construction. Not to be mixed up with the output of the regression MLP.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature(Vec<f32>);

impl Feature {
    /// Takes the values of `[1, feature]`.
    ///
    /// # Errors
    /// [`FeatureError::NotFinite`] when one is NaN or infinite.
    pub fn from_tensor(tensor: &Tensor) -> Result<Self, FeatureError> {
        finite_values("feature", tensor).map(Self)
    }

    /// Takes values from a file.
    ///
    /// # Errors
    /// [`FeatureError::NotFinite`] when one is NaN or infinite.
    pub fn from_values(values: Vec<f32>) -> Result<Self, FeatureError> {
        finite("feature", values).map(Self)
    }

    /// The values.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// As `[1, feature]`, f32.
    ///
    /// # Errors
    /// When the device refuses the copy.
    pub fn to_tensor(&self, device: &Device) -> candle_core::Result<Tensor> {
        Tensor::from_slice(&self.0, (1, self.0.len()), device)
    }
}
