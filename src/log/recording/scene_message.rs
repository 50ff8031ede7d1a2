//! The ROS messages that pictures are drawn from.
//!
//! A stamp of zero is replaced by the time of recording, `log_time`.

use nalgebra::Point2;

use super::cdr::{CdrError, CdrReader};
use super::message::stamp_and_frame;
use planner_tuner_core::frame::Stamp;
use planner_tuner_core::frame::render::{LaserScan, Scene};
use planner_tuner_core::scene::{OdometryMessage, PlanMessage, ScanMessage, SpatialPose, TransformMessage};

/// `sensor_msgs/msg/LaserScan`.
pub(crate) const LASER_SCAN: &str = "sensor_msgs/msg/LaserScan";
/// `nav_msgs/msg/Path`.
pub(crate) const PATH: &str = "nav_msgs/msg/Path";
/// `tf2_msgs/msg/TFMessage`.
pub(crate) const TRANSFORMS: &str = "tf2_msgs/msg/TFMessage";

/// Most transforms in one message.
const MAX_TRANSFORMS: usize = 10_000;
/// Bytes of a `geometry_msgs/PoseStamped` with an empty frame, without padding.
const POSE_STAMPED_LEN: usize = 4 + 4 + 4 + 7 * 8;
/// Bytes of a `geometry_msgs/TransformStamped` with empty frames, without padding.
const TRANSFORM_STAMPED_LEN: usize = POSE_STAMPED_LEN + 4;

/// Reads a payload of type [`LASER_SCAN`] to its end, so that a cut one is noticed.
pub(crate) fn scan(payload: &[u8], log_time: Stamp) -> Result<ScanMessage, CdrError> {
    let mut cdr = CdrReader::new(payload)?;
    let (stamp, frame) = stamp_and_frame(&mut cdr)?;
    let angle_min = cdr.f32("angle_min")?;
    let angle_max = cdr.f32("angle_max")?;
    let angle_increment = cdr.f32("angle_increment")?;
    cdr.f32("time_increment")?;
    cdr.f32("scan_time")?;
    let (range_min, range_max) = (cdr.f32("range_min")?, cdr.f32("range_max")?);
    let ranges = cdr.f32s("ranges", LaserScan::MAX_RANGES)?;
    cdr.f32s("intensities", LaserScan::MAX_RANGES)?;
    let scan = LaserScan { angle_min, angle_increment, range_min, range_max, ranges };
    Ok(ScanMessage { stamp: stamp.unwrap_or(log_time), frame: frame.to_owned(), angle_max, scan })
}

/// Reads a payload of type [`PATH`].
pub(crate) fn plan(payload: &[u8], log_time: Stamp) -> Result<PlanMessage, CdrError> {
    let mut cdr = CdrReader::new(payload)?;
    let (stamp, frame) = stamp_and_frame(&mut cdr)?;
    let length = cdr.length("poses", POSE_STAMPED_LEN, Scene::MAX_PATH_POINTS)?;
    let mut points = Vec::with_capacity(length);
    for _ in 0..length {
        stamp_and_frame(&mut cdr)?;
        let [x, y, _] = pose(&mut cdr, "poses")?.position;
        points.push(Point2::new(x, y));
    }
    Ok(PlanMessage { stamp: stamp.unwrap_or(log_time), frame: frame.to_owned(), points })
}

/// Reads the pose of an odometry message.
pub(super) fn odometry(payload: &[u8], log_time: Stamp) -> Result<OdometryMessage, CdrError> {
    let mut cdr = CdrReader::new(payload)?;
    let (stamp, frame) = stamp_and_frame(&mut cdr)?;
    let child_frame = cdr.text("child_frame_id")?.to_owned();
    let pose = pose(&mut cdr, "pose.pose")?;
    Ok(OdometryMessage { stamp: stamp.unwrap_or(log_time), frame: frame.to_owned(), child_frame, pose })
}

