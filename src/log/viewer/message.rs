//! A message with all that a viewer must know of its channel.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use planner_tuner_core::frame::Stamp;

use super::definitions::Definition;
use crate::recording::cdr_writer::TooLong;
use crate::recording::channel_form::ChannelForm;

/// Why something cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ViewerError {
    /// Viewers' clocks begin at zero and end in 2038.
    #[error("a stamp of {} s is beyond what messages can say, 0 to 2147483647 s", .0.seconds())]
    Stamp(Stamp),
    /// What is to be plotted has no names.
    #[error("what is to be plotted is not a JSON object: {0}")]
    NoObject(serde_json::Value),
    /// A field is longer than messages can say.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// A picture is.
    #[error("a picture of {0} bytes is longer than messages can say")]
    PictureTooLong(usize),
    /// The file cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file cannot be written, and the library that writes it says why.
    #[error("{}: cannot be written: {source}", path.display())]
    Mcap {
        /// The file.
        path: PathBuf,
        /// What the library says.
        source: mcap::McapError,
    },
    /// It was finished before.
    #[error("{}: is closed already", .0.display())]
    Closed(PathBuf),
}

impl ViewerError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }

    pub(super) fn mcap(path: &Path) -> impl FnOnce(mcap::McapError) -> Self {
        let path = path.to_owned();
        |source| Self::Mcap { path, source }
    }
}

/// A message, and the channel that it belongs to. Of the channels with one topic the first one counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewerMessage {
    topic: &'static str,
    type_name: &'static str,
    schema_encoding: &'static str,
    schema: Cow<'static, str>,
    message_encoding: &'static str,
    nanos: u64,
    data: Vec<u8>,
}

impl ViewerMessage {
    /// A ROS 2 message in CDR, with the text of its definition.
    pub(super) fn ros2(topic: &'static str, (type_name, definition): Definition, nanos: u64, data: Vec<u8>) -> Self {
        let schema = Cow::Borrowed(definition);
        Self { topic, type_name, schema_encoding: "ros2msg", schema, message_encoding: "cdr", nanos, data }
    }

    /// A JSON object with its schema.
    pub(super) fn json(
        topic: &'static str,
        type_name: &'static str,
        schema: String,
        nanos: u64,
        data: Vec<u8>,
    ) -> Self {
        let schema = Cow::Owned(schema);
        Self { topic, type_name, schema_encoding: "jsonschema", schema, message_encoding: "json", nanos, data }
    }

    /// Its topic.
    pub fn topic(&self) -> &'static str {
        self.topic
    }

    /// The name of its type, such as `sensor_msgs/msg/LaserScan`.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// How its schema is written: `ros2msg`, `jsonschema`.
    pub fn schema_encoding(&self) -> &'static str {
        self.schema_encoding
    }

    /// Its schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// How its bytes are to be read: `cdr`, `json`.
    pub fn message_encoding(&self) -> &'static str {
        self.message_encoding
    }

    /// Its time, ns.
    pub fn nanos(&self) -> u64 {
        self.nanos
    }

    /// Its bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    pub(super) fn form(&self) -> ChannelForm<'_> {
        match self.message_encoding {
            "cdr" => ChannelForm::ros2(self.topic, self.type_name, &self.schema),
            _ => ChannelForm::json(self.topic, self.type_name, &self.schema),
        }
    }
}

/// Nanoseconds as a message's time.
pub(super) fn nanos_of(stamp: Stamp) -> Result<u64, ViewerError> {
    let nanos = u64::try_from(stamp.nanos()).map_err(|_| ViewerError::Stamp(stamp))?;
    i32::try_from(nanos / 1_000_000_000).map(|_| nanos).map_err(|_| ViewerError::Stamp(stamp))
}
