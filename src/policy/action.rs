//! The policy's output.

use candle_core::Tensor;

use crate::feature::{FeatureError, finite, finite_values};

/// One number in [-1, 1] for each planner parameter, in the planner file's order. Finite and in range by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct Action(Vec<f32>);

impl Action {
    /// Takes the values of `[1, actions]`; what rounding left beyond ±1 is cut.
    ///
    /// # Errors
    /// [`FeatureError::NotFinite`] when one is NaN or infinite.
    pub fn from_tensor(tensor: &Tensor) -> Result<Self, FeatureError> {
        let values = finite_values("action", tensor)?;
        Ok(Self(values.into_iter().map(|value| value.clamp(-1.0, 1.0)).collect()))
    }

    /// Takes values from a file.
    ///
    /// # Errors
    /// [`FeatureError::NotFinite`] or [`FeatureError::ActionRange`] for the first that is no number from -1 to 1.
    pub fn from_values(values: Vec<f32>) -> Result<Self, FeatureError> {
        let values = finite("action", values)?;
        match values.iter().copied().enumerate().find(|(_, value)| value.abs() > 1.0) {
            Some((index, value)) => Err(FeatureError::ActionRange { index, value }),
            None => Ok(Self(values)),
        }
    }

    /// The values.
    pub fn values(&self) -> &[f32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::Device;

    use super::*;

    #[test]
    fn only_finite_numbers_within_one_leave() {
        let act = |values: &[f32]| Action::from_tensor(&Tensor::new(values, &Device::Cpu).unwrap());
        assert!(act(&[0.5, f32::NAN]).is_err());
        assert!(act(&[f32::INFINITY]).is_err());
        assert!(Action::from_values(vec![0.0, 1.5]).is_err());
        assert_eq!(act(&[-1.5, 0.25, 1.5]).unwrap().values(), [-1.0, 0.25, 1.0]);
    }
}
