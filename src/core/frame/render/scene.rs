//! What is drawn.

use nalgebra::{Isometry2, Isometry3, Point2};

use super::RenderError;

/// A planar laser scan, the fields of `sensor_msgs/LaserScan` that matter here, in its precision.
#[derive(Debug, Clone, PartialEq)]
pub struct LaserScan {
    /// Angle of the first beam in the robot's frame, rad, counter-clockwise from ahead.
    pub angle_min: f32,
    /// Angle from one beam to the next, rad; may be negative.
    pub angle_increment: f32,
    /// Shorter ranges are no obstacle, m.
    pub range_min: f32,
    /// Longer ranges are no obstacle, m.
    pub range_max: f32,
    /// Range of every beam, m. Infinite where nothing was hit.
    pub ranges: Vec<f32>,
}

impl LaserScan {
    /// Most beams that are accepted: a scanner with more is taken for a corrupted message.
    pub const MAX_RANGES: usize = 100_000;

    /// Whether a range is the distance of something, under these limits of the scanner. Zero is not, whatever the limits
    /// are: drivers that leave `range_min` at zero send it where nothing came back.
    pub fn is_return(range: f32, range_min: f32, range_max: f32) -> bool {
        range.is_finite() && range > 0.0 && range >= range_min && range <= range_max
    }

    pub(crate) fn check(&self) -> Result<(), RenderError> {
        if self.ranges.len() > Self::MAX_RANGES {
            return Err(RenderError::TooManyRanges { found: self.ranges.len(), max: Self::MAX_RANGES });
        }
        for (field, value) in [("angle_min", self.angle_min), ("angle_increment", self.angle_increment)] {
            if !value.is_finite() {
                return Err(RenderError::Scan { field, value, expected: "a finite angle in rad" });
            }
        }
        for (field, value) in [("range_min", self.range_min), ("range_max", self.range_max)] {
            if value.is_nan() {
                return Err(RenderError::Scan { field, value, expected: "a distance in m" });
            }
        }
        Ok(())
    }
}

/// A moment: what the laser saw, where the robot stood, and where it was told to go.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// The scan.
    pub scan: LaserScan,
    /// Pose of the laser in the robot's frame. `None` draws beams from the robot's centre, wherever the laser is mounted,
    /// as the training pictures did.
    pub laser_mount: Option<Isometry3<f64>>,
    /// Pose of the robot in the frame of the path, m and rad.
    pub robot: Isometry2<f64>,
    /// The global plan, m; empty when there is none.
    pub path: Vec<Point2<f64>>,
}

impl Scene {
    /// Most path points that are accepted: 1 km at a point every centimetre.
    pub const MAX_PATH_POINTS: usize = 100_000;

    /// Refuses what cannot be drawn (see the [module](super)).
    pub(crate) fn check(&self) -> Result<(), RenderError> {
        self.scan.check()?;
        if let Some(mount) = &self.laser_mount
            && let Some(value) = mount.to_matrix().iter().find(|value| !value.is_finite())
        {
            return Err(RenderError::Pose { field: "of the laser's mount", value: *value });
        }
        let position = self.robot.translation;
        for (field, value) in [("x", position.x), ("y", position.y), ("yaw", self.robot.rotation.angle())] {
            if !value.is_finite() {
                return Err(RenderError::Pose { field, value });
            }
        }
        if self.path.len() > Self::MAX_PATH_POINTS {
            return Err(RenderError::TooManyPathPoints { found: self.path.len(), max: Self::MAX_PATH_POINTS });
        }
        Ok(())
    }
}
