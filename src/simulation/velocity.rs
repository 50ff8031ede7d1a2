//! How fast a robot moves, or is told to move.

/// A velocity in the robot's frame (REP-103).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Velocity {
    /// Ahead, m/s.
    pub linear: f64,
    /// Yaw rate, rad/s, counter-clockwise.
    pub angular: f64,
}

impl Velocity {
    /// Standing still.
    pub const ZERO: Self = Self { linear: 0.0, angular: 0.0 };
}
