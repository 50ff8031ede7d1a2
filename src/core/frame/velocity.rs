//! The velocity the robot had when the frame was taken.

use super::FrameError;

/// Body velocity in the robot's frame (REP-103: x ahead, z up), finite and plausible by construction.
///
/// Kept in double precision, because the prompt prints it with three decimals and must round as Python does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BodyVelocity {
    linear: f64,
    angular: f64,
}

impl BodyVelocity {
    /// Largest accepted magnitude, m/s and rad/s: far above any robot, far below a corrupted message.
    pub const LIMIT: f64 = 100.0;

    /// Forward velocity in m/s and yaw rate in rad/s.
    ///
    /// # Errors
    /// [`FrameError::Velocity`] for NaN, infinities and magnitudes beyond [`Self::LIMIT`].
    pub fn new(linear: f64, angular: f64) -> Result<Self, FrameError> {
        for (component, value) in [("linear", linear), ("angular", angular)] {
            if !(-Self::LIMIT..=Self::LIMIT).contains(&value) {
                return Err(FrameError::Velocity { component, value, limit: Self::LIMIT });
            }
        }
        Ok(Self { linear, angular })
    }

    /// Forward velocity, m/s.
    pub fn linear(self) -> f64 {
        self.linear
    }

    /// Yaw rate, rad/s, counter-clockwise positive.
    pub fn angular(self) -> f64 {
        self.angular
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_plausible_numbers_get_in() {
        assert!(BodyVelocity::new(-0.5, 1.57).is_ok());
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, -100.1] {
            assert!(BodyVelocity::new(bad, 0.0).is_err(), "{bad}");
            assert!(BodyVelocity::new(0.0, bad).is_err(), "{bad}");
        }
        let message = BodyVelocity::new(0.0, f64::NAN).unwrap_err().to_string();
        assert!(message.starts_with("angular velocity is NaN"), "{message}");
    }
}
