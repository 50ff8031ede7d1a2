//! `sensor_msgs/msg/CompressedImage` as it is written into MCAP files.

use super::cdr_writer::CdrWriter;

/// The message definition as rosbag2 writes it into MCAP files: the type, then the types it consists of.
pub(crate) const COMPRESSED_IMAGE_DEFINITION: &str = "\
std_msgs/Header header
string format
uint8[] data
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
";

/// The CDR payload of a `sensor_msgs/msg/CompressedImage`; `None` beyond what its length fields hold.
pub(crate) fn compressed_image(nanos: u64, png: &[u8]) -> Option<Vec<u8>> {
    i32::try_from(nanos / 1_000_000_000).ok()?;
    let mut message = CdrWriter::with_capacity(png.len() + 48);
    message.header(nanos, "base_link").ok()?.text("png").ok()?.bytes(png).ok()?;
    Some(message.finish())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::recording::message::ImageMessage;
    use planner_tuner_core::frame::Stamp;

    const STAMP: i64 = 1_700_000_000_250_000_000;

    #[test]
    fn it_reads_back_as_the_message_that_it_claims_to_be() {
        for length in 0..9 {
            let payload = compressed_image(STAMP as u64, &vec![7; length]).unwrap();
            let message = ImageMessage::compressed(&payload).unwrap();
            assert_eq!(message.stamp(), Some(Stamp::from_nanos(STAMP)));
        }
        assert_eq!(compressed_image(u64::MAX, &[]), None, "seconds are 32 bits");
    }
}
