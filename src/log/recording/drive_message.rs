//! The ROS messages that tell how a drive went, beside the images.

use super::cdr::{CdrError, CdrReader};
use super::message::stamp_and_frame;
use super::scene_message::pose;
use crate::drive::Position;
use planner_tuner_core::frame::Stamp;
use planner_tuner_core::frame::render::LaserScan;

/// `action_msgs/msg/GoalStatusArray`.
pub(super) const GOAL_STATUS: &str = "action_msgs/msg/GoalStatusArray";
/// `geometry_msgs/msg/PoseStamped`.
pub(crate) const POSE_STAMPED: &str = "geometry_msgs/msg/PoseStamped";
/// `std_msgs/msg/Bool`.
pub(super) const BOOL: &str = "std_msgs/msg/Bool";

/// Laser returns that the nearest distance is the mean of.
const NEAREST: usize = 10;

/// A goal of an action, and how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoalStatus {
    /// The goal's id.
    pub id: [u8; 16],
    /// When it was accepted; zero where that is not known.
    pub accepted: Stamp,
    /// One of the constants of `action_msgs/msg/GoalStatus`.
    pub status: i8,
}

/// The goals of a status array.
pub(super) fn goal_statuses(payload: &[u8]) -> Result<Vec<GoalStatus>, CdrError> {
    let mut cdr = CdrReader::new(payload)?;
    let count = cdr.u32("status_list")?;
    let mut statuses = Vec::new();
    for _ in 0..count {
        let mut id = [0; 16];
        for byte in &mut id {
            *byte = cdr.u8("goal_id")?;
        }
        let (seconds, nanos) = (cdr.i32("stamp.sec")?, cdr.u32("stamp.nanosec")?);
        let accepted = Stamp::from_nanos(i64::from(seconds) * 1_000_000_000 + i64::from(nanos));
        statuses.push(GoalStatus { id, accepted, status: cdr.u8("status")?.cast_signed() });
    }
    Ok(statuses)
}

/// Whether a collision is being reported.
pub(super) fn boolean(payload: &[u8]) -> Result<bool, CdrError> {
    Ok(CdrReader::new(payload)?.u8("data")? != 0)
}

/// Where a stamped pose is; `None` where it is not finite.
pub(crate) fn goal(payload: &[u8]) -> Result<Option<Position>, CdrError> {
    let mut cdr = CdrReader::new(payload)?;
    stamp_and_frame(&mut cdr)?;
    let [x, y, _] = pose(&mut cdr, "pose")?.position;
    Ok((x.is_finite() && y.is_finite()).then_some(Position { x, y }))
}

/// As [`nearest_laser_of`], of a whole scan.
pub(super) fn nearest_laser(scan: &LaserScan) -> Option<f64> {
    nearest_laser_of(scan.ranges.iter().copied(), scan.range_min, scan.range_max)
}

/// The mean of the ten nearest returns, metres; `None` where there is none. What is no return within the sensor's range,
/// from `least` to `most`, does not count; see [`LaserScan::is_return`].
pub fn nearest_laser_of(ranges: impl Iterator<Item = f32>, least: f32, most: f32) -> Option<f64> {
    // The nearest so far in order: however many there are, no more than these are kept.
    let mut nearest = Vec::with_capacity(NEAREST + 1);
    for range in ranges.filter(|range| LaserScan::is_return(*range, least, most)) {
        let at = nearest.partition_point(|known| *known <= range);
        nearest.insert(at, range);
        nearest.truncate(NEAREST);
    }
    let sum: f64 = nearest.iter().copied().map(f64::from).sum();
    (!nearest.is_empty()).then(|| sum / nearest.len() as f64)
}
