//! The robot's velocity, as an odometry message tells it.
//!
//! `nav_msgs/Odometry` says that the twist is in the frame `child_frame_id`, which is the robot's. Some publishers give
//! the odometry's own frame there, and mean it: their twist is turned into the robot's frame by the pose. An empty
//! `child_frame_id` says nothing; the twist is then taken to be in the robot's frame, as almost everybody sends it.

use nalgebra::Vector3;

use super::transforms::plain;
use super::{Refused, SpatialPose};

/// The parts of an odometry message that tell of velocity, as they were sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OdometryTwist<'a> {
    /// `header.frame_id`.
    pub frame: &'a str,
    /// `child_frame_id`.
    pub child_frame: &'a str,
    /// `pose.pose.orientation`: x, y, z, w.
    pub orientation: [f64; 4],
    /// `twist.twist.linear`, m/s.
    pub linear: [f64; 3],
    /// `twist.twist.angular`, rad/s.
    pub angular: [f64; 3],
}

/// A velocity in the robot's frame, not checked otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BodyTwist {
    /// Ahead, m/s.
    pub linear: f64,
    /// Yaw rate, rad/s.
    pub angular: f64,
    /// What is to be said about it, once.
    pub remark: Option<TwistRemark>,
}

/// What is odd about odometry whose velocity is used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum TwistRemark {
    /// It was turned by the pose's orientation.
    #[error(
        "child_frame_id is the odometry's own frame, so its twist is turned into the robot's frame by the pose; if the \
         twist is the robot's already, name the robot's frame (base_link) in child_frame_id"
    )]
    Turned,
    /// Nothing says which frame it is in.
    #[error("child_frame_id is empty; its twist is taken to be in the robot's frame, name that (base_link) to be sure")]
    NoChildFrame,
}

impl OdometryTwist<'_> {
    /// The velocity in the robot's frame.
    ///
    /// # Errors
    /// [`Refused::TwistCannotBeTurned`] where the twist is in the odometry's own frame and the orientation is none.
    pub fn in_body(&self) -> Result<BodyTwist, Refused> {
        let ([linear, ..], [.., angular]) = (self.linear, self.angular);
        let (frame, child) = (plain(self.frame), plain(self.child_frame));
        if child.is_empty() {
            return Ok(BodyTwist { linear, angular, remark: Some(TwistRemark::NoChildFrame) });
        }
        if frame != child {
            return Ok(BodyTwist { linear, angular, remark: None });
        }
        let pose = SpatialPose { position: [0.0; 3], orientation: self.orientation }
            .isometry()
            .map_err(|_| Refused::TwistCannotBeTurned { frame: frame.to_owned(), orientation: self.orientation })?;
        let turned = |vector: [f64; 3]| pose.rotation.inverse_transform_vector(&Vector3::from(vector));
        let (linear, angular) = (turned(self.linear).x, turned(self.angular).z);
        Ok(BodyTwist { linear, angular, remark: Some(TwistRemark::Turned) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn twist(child_frame: &'static str, yaw: f64) -> OdometryTwist<'static> {
        let orientation = SpatialPose::on_ground(0.0, 0.0, yaw).orientation;
        OdometryTwist { frame: "odom", child_frame, orientation, linear: [0.3, 0.4, 0.0], angular: [0.0, 0.0, -0.2] }
    }

    #[test]
    fn a_twist_in_the_robots_frame_is_left_to_the_bit() {
        for child in ["base_link", "/base_footprint", "robot/odom"] {
            let body = twist(child, 2.0).in_body().unwrap();
            assert_eq!(body, BodyTwist { linear: 0.3, angular: -0.2, remark: None }, "{child}");
        }
        let unnamed = twist("", 2.0).in_body().unwrap();
        assert_eq!(unnamed, BodyTwist { linear: 0.3, angular: -0.2, remark: Some(TwistRemark::NoChildFrame) });
    }

    #[test]
    fn a_twist_in_the_odometrys_own_frame_is_turned() {
        // The robot looks where it drives: 0.5 m/s ahead.
        for child in ["odom", "/odom"] {
            let body = twist(child, 0.4f64.atan2(0.3)).in_body().unwrap();
            assert!((body.linear - 0.5).abs() < 1e-12 && (body.angular + 0.2).abs() < 1e-12, "{body:?}");
            assert_eq!(body.remark, Some(TwistRemark::Turned));
        }
        let backwards = twist("odom", 0.4f64.atan2(0.3) + std::f64::consts::PI).in_body().unwrap();
        assert!((backwards.linear + 0.5).abs() < 1e-12, "{backwards:?}");
    }

    #[test]
    fn without_an_orientation_it_is_refused() {
        for orientation in [[0.0; 4], [f64::NAN; 4], [0.0, 0.0, 90.0, 1.0]] {
            let refused = OdometryTwist { orientation, ..twist("odom", 0.0) }.in_body().unwrap_err().to_string();
            assert!(refused.contains("child_frame_id is 'odom'") && refused.contains("orientation"), "{refused}");
            assert!(OdometryTwist { orientation, ..twist("base_link", 0.0) }.in_body().is_ok(), "not needed there");
        }
    }
}
