//! Where a robot is.

/// Position in the plane, metres (REP-105: in `map` or `odom`, whichever the drive's [`Pose`]s are in).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Metres.
    pub x: f64,
    /// Metres.
    pub y: f64,
}

/// Position and heading in the plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// Where.
    pub position: Position,
    /// Heading, rad, counter-clockwise from x.
    pub yaw: f64,
}
