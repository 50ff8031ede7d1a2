//! What the robot sees at a moment, as the scene that pictures are drawn from.

use nalgebra::{Isometry2, Point2, Vector2};

use crate::frame::render::Scene;
use crate::simulation::drive::Moment;

/// Scan, pose and plan of a moment.
pub fn scene_of(moment: &Moment<'_>) -> Scene {
    let pose = moment.pose;
    Scene {
        scan: moment.scan.clone(),
        laser_mount: None,
        robot: Isometry2::new(Vector2::new(pose.position.x, pose.position.y), pose.yaw),
        path: moment.plan.iter().map(|pose| Point2::new(pose.x, pose.y)).collect(),
    }
}
