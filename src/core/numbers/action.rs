//! The policy's output.

use super::{NumbersError, finite};

/// One number in [-1, 1] for each planner parameter, in the planner file's order. Finite and in range by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct Action(Vec<f32>);

impl Action {
    /// Takes the actor's output; what rounding left beyond ±1 is cut.
    ///
    /// # Errors
    /// [`NumbersError::NotFinite`] when one is NaN or infinite.
    pub fn clamped(values: Vec<f32>) -> Result<Self, NumbersError> {
        Ok(Self(finite("action", values)?.into_iter().map(|value| value.clamp(-1.0, 1.0)).collect()))
    }

    /// Takes values from a file.
    ///
    /// # Errors
    /// [`NumbersError::NotFinite`] or [`NumbersError::ActionRange`] for the first that is not a number from -1 to 1.
    pub fn from_values(values: Vec<f32>) -> Result<Self, NumbersError> {
        let values = finite("action", values)?;
        match values.iter().copied().enumerate().find(|(_, value)| value.abs() > 1.0) {
            Some((index, value)) => Err(NumbersError::ActionRange { index, value }),
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
    use super::*;

    #[test]
    fn only_finite_numbers_within_one_leave() {
        assert!(Action::clamped(vec![0.5, f32::NAN]).is_err());
        assert!(Action::clamped(vec![f32::INFINITY]).is_err());
        assert!(Action::from_values(vec![0.0, 1.5]).is_err());
        assert_eq!(Action::clamped(vec![-1.5, 0.25, 1.5]).unwrap().values(), [-1.0, 0.25, 1.0]);
    }
}
