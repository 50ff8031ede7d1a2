//! Messages that pictures are drawn from, as a recorder sees them.
#![allow(clippy::unwrap_used, dead_code)]

use nalgebra::{Isometry2, Point2, Vector2};
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
    let steps = scan.ranges.len().saturating_sub(1) as f32;
    let angle_max = scan.angle_min + steps * scan.angle_increment;
    let angle_max = if angle_max.is_finite() { angle_max } else { 0.0 };
    cdr.header_in(nanos(ms), "laser").f32(scan.angle_min).f32(angle_max).f32(scan.angle_increment);
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
    odometry_of(ms, "base_link", robot, [0.5, 0.0, 0.1])
}

/// Odometry in the frame `odom` with this child frame and this twist: x and y in m/s, yaw in rad/s.
pub fn odometry_of(ms: i64, child_frame: &str, robot: SpatialPose, [x, y, yaw]: [f64; 3]) -> Recorded {
    let mut cdr = Cdr::new(false);
    cdr.header_in(nanos(ms), "odom").text(child_frame);
    pose(&mut cdr, robot);
    numbers(&mut cdr, &[0.0; 36]);
    numbers(&mut cdr, &[x, y, 0.0, 0.0, 0.0, yaw]);
    numbers(&mut cdr, &[0.0; 36]);
    recorded("/odom", ODOMETRY, ms, cdr.finish())
}

pub fn transform(topic: &'static str, ms: i64, parent: &str, child: &str, at: SpatialPose) -> Recorded {
    let mut cdr = Cdr::new(false);
    cdr.u32(1).header_in(nanos(ms), parent).text(child);
    pose(&mut cdr, at);
    recorded(topic, TRANSFORMS, ms, cdr.finish())
}

/// The status of one goal of `navigate_to_pose`, accepted 10 ms ago.
pub fn goal_status(ms: i64, id: u8, status: u8) -> Recorded {
    let mut cdr = Cdr::new(false);
    cdr.u32(1);
    for _ in 0..16 {
        cdr.u8(id);
    }
    let accepted = nanos(ms - 10);
    cdr.u32((accepted / 1_000_000_000) as u32).u32((accepted % 1_000_000_000) as u32).u8(status);
    recorded("/navigate_to_pose/_action/status", "action_msgs/msg/GoalStatusArray", ms, cdr.finish())
}

/// A room whose walls come nearer with time.
pub fn beams(ms: i64) -> LaserScan {
    let ranges = (0..720).map(|beam| if beam % 50 == 7 { f32::INFINITY } else { 3.0 - ms as f32 * 2e-4 }).collect();
    LaserScan { angle_min: -2.356, angle_increment: 0.006_545, range_min: 0.1, range_max: 30.0, ranges }
}

pub fn robot(ms: i64) -> Isometry2<f64> {
    let seconds = ms as f64 * 1e-3;
    Isometry2::new(Vector2::new(0.5 * seconds, 0.2 - 0.1 * seconds), 0.3 * seconds - 0.5)
}

pub const PLAN: [(f64, f64); 4] = [(0.0, 0.0), (1.0, 0.3), (2.0, 0.1), (4.0, -1.0)];

pub fn path() -> Vec<Point2<f64>> {
    PLAN.iter().map(|(x, y)| Point2::new(*x, *y)).collect()
}

/// A drive of `seconds`: scans at 10 Hz, odometry at 20 Hz and at the scans' stamps, a plan a second.
pub fn drive(seconds: i64, plan_frame: &str) -> Vec<Recorded> {
    let mut messages: Vec<Recorded> = (0..seconds * 20).map(|turn| odometry(turn * 50, &robot(turn * 50))).collect();
    messages.extend((0..seconds * 10).map(|turn| scan(turn * 100, &beams(turn * 100))));
    messages.extend((0..seconds).map(|second| plan(second * 1000, plan_frame, &PLAN)));
    messages
}

/// The poses that went through quaternions, as the reader sees them.
pub fn as_sent(robot: &Isometry2<f64>) -> Isometry2<f64> {
    let yaw = robot.rotation.angle() / 2.0;
    let (z, w) = yaw.sin_cos();
    Isometry2::new(robot.translation.vector, (2.0 * w * z).atan2(1.0 - 2.0 * z * z))
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
