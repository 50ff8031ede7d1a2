//! The messages that scenes are made of, as they were sent.

use nalgebra::{Isometry2, Isometry3, Point2, Quaternion, Translation3, UnitQuaternion, Vector3};

use super::Refused;
use crate::frame::Stamp;
use crate::frame::render::LaserScan;

/// A `sensor_msgs/LaserScan`.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanMessage {
    /// When it was measured.
    pub stamp: Stamp,
    /// The laser's frame.
    pub frame: String,
    /// `angle_max`, rad: beams are placed without it, but it tells of ones that are in the wrong place.
    pub angle_max: f32,
    /// The beams.
    pub scan: LaserScan,
}

/// A `nav_msgs/Path`. The header's frame counts for all of its poses.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanMessage {
    /// When it was made.
    pub stamp: Stamp,
    /// The frame of its points.
    pub frame: String,
    /// Positions of the poses, m.
    pub points: Vec<Point2<f64>>,
}

/// The pose of a `nav_msgs/Odometry`.
#[derive(Debug, Clone, PartialEq)]
pub struct OdometryMessage {
    /// When it was measured.
    pub stamp: Stamp,
    /// `header.frame_id`.
    pub frame: String,
    /// `child_frame_id`, the robot's frame.
    pub child_frame: String,
    /// The pose of the child in the frame.
    pub pose: SpatialPose,
}

/// One of the transforms of a `tf2_msgs/TFMessage`.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformMessage {
    /// When it holds.
    pub stamp: Stamp,
    /// `header.frame_id`, the parent.
    pub frame: String,
    /// `child_frame_id`.
    pub child_frame: String,
    /// The pose of the child in the parent.
    pub pose: SpatialPose,
    /// Whether it came on `/tf_static` and holds at all times.
    pub is_static: bool,
}

/// A pose as messages carry it: not checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpatialPose {
    /// x, y, z, m.
    pub position: [f64; 3],
    /// x, y, z, w.
    pub orientation: [f64; 4],
}

/// Squared lengths that a quaternion may have: what is off by more is no rotation, but angles, or zeros.
const UNIT: std::ops::Range<f64> = 0.9..1.1;

impl SpatialPose {
    /// A pose on the ground: x and y in m, yaw in rad.
    pub fn on_ground(x: f64, y: f64, yaw: f64) -> Self {
        let (sin, cos) = (yaw / 2.0).sin_cos();
        Self { position: [x, y, 0.0], orientation: [0.0, 0.0, sin, cos] }
    }

    /// The pose, if it is one.
    ///
    /// # Errors
    /// [`Refused`] for numbers that are not finite and for an orientation that is no rotation.
    pub fn isometry(&self) -> Result<Isometry3<f64>, Refused> {
        let ([x, y, z], [qx, qy, qz, qw]) = (self.position, self.orientation);
        if !self.position.iter().chain(&self.orientation).all(|value| value.is_finite()) {
            return Err(Refused::NotFinite { position: self.position, orientation: self.orientation });
        }
        let quaternion = Quaternion::new(qw, qx, qy, qz);
        let norm = quaternion.norm();
        let rotation = UnitQuaternion::try_new(quaternion, 0.0).filter(|_| UNIT.contains(&(norm * norm)));
        let rotation = rotation.ok_or(Refused::NoRotation { norm });
        Ok(Isometry3::from_parts(Translation3::from(Vector3::new(x, y, z)), rotation?))
    }
}

/// A pose seen from above.
pub(super) fn on_ground(pose: &Isometry3<f64>) -> Isometry2<f64> {
    let q = pose.rotation.quaternion();
    let (sin, cos) = (2.0 * (q.w * q.k + q.i * q.j), 1.0 - 2.0 * (q.j * q.j + q.k * q.k));
    Isometry2::new(pose.translation.vector.xy(), sin.atan2(cos))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_pose_on_the_ground_survives_the_quaternion() {
        for yaw in [0.0, 1.0, -3.0, 3.1] {
            let pose = on_ground(&SpatialPose::on_ground(1.5, -2.5, yaw).isometry().unwrap());
            assert_eq!(pose.translation.vector, nalgebra::Vector2::new(1.5, -2.5));
            assert!((pose.rotation.angle() - yaw).abs() < 1e-12, "{yaw}");
        }
    }

    #[test]
    fn what_is_no_pose_is_refused() {
        let zero = SpatialPose { position: [0.0; 3], orientation: [0.0; 4] };
        assert!(zero.isometry().unwrap_err().to_string().contains("orientation"));
        let degrees = SpatialPose { position: [0.0; 3], orientation: [0.0, 0.0, 90.0, 1.0] };
        assert!(degrees.isometry().unwrap_err().to_string().contains("orientation"));
        for bad in [f64::NAN, f64::INFINITY] {
            let pose = SpatialPose { position: [0.0, bad, 0.0], ..SpatialPose::on_ground(0.0, 0.0, 0.0) };
            assert!(pose.isometry().unwrap_err().to_string().contains("position"), "{bad}");
            let pose = SpatialPose { orientation: [0.0, bad, 0.0, 1.0], ..zero };
            assert!(pose.isometry().is_err(), "{bad}");
        }
    }
}
