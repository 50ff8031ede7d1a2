//! Messages that pictures are drawn from, as a recorder sees them.
#![allow(clippy::unwrap_used, dead_code)]

use nalgebra::Isometry2;
use vlm_planner_tuner::frame::render::LaserScan;
use vlm_planner_tuner::scene::SpatialPose;

use super::small_bag::{Cdr, ODOMETRY, Recorded, nanos};

pub const LASER_SCAN: &str = "sensor_msgs/msg/LaserScan";
pub const PATH: &str = "nav_msgs/msg/Path";
pub const TRANSFORMS: &str = "tf2_msgs/msg/TFMessage";

/// A message that is recorded 1 ms behind its stamp.
fn recorded(topic: &'static str, type_name: &'static str, ms: i64, payload: Vec<u8>) -> Recorded {
    Recorded { topic, type_name, log_ms: ms + 1, payload }
}

pub fn scan(ms: i64, scan: &LaserScan) -> Recorded {
    let mut cdr = Cdr::new(false);
    cdr.header_in(nanos(ms), "laser").f32(scan.angle_min).f32(0.0).f32(scan.angle_increment);
    cdr.f32(0.0).f32(0.1).f32(scan.range_min).f32(scan.range_max).u32(scan.ranges.len() as u32);
    for range in &scan.ranges {
        cdr.f32(*range);
    }
    recorded("/scan", LASER_SCAN, ms, cdr.u32(0).finish())
}

pub fn plan(ms: i64, frame: &str, points: &[(f64, f64)]) -> Recorded {
    plan_on("/plan", ms, frame, points)
}

pub fn plan_on(topic: &'static str, ms: i64, frame: &str, points: &[(f64, f64)]) -> Recorded {
    let mut cdr = Cdr::new(false);
    cdr.header_in(nanos(ms), frame).u32(points.len() as u32);
    for (x, y) in points {
        cdr.header_in(nanos(ms), frame);
        pose(&mut cdr, SpatialPose::on_ground(*x, *y, 0.0));
    }
    recorded(topic, PATH, ms, cdr.finish())
}

/// Odometry in the frame `odom`, at 0.5 m/s and 0.1 rad/s.
pub fn odometry(ms: i64, robot: &Isometry2<f64>) -> Recorded {
    odometry_with(ms, SpatialPose::on_ground(robot.translation.x, robot.translation.y, robot.rotation.angle()))
}

pub fn odometry_with(ms: i64, robot: SpatialPose) -> Recorded {
    let mut cdr = Cdr::new(false);
    cdr.header_in(nanos(ms), "odom").text("base_link");
    pose(&mut cdr, robot);
    numbers(&mut cdr, &[0.0; 36]);
    numbers(&mut cdr, &[0.5, 0.0, 0.0, 0.0, 0.0, 0.1]);
    numbers(&mut cdr, &[0.0; 36]);
    recorded("/odom", ODOMETRY, ms, cdr.finish())
}

pub fn transform(topic: &'static str, ms: i64, parent: &str, child: &str, at: SpatialPose) -> Recorded {
    let mut cdr = Cdr::new(false);
    cdr.u32(1).header_in(nanos(ms), parent).text(child);
    pose(&mut cdr, at);
    recorded(topic, TRANSFORMS, ms, cdr.finish())
}

fn pose(cdr: &mut Cdr, SpatialPose { position, orientation }: SpatialPose) {
    numbers(cdr, &position);
    numbers(cdr, &orientation);
}

fn numbers(cdr: &mut Cdr, values: &[f64]) {
    for value in values {
        cdr.f64(*value);
    }
}
