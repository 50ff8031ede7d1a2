//! The ROS messages that are read from a recording, borrowed from their payload.

use super::cdr::{CdrError, CdrReader};
use super::scene_message::pose;
use planner_tuner_core::frame::{Frame, FrameError, RawImage, Stamp};
use planner_tuner_core::scene::{BodyTwist, OdometryTwist, Refused, SpatialPose};

/// `sensor_msgs/msg/Image`.
pub(super) const IMAGE: &str = "sensor_msgs/msg/Image";
/// `sensor_msgs/msg/CompressedImage`.
pub(crate) const COMPRESSED_IMAGE: &str = "sensor_msgs/msg/CompressedImage";
/// `nav_msgs/msg/Odometry`.
pub(super) const ODOMETRY: &str = "nav_msgs/msg/Odometry";

/// An image message of either type, header read, pixels not yet decoded.
#[derive(Debug)]
pub(crate) struct ImageMessage<'a> {
    stamp: Option<Stamp>,
    pixels: Pixels<'a>,
}

#[derive(Debug)]
enum Pixels<'a> {
    Raw(RawImage<'a>),
    Compressed { format: &'a str, data: &'a [u8] },
}

impl<'a> ImageMessage<'a> {
    /// Reads a payload of type [`IMAGE`].
    pub(super) fn raw(payload: &'a [u8]) -> Result<Self, CdrError> {
        let mut cdr = CdrReader::new(payload)?;
        let stamp = header(&mut cdr)?;
        let height = cdr.u32("height")?;
        let width = cdr.u32("width")?;
        let encoding = cdr.text("encoding")?;
        cdr.u8("is_bigendian")?;
        let step = cdr.u32("step")?;
        let data = cdr.bytes("data")?;
        Ok(Self { stamp, pixels: Pixels::Raw(RawImage { height, width, encoding, step, data }) })
    }

    /// Reads a payload of type [`COMPRESSED_IMAGE`].
    pub(crate) fn compressed(payload: &'a [u8]) -> Result<Self, CdrError> {
        let mut cdr = CdrReader::new(payload)?;
        let stamp = header(&mut cdr)?;
        let format = cdr.text("format")?;
        let data = cdr.bytes("data")?;
        Ok(Self { stamp, pixels: Pixels::Compressed { format, data } })
    }

    /// `header.stamp`; `None` when the publisher left it zero.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    /// The picture as it was sent, not decoded.
    pub(crate) fn encoded(&self) -> &'a [u8] {
        match &self.pixels {
            Pixels::Raw(image) => image.data,
            Pixels::Compressed { data, .. } => data,
        }
    }

    pub(crate) fn decode(&self) -> Result<Frame, FrameError> {
        match &self.pixels {
            Pixels::Raw(image) => Frame::from_raw(image),
            Pixels::Compressed { format, data } => Frame::from_compressed(format, data),
        }
    }
}

/// The velocity of a `nav_msgs/msg/Odometry`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OdometryMessage {
    /// `header.stamp`; `None` when the publisher left it zero.
    pub(crate) stamp: Option<Stamp>,
    /// In the robot's frame, or why it is not known there.
    pub(crate) twist: Result<BodyTwist, Refused>,
}

impl OdometryMessage {
    /// Reads a payload of type [`ODOMETRY`] to its end, so that a cut one is noticed.
    pub(super) fn read(payload: &[u8]) -> Result<Self, CdrError> {
        let mut cdr = CdrReader::new(payload)?;
        let (stamp, frame) = stamp_and_frame(&mut cdr)?;
        let child_frame = cdr.text("child_frame_id")?;
        let SpatialPose { orientation, .. } = pose(&mut cdr, "pose.pose")?;
        for _ in 0..36 {
            cdr.f64("pose.covariance")?;
        }
        let mut numbers = || cdr.f64("twist.twist");
        let linear = [numbers()?, numbers()?, numbers()?];
        let angular = [numbers()?, numbers()?, numbers()?];
        for _ in 0..36 {
            cdr.f64("twist.covariance")?;
        }
        let twist = OdometryTwist { frame, child_frame, orientation, linear, angular }.in_body();
        Ok(Self { stamp, twist })
    }
}

/// `std_msgs/msg/Header`: the stamp, or `None` where it is zero.
fn header(cdr: &mut CdrReader<'_>) -> Result<Option<Stamp>, CdrError> {
    stamp_and_frame(cdr).map(|(stamp, _)| stamp)
}

/// `std_msgs/msg/Header`: the stamp, or `None` where it is zero, and the frame.
pub(super) fn stamp_and_frame<'a>(cdr: &mut CdrReader<'a>) -> Result<(Option<Stamp>, &'a str), CdrError> {
    let seconds = cdr.i32("header.stamp.sec")?;
    let nanos = cdr.u32("header.stamp.nanosec")?;
    let frame = cdr.text("header.frame_id")?;
    if seconds < 0 {
        return Err(CdrError::Stamp { seconds });
    }
    let stamp = i64::from(seconds) * 1_000_000_000 + i64::from(nanos);
    Ok(((stamp != 0).then_some(Stamp::from_nanos(stamp)), frame))
}