/// Reads a payload of type [`TRANSFORMS`].
pub(crate) fn transforms(payload: &[u8], log_time: Stamp, is_static: bool) -> Result<Vec<TransformMessage>, CdrError> {
    let mut cdr = CdrReader::new(payload)?;
    let length = cdr.length("transforms", TRANSFORM_STAMPED_LEN, MAX_TRANSFORMS)?;
    let mut transforms = Vec::with_capacity(length);
    for _ in 0..length {
        let (stamp, frame) = stamp_and_frame(&mut cdr)?;
        let (frame, child_frame) = (frame.to_owned(), cdr.text("child_frame_id")?.to_owned());
        let (stamp, pose) = (stamp.unwrap_or(log_time), pose(&mut cdr, "transform")?);
        transforms.push(TransformMessage { stamp, frame, child_frame, pose, is_static });
    }
    Ok(transforms)
}

/// Position and orientation: `geometry_msgs/Pose` and `geometry_msgs/Transform` have the same bytes.
pub(super) fn pose(cdr: &mut CdrReader<'_>, field: &'static str) -> Result<SpatialPose, CdrError> {
    let mut number = || cdr.f64(field);
    let position = [number()?, number()?, number()?];
    Ok(SpatialPose { position, orientation: [number()?, number()?, number()?, number()?] })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const LOG_TIME: Stamp = Stamp::from_nanos(77);

    /// A little-endian payload that begins with a header of stamp zero and frame "f".
    fn payload(body: impl IntoIterator<Item = u8>) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, b'f', 0, 0, 0];
        bytes.extend(body);
        bytes
    }

    fn scan_payload(claimed: u32, ranges: &[f32]) -> Vec<u8> {
        let numbers = [-1.0f32, 1.0, 0.5, 0.0, 0.1, 0.2, 30.0].into_iter().flat_map(f32::to_le_bytes);
        let ranges = ranges.iter().flat_map(|range| range.to_le_bytes());
        payload(numbers.chain(claimed.to_le_bytes()).chain(ranges).chain([0; 4]))
    }

    #[test]
    fn a_scan_is_read_and_one_that_is_cut_is_not() {
        let bytes = scan_payload(3, &[1.0, f32::INFINITY, 2.5]);
        let message = scan(&bytes, LOG_TIME).unwrap();
        assert_eq!((message.stamp, message.frame.as_str()), (LOG_TIME, "f"));
        let expected = LaserScan {
            angle_min: -1.0,
            angle_increment: 0.5,
            range_min: 0.2,
            range_max: 30.0,
            ranges: vec![1.0, f32::INFINITY, 2.5],
        };
        assert_eq!(message.scan, expected);
        (0..bytes.len()).for_each(|end| assert!(scan(&bytes[..end], LOG_TIME).is_err(), "cut at {end}"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            // Most of them get past the encapsulation, and past a stamp of a positive second.
            bytes.splice(0..0, [0, 1, 0, 0]);
            bytes.iter_mut().skip(7).take(1).for_each(|byte| *byte &= 0x7F);
            let read = [
                scan(&bytes, LOG_TIME).is_ok(),
                plan(&bytes, LOG_TIME).is_ok(),
                odometry(&bytes, LOG_TIME).is_ok(),
                transforms(&bytes, LOG_TIME, false).is_ok(),
            ];
            proptest::prop_assert!(bytes.len() >= 20 || read[..3] == [false; 3], "{read:?}");
        }
    }

    #[test]
    fn lengths_are_not_believed() {
        let million = scan(&scan_payload(1_000_000, &[1.0; 8]), LOG_TIME).unwrap_err().to_string();
        assert_eq!(million, "'ranges' has 1000000 items, at most 100000 are read");
        let more = scan(&scan_payload(90_000, &[1.0; 8]), LOG_TIME).unwrap_err();
        assert!(matches!(more, CdrError::CutShort { field: "ranges", needed: 360_000, .. }), "{more}");
        for claimed in [90_000u32, 1_000_000, u32::MAX] {
            assert!(plan(&payload(claimed.to_le_bytes()), LOG_TIME).is_err());
            let mut bytes = vec![0, 1, 0, 0];
            bytes.extend(claimed.to_le_bytes());
            assert!(transforms(&bytes, LOG_TIME, false).is_err());
        }
        assert!(plan(&payload([0; 4]), LOG_TIME).unwrap().points.is_empty(), "an empty plan is one");
    }
}
