//! Angles as the original passes them on: through quaternions, which changes their last bits.

use std::f64::consts::{PI, TAU};

/// A yaw angle, or a yaw rate, that went through a quaternion about z: `setRPY(0, 0, angle)`, then `tf2::getYaw`. Angles
/// beyond ±π come back wrapped; so do rates.
pub fn through_quaternion(angle: f64) -> f64 {
    let (z, w) = (angle * 0.5).sin_cos();
    (2.0 * (w * z)).atan2(w * w - z * z)
}

/// The shortest turn from one heading to another, rad, in [-π, π] (`angles::shortest_angular_distance`).
pub fn shortest_turn(from: f64, to: f64) -> f64 {
    let turned = (to - from + PI) % TAU;
    if turned <= 0.0 { turned + PI } else { turned - PI }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_never_more_than_half_a_circle() {
        assert!((shortest_turn(3.0, -3.0) - (TAU - 6.0)).abs() < 1e-12);
        assert!((shortest_turn(-3.0, 3.0) + (TAU - 6.0)).abs() < 1e-12);
        assert_eq!(shortest_turn(0.0, 0.25), 0.25);
    }

    #[test]
    fn a_rate_above_half_a_circle_comes_back_wrapped() {
        assert!((through_quaternion(4.0) - (4.0 - TAU)).abs() < 1e-12);
        assert!((through_quaternion(-1.0) + 1.0).abs() < 1e-15);
    }
}
