//! Small recordings that the tests write themselves, in both storages.
#![allow(clippy::unwrap_used, dead_code)]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use mcap::records::MessageHeader;

pub const IMAGE: &str = "sensor_msgs/msg/Image";
pub const COMPRESSED_IMAGE: &str = "sensor_msgs/msg/CompressedImage";
pub const ODOMETRY: &str = "nav_msgs/msg/Odometry";

/// Milliseconds after the recordings' start, 1 700 000 000 s.
pub const START_NANOS: i64 = 1_700_000_000_000_000_000;

pub fn nanos(ms: i64) -> i64 {
    START_NANOS + ms * 1_000_000
}

/// A message as a recorder sees it.
#[derive(Clone)]
pub struct Recorded {
    pub topic: &'static str,
    pub type_name: &'static str,
    pub log_ms: i64,
    pub payload: Vec<u8>,
}

/// A drive: an image every 200 ms, odometry every 50 ms and 1 ms behind, as the good bags have them.
pub fn drive(images: i64, image: impl Fn(i64) -> (&'static str, Vec<u8>)) -> Vec<Recorded> {
    let mut messages = Vec::new();
    for number in 0..images {
        let ms = number * 200;
        let (type_name, payload) = image(number);
        messages.push(Recorded { topic: "/image", type_name, log_ms: ms, payload });
        for late in [1, 51, 101, 151] {
            let payload = odometry(nanos(ms + late), 0.001 * (ms + late) as f64, -0.5);
            messages.push(Recorded { topic: "/odom", type_name: ODOMETRY, log_ms: ms + late, payload });
        }
    }
    messages
}

/// The pixels of a drive's image: 6x4, different in every image.
pub fn pixels(number: i64) -> Vec<u8> {
    (0..6 * 4 * 3).map(|position| (position * 3 + number * 5) as u8).collect()
}

/// A raw image of a drive.
pub fn raw_image(number: i64) -> (&'static str, Vec<u8>) {
    let bgr: Vec<u8> = pixels(number).chunks_exact(3).flat_map(|rgb| rgb.iter().rev().copied()).collect();
    (IMAGE, image(nanos(number * 200), 6, 4, "bgr8", 18, &bgr))
}

/// The same image as a PNG.
pub fn png_image(number: i64) -> (&'static str, Vec<u8>) {
    (COMPRESSED_IMAGE, compressed_image(nanos(number * 200), "png", &png(6, 4, &pixels(number))))
}

pub fn png(width: u32, height: u32, rgb: &[u8]) -> Vec<u8> {
    use image::ImageEncoder as _;
    let mut file = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut file);
    encoder.write_image(rgb, width, height, image::ExtendedColorType::Rgb8).unwrap();
    file
}

/// Writes CDR in either byte order.
pub struct Cdr {
    bytes: Vec<u8>,
    big_endian: bool,
}

impl Cdr {
    pub fn new(big_endian: bool) -> Self {
        Self { bytes: vec![0, u8::from(!big_endian), 0, 0], big_endian }
    }

    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.align(4);
        self.bytes.extend(if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
        self
    }

