//! A moment of a drive as a viewer is shown it: what the laser saw, where the plan leads, where the robot is.
//!
//! | topic | message | frame |
//! | --- | --- | --- |
//! | [`SCAN_TOPIC`] | `sensor_msgs/msg/LaserScan` | `laser` |
//! | [`PLAN_TOPIC`] | `nav_msgs/msg/Path` | `odom` |
//! | [`POSE_TOPIC`] | `geometry_msgs/msg/PoseStamped` | `odom` |
//! | [`TRANSFORM_TOPIC`] | `tf2_msgs/msg/TFMessage` | `odom` to `base_link` to `laser` (REP-105) |
//! | [`FIELD_TOPIC`] | `nav_msgs/msg/OccupancyGrid` | `odom`; where the obstacles are |

use planner_tuner_core::frame::Stamp;
use planner_tuner_core::frame::render::LaserScan;
use planner_tuner_core::pose::Pose;

use super::definitions::{LASER_SCAN, OCCUPANCY_GRID, PATH, POSE_STAMPED, TF_MESSAGE};
use super::message::{ViewerError, ViewerMessage, nanos_of};
use crate::recording::cdr_writer::{CdrWriter, TooLong};

/// Topic of the scans.
pub const SCAN_TOPIC: &str = "/scan";
/// Topic of the global plan.
pub const PLAN_TOPIC: &str = "/plan";
/// Topic of the robot's pose.
pub const POSE_TOPIC: &str = "/pose";
/// Topic of the transforms.
pub const TRANSFORM_TOPIC: &str = "/tf";
/// Topic of the field of obstacles.
pub const FIELD_TOPIC: &str = "/field";

const ODOM: &str = "odom";
const BASE: &str = "base_link";
const LASER: &str = "laser";

/// What can be seen of a moment.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// When.
    pub stamp: Stamp,
    /// What the laser saw.
    pub scan: &'a LaserScan,
    /// How far ahead of the robot's centre the laser sits, m.
    pub laser_ahead_m: f64,
    /// Where the plan leads: x, y in m and yaw in rad.
    pub plan: &'a [[f64; 3]],
    /// Where the robot is.
    pub pose: Pose,
}

impl Seen<'_> {
    /// The messages of the moment.
    ///
    /// # Errors
    /// [`ViewerError::Stamp`], [`ViewerError::TooLong`].
    pub fn messages(&self) -> Result<[ViewerMessage; 4], ViewerError> {
        let nanos = nanos_of(self.stamp)?;
        Ok([
            ViewerMessage::ros2(TRANSFORM_TOPIC, TF_MESSAGE, nanos, self.transforms(nanos)?),
            ViewerMessage::ros2(SCAN_TOPIC, LASER_SCAN, nanos, self.scan(nanos)?),
            ViewerMessage::ros2(PLAN_TOPIC, PATH, nanos, self.plan(nanos)?),
            ViewerMessage::ros2(POSE_TOPIC, POSE_STAMPED, nanos, self.pose(nanos)?),
        ])
    }

    fn at(&self) -> [f64; 3] {
        [self.pose.position.x, self.pose.position.y, self.pose.yaw]
    }

    fn transforms(&self, nanos: u64) -> Result<Vec<u8>, TooLong> {
        let transforms = [(ODOM, BASE, self.at()), (BASE, LASER, [self.laser_ahead_m, 0.0, 0.0])];
        let mut message = CdrWriter::new();
        message.length(transforms.len())?;
        for (parent, child, [x, y, yaw]) in transforms {
            message.header(nanos, parent)?.text(child)?.f64(x).f64(y).f64(0.0).turn(yaw);
        }
        Ok(message.finish())
    }

    fn scan(&self, nanos: u64) -> Result<Vec<u8>, TooLong> {
        let LaserScan { angle_min, angle_increment, range_min, range_max, ranges } = self.scan;
        let angle_max = angle_min + angle_increment * ranges.len().saturating_sub(1) as f32;
        let mut message = CdrWriter::new();
        message.header(nanos, LASER)?.f32(*angle_min).f32(angle_max).f32(*angle_increment);
        message.f32(0.0).f32(0.0).f32(*range_min).f32(*range_max).length(ranges.len())?;
        for range in ranges {
            message.f32(*range);
        }
        // No intensities.
        message.length(0)?;
        Ok(message.finish())
    }

    fn plan(&self, nanos: u64) -> Result<Vec<u8>, TooLong> {
        let mut message = CdrWriter::new();
        message.header(nanos, ODOM)?.length(self.plan.len())?;
        for pose in self.plan {
            message.header(nanos, ODOM)?.pose(*pose);
        }
        Ok(message.finish())
    }

    fn pose(&self, nanos: u64) -> Result<Vec<u8>, TooLong> {
        let mut message = CdrWriter::new();
        message.header(nanos, ODOM)?.pose(self.at());
        Ok(message.finish())
    }
}

