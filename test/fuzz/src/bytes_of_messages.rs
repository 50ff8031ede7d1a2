//! Messages as a fuzzer's bytes: one byte for the topic, two for the length of the payload (little-endian), the payload.
//! So a change of a byte is a change of a message, and no checksum of a container stands in its way.

use std::collections::BTreeMap;
use std::io::Cursor;

use mcap::records::MessageHeader;

use crate::small_bag::Recorded;

/// Topics and types that a recording is read from.
const TOPICS: [(&str, &str); 7] = [
    ("/image", "sensor_msgs/msg/Image"),
    ("/image/compressed", "sensor_msgs/msg/CompressedImage"),
    ("/odom", "nav_msgs/msg/Odometry"),
    ("/scan", "sensor_msgs/msg/LaserScan"),
    ("/plan", "nav_msgs/msg/Path"),
    ("/tf", "tf2_msgs/msg/TFMessage"),
    ("/tf_static", "tf2_msgs/msg/TFMessage"),
];

/// The messages in the bytes: number of the topic, payload.
pub fn split(mut data: &[u8]) -> Vec<(usize, &[u8])> {
    let mut messages = Vec::new();
    while let [topic, low, high, rest @ ..] = data {
        let (payload, others) = rest.split_at(usize::from(u16::from_le_bytes([*low, *high])).min(rest.len()));
        messages.push((usize::from(*topic) % TOPICS.len(), payload));
        data = others;
    }
    messages
}

/// The bytes that are split into these messages; those of other topics, or too long, are left out.
pub fn join(messages: &[Recorded]) -> Vec<u8> {
    let mut data = Vec::new();
    for message in messages {
        let topic =
            TOPICS.iter().position(|(name, _)| *name == message.topic).and_then(|topic| u8::try_from(topic).ok());
        if let (Some(topic), Ok(length)) = (topic, u16::try_from(message.payload.len())) {
            data.push(topic);
            data.extend(length.to_le_bytes());
            data.extend(&message.payload);
        }
    }
    data
}

/// Writes the messages as a recorder does that gets one every 20 ms.
pub fn write_mcap(messages: &[(usize, &[u8])], file: &mut Vec<u8>) {
    let options = mcap::WriteOptions::new().compression(None).profile("ros2");
    let mut writer = options.create(Cursor::new(file)).expect("a writer into memory");
    for (number, (topic, payload)) in messages.iter().enumerate() {
        let (name, type_name) = TOPICS[*topic];
        let schema = writer.add_schema(type_name, "ros2msg", b"").expect("a schema");
        let channel_id = writer.add_channel(schema, name, "cdr", &BTreeMap::new()).expect("a channel");
        let time = 1_700_000_000_000_000_000 + number as u64 * 20_000_000;
        let header = MessageHeader { channel_id, sequence: number as u32, log_time: time, publish_time: time };
        writer.write_to_known_channel(&header, payload).expect("a message into memory");
    }
    writer.finish().expect("an end of the file");
}