    pub fn f64(&mut self, value: f64) -> &mut Self {
        self.align(8);
        self.bytes.extend(if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.u32(text.len() as u32 + 1);
        self.bytes.extend(text.as_bytes());
        self.u8(0)
    }

    pub fn data(&mut self, data: &[u8]) -> &mut Self {
        self.u32(data.len() as u32);
        self.bytes.extend(data);
        self
    }

    pub fn f32(&mut self, value: f32) -> &mut Self {
        self.u32(value.to_bits())
    }

    pub fn header(&mut self, stamp: i64) -> &mut Self {
        self.header_in(stamp, "base_link")
    }

    pub fn header_in(&mut self, stamp: i64, frame: &str) -> &mut Self {
        self.u32((stamp / 1_000_000_000) as u32).u32((stamp % 1_000_000_000) as u32).text(frame)
    }

    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn align(&mut self, to: usize) {
        let body = self.bytes.len() - 4;
        self.bytes.resize(4 + body.next_multiple_of(to), 0);
    }
}

pub fn image(stamp: i64, width: u32, height: u32, encoding: &str, step: u32, data: &[u8]) -> Vec<u8> {
    image_in(false, stamp, width, height, encoding, step, data)
}

pub fn image_in(
    big_endian: bool,
    stamp: i64,
    width: u32,
    height: u32,
    encoding: &str,
    step: u32,
    data: &[u8],
) -> Vec<u8> {
    let mut cdr = Cdr::new(big_endian);
    cdr.header(stamp).u32(height).u32(width).text(encoding).u8(0).u32(step).data(data).finish()
}

pub fn compressed_image(stamp: i64, format: &str, data: &[u8]) -> Vec<u8> {
    Cdr::new(false).header(stamp).text(format).data(data).finish()
}

pub fn odometry(stamp: i64, linear: f64, angular: f64) -> Vec<u8> {
    odometry_in(false, stamp, linear, angular)
}

pub fn odometry_in(big_endian: bool, stamp: i64, linear: f64, angular: f64) -> Vec<u8> {
    let mut cdr = Cdr::new(big_endian);
    cdr.header(stamp).text("odom");
    for _ in 0..7 + 36 {
        cdr.f64(9.0);
    }
    for value in [linear, 8.0, 7.0, 6.0, 5.0, angular] {
        cdr.f64(value);
    }
    for _ in 0..36 {
        cdr.f64(9.0);
    }
    cdr.finish()
}

/// The payload of every message as a zstd frame, as `--compression-mode message` writes it.
pub fn compressed_messages(messages: &[Recorded]) -> Vec<Recorded> {
    let compress = |message: &Recorded| {
        let payload = zstd::encode_all(message.payload.as_slice(), 1).unwrap();
        Recorded { payload, ..message.clone() }
    };
    messages.iter().map(compress).collect()
}

/// Puts a file into a zstd frame and removes it, as `--compression-mode file` does.
pub fn compress_file(path: &Path) {
    let mut compressed = path.to_owned().into_os_string();
    compressed.push(".zstd");
    std::fs::write(compressed, zstd::encode_all(File::open(path).unwrap(), 1).unwrap()).unwrap();
    std::fs::remove_file(path).unwrap();
}

/// Writes an MCAP file; `options` decide on chunks and compression.
pub fn write_mcap(path: &Path, messages: &[Recorded], options: mcap::WriteOptions) {
    write_mcap_in("cdr", path, messages, options);
}

/// [`write_mcap`] with another encoding of the messages.
pub fn write_mcap_in(encoding: &str, path: &Path, messages: &[Recorded], options: mcap::WriteOptions) {
    let mut writer = options.profile("ros2").create(File::create(path).unwrap()).unwrap();
    for (sequence, message) in messages.iter().enumerate() {
        let schema = writer.add_schema(message.type_name, "ros2msg", b"").unwrap();
        let channel_id = writer.add_channel(schema, message.topic, encoding, &BTreeMap::new()).unwrap();
        let time = nanos(message.log_ms) as u64;
        let header = MessageHeader { channel_id, sequence: sequence as u32, log_time: time, publish_time: time };
        writer.write_to_known_channel(&header, &message.payload).unwrap();
    }
    writer.finish().unwrap();
}

/// Writes a .db3 file as rosbag2 lays it out.
pub fn write_db3(path: &Path, messages: &[Recorded]) {
    let mut connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,
                serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL);
             CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL,
                data BLOB NOT NULL);
             CREATE INDEX timestamp_idx ON messages (timestamp ASC);",
        )
        .unwrap();
    let mut topics: Vec<&str> = Vec::new();
    let transaction = connection.transaction().unwrap();
    for message in messages {
        let position = topics.iter().position(|topic| *topic == message.topic).unwrap_or_else(|| {
            topics.push(message.topic);
            let row = (topics.len() as i64, message.topic, message.type_name);
            transaction.execute("INSERT INTO topics VALUES (?1, ?2, ?3, 'cdr', '')", row).unwrap();
            topics.len() - 1
        });
        let row = (position as i64 + 1, nanos(message.log_ms), &message.payload);
        transaction.execute("INSERT INTO messages(topic_id, timestamp, data) VALUES (?1, ?2, ?3)", row).unwrap();
    }
    transaction.commit().unwrap();
}

/// Writes a metadata.yaml that names these files.
pub fn write_metadata(folder: &Path, storage: &str, files: &[&str], compression_mode: &str) {
    let files: String = files.iter().map(|file| format!("  - {file}\n")).collect();
    let text = format!(
        "rosbag2_bagfile_information:\n  version: 9\n  storage_identifier: {storage}\n  compression_mode: \
         '{compression_mode}'\n  compression_format: ''\n  relative_file_paths:\n{files}"
    );
    std::fs::write(folder.join("metadata.yaml"), text).unwrap();
}
