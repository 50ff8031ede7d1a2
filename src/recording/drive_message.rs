//! The ROS messages that tell how a drive went, beside the images.

use super::cdr::{CdrError, CdrReader};

/// `action_msgs/msg/GoalStatusArray`.
pub(super) const GOAL_STATUS: &str = "action_msgs/msg/GoalStatusArray";
/// `geometry_msgs/msg/PoseStamped`.
pub(super) const POSE_STAMPED: &str = "geometry_msgs/msg/PoseStamped";
/// `sensor_msgs/msg/LaserScan`.
pub(super) const LASER_SCAN: &str = "sensor_msgs/msg/LaserScan";
/// `std_msgs/msg/Bool`.
pub(super) const BOOL: &str = "std_msgs/msg/Bool";

/// Laser returns that the nearest distance is the mean of.
const NEAREST: usize = 10;

/// A goal's id and how it stands.
pub(super) type GoalStatus = ([u8; 16], i8);

fn skip_header(cdr: &mut CdrReader<'_>) -> Result<(), CdrError> {
    cdr.i32("header.stamp.sec")?;
    cdr.u32("header.stamp.nanosec")?;
    cdr.text("header.frame_id").map(|_| ())
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
        cdr.i32("stamp.sec")?;
        cdr.u32("stamp.nanosec")?;
        statuses.push((id, cdr.u8("status")?.cast_signed()));
    }
    Ok(statuses)
}

/// Whether a collision is being reported.
pub(super) fn boolean(payload: &[u8]) -> Result<bool, CdrError> {
    Ok(CdrReader::new(payload)?.u8("data")? != 0)
}

/// x, y and the quaternion of a pose.
type RawPose = (f64, f64, [f64; 4]);

/// The pose of a stamped pose.
pub(super) fn pose_stamped(payload: &[u8]) -> Result<RawPose, CdrError> {
    let mut cdr = CdrReader::new(payload)?;
    skip_header(&mut cdr)?;
    raw_pose(&mut cdr)
}

/// The pose of an odometry message.
pub(super) fn odometry_pose(payload: &[u8]) -> Result<RawPose, CdrError> {
    let mut cdr = CdrReader::new(payload)?;
    skip_header(&mut cdr)?;
    cdr.text("child_frame_id")?;
    raw_pose(&mut cdr)
}

fn raw_pose(cdr: &mut CdrReader<'_>) -> Result<RawPose, CdrError> {
    let (x, y) = (cdr.f64("position.x")?, cdr.f64("position.y")?);
    cdr.f64("position.z")?;
    let mut quaternion = [0.0; 4];
    for number in &mut quaternion {
        *number = cdr.f64("orientation")?;
    }
    Ok((x, y, quaternion))
}

/// The mean of the ten nearest returns of a scan, metres; `None` where it has none. Returns that are no distance within
/// the sensor's range do not count.
pub(super) fn nearest_laser(payload: &[u8]) -> Result<Option<f64>, CdrError> {
    let mut cdr = CdrReader::new(payload)?;
    skip_header(&mut cdr)?;
    let mut number = |field: &'static str| cdr.u32(field).map(f32::from_bits);
    for field in ["angle_min", "angle_max", "angle_increment", "time_increment", "scan_time"] {
        number(field)?;
    }
    let (least, most) = (number("range_min")?, number("range_max")?);
    let count = cdr.u32("ranges")?;
    let mut cut_short = None;
    let ranges = std::iter::from_fn(|| match cdr.u32("ranges") {
        Ok(bits) => Some(f32::from_bits(bits)),
        Err(error) => {
            cut_short = Some(error);
            None
        }
    });
    let nearest = nearest_laser_of(ranges.take(count as usize), least, most);
    cut_short.map_or(Ok(nearest), Err)
}

/// The mean of the ten nearest returns, metres; `None` where there is none. Returns that are no distance within the
/// sensor's range, from `least` to `most`, do not count.
pub fn nearest_laser_of(ranges: impl Iterator<Item = f32>, least: f32, most: f32) -> Option<f64> {
    // The nearest so far in order: however many there are, no more than these are kept.
    let mut nearest = Vec::with_capacity(NEAREST + 1);
    for range in ranges.filter(|range| range.is_finite() && *range >= least && *range <= most) {
        let at = nearest.partition_point(|known| *known <= range);
        nearest.insert(at, range);
        nearest.truncate(NEAREST);
    }
    let sum: f64 = nearest.iter().copied().map(f64::from).sum();
    (!nearest.is_empty()).then(|| sum / nearest.len() as f64)
}