/// A field of obstacles as a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Edge of a cell, m.
    pub resolution_m: f32,
    /// Cells along x.
    pub width: u32,
    /// The corner of the first cell, m.
    pub origin: [f64; 2],
    /// Whether there is an obstacle, row by row along y.
    pub cells: Vec<bool>,
}

/// The message of a field.
///
/// # Errors
/// [`ViewerError::Stamp`], [`ViewerError::TooLong`].
pub fn field_message(stamp: Stamp, field: &Field) -> Result<ViewerMessage, ViewerError> {
    let nanos = nanos_of(stamp)?;
    let [x, y] = field.origin;
    let rows = field.cells.len().checked_div(field.width as usize).unwrap_or_default();
    let mut message = CdrWriter::new();
    message.header(nanos, ODOM)?.time(nanos).f32(field.resolution_m).u32(field.width).length(rows)?.pose([x, y, 0.0]);
    message.length(field.cells.len())?;
    for is_obstacle in &field.cells {
        message.i8(if *is_obstacle { 100 } else { 0 });
    }
    Ok(ViewerMessage::ros2(FIELD_TOPIC, OCCUPANCY_GRID, nanos, message.finish()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::recording::{drive_message, scene_message};
    use planner_tuner_core::pose::Position;

    /// What this project reads from a robot's bag is what it writes here.
    #[test]
    fn a_moment_reads_back_as_what_a_robot_would_have_sent() {
        let stamp = Stamp::from_nanos(1_500_000_000);
        let scan = LaserScan {
            angle_min: -1.5,
            angle_increment: 0.5,
            range_min: 0.1,
            range_max: 30.0,
            ranges: vec![1.0, f32::INFINITY, 2.5],
        };
        let pose = Pose { position: Position { x: 2.0, y: -3.0 }, yaw: 0.75 };
        let plan = [[2.0, -3.0, 0.0], [2.5, -3.5, -0.5]];
        let seen = Seen { stamp, scan: &scan, laser_ahead_m: 0.12, plan: &plan, pose };
        let [transforms, scanned, planned, placed] = seen.messages().unwrap();

        let read = scene_message::scan(scanned.data(), stamp).unwrap();
        assert_eq!((read.stamp, read.frame.as_str(), read.scan), (stamp, "laser", scan.clone()));
        let read = scene_message::plan(planned.data(), stamp).unwrap();
        assert_eq!((read.stamp, read.frame.as_str()), (stamp, "odom"));
        let points: Vec<[f64; 2]> = read.points.iter().map(|point| [point.x, point.y]).collect();
        assert_eq!(points, [[2.0, -3.0], [2.5, -3.5]]);
        let read = scene_message::transforms(transforms.data(), stamp, false).unwrap();
        let edges: Vec<(&str, &str)> =
            read.iter().map(|edge| (edge.frame.as_str(), edge.child_frame.as_str())).collect();
        assert_eq!(edges, [("odom", "base_link"), ("base_link", "laser")]);
        let pose_of = |edge: usize| {
            let pose = read.get(edge).map(|edge| edge.pose).unwrap();
            (pose.position, pose.orientation)
        };
        let half = 0.375_f64;
        assert_eq!(pose_of(0), ([2.0, -3.0, 0.0], [0.0, 0.0, half.sin(), half.cos()]));
        assert_eq!(pose_of(1), ([0.12, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]));
        assert_eq!(drive_message::goal(placed.data()).unwrap(), Some(pose.position));
    }
}
