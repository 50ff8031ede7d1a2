//! Decisions as an MCAP file that opens in Foxglove without plugins.
//!
//! | topic | message | content |
//! | --- | --- | --- |
//! | [`OVERLAY_TOPIC`] | `sensor_msgs/msg/CompressedImage` (ros2msg, CDR) | the frame with the attention overlay, PNG |
//! | [`DECISION_TOPIC`] | JSON with a JSON schema | parameters and velocities, to be plotted by name |

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use mcap::records::MessageHeader;
use serde_json::{Value, json};

use super::RecordingError;
use super::channel_form::ChannelForm;
use super::compressed_image::{COMPRESSED_IMAGE_DEFINITION, compressed_image};
use super::message::COMPRESSED_IMAGE;
use planner_tuner_core::durable::sync_folder_of;
use planner_tuner_core::frame::Stamp;

/// Topic of the frames with the attention overlay.
pub const OVERLAY_TOPIC: &str = "/costmap_image/attention";

/// Topic of the decisions.
pub const DECISION_TOPIC: &str = "/planner_parameters";

/// The channels of a file.
#[derive(Debug, Clone, Copy)]
struct Channels {
    overlay: u16,
    decision: u16,
}

/// Writes decisions to an MCAP file.
///
/// The file is written under another name (`<name>.partial`) beside its place and takes its own on [`Self::finish`],
/// so that whoever looks there sees a whole log or none. Dropped before that, it removes what it wrote.
pub struct DecisionLog {
    path: PathBuf,
    partial: PathBuf,
    /// Present until the log is finished.
    writer: Option<mcap::Writer<BufWriter<File>>>,
    /// Known with the first decision, whose fields make up a schema. A chunk with channels alone would have no time, and
    /// begin the file's in 1970.
    channels: Option<Channels>,
    sequence: u32,
}

impl DecisionLog {
    /// Begins a log that will replace `path`.
    ///
    /// # Errors
    /// [`RecordingError::Io`] or [`RecordingError::Write`] when the folder cannot be written to.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, RecordingError> {
        let path = path.as_ref().to_owned();
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = File::create(&partial).map_err(RecordingError::io(&partial))?;
        let library = concat!("vlm_planner_tuner ", env!("CARGO_PKG_VERSION"));
        let writer = mcap::WriteOptions::new().library(library).create(BufWriter::new(file));
        let writer = Some(writer.map_err(refuse(&path))?);
        Ok(Self { writer, path, partial, channels: None, sequence: 0 })
    }

    /// Writes one decision: the overlay, a PNG, and an object of whatever is to be plotted. The first object's fields
    /// and their types become the schema of all, so give every decision the same ones.
    ///
    /// # Errors
    /// [`RecordingError::Write`] when `decision` is not an object, the stamp lies before the clock's zero, or the file
    /// cannot be written. The log is then of no use any more.
    pub fn write(&mut self, stamp: Stamp, overlay_png: &[u8], decision: &Value) -> Result<(), RecordingError> {
        let problem = |problem: &str| RecordingError::Write { path: self.path.clone(), problem: problem.to_owned() };
        let nanos = u64::try_from(stamp.nanos()).map_err(|_| problem("a stamp lies before the clock's zero"))?;
        if !decision.is_object() {
            return Err(problem("a decision is not a JSON object"));
        }
        let overlay = compressed_image(nanos, overlay_png).ok_or_else(|| problem("an overlay is larger than 4 GiB"))?;
        let channels = self.channels(decision)?;
        self.write_message(channels.overlay, nanos, &overlay)?;
        self.write_message(channels.decision, nanos, decision.to_string().as_bytes())?;
        self.sequence = self.sequence.wrapping_add(1);
        Ok(())
    }

    /// Completes the file and puts it in its place. Returns once it is on the disk.
    ///
    /// # Errors
    /// [`RecordingError::Io`] or [`RecordingError::Write`]; a file that was in its place before is then untouched.
    pub fn finish(mut self) -> Result<(), RecordingError> {
        let closed = || RecordingError::Write { path: self.path.clone(), problem: "it is closed already".to_owned() };
        let mut writer = self.writer.take().ok_or_else(closed)?;
        writer.finish().map_err(refuse(&self.path))?;
        let file = writer.into_inner().into_inner().map_err(|error| error.into_error());
        file.and_then(|file| file.sync_all()).map_err(RecordingError::io(&self.partial))?;
        std::fs::rename(&self.partial, &self.path).map_err(RecordingError::io(&self.path))?;
        // The new name is durable once the folder is.
        sync_folder_of(&self.path).map_err(RecordingError::io(&self.path))
    }

    fn channels(&mut self, decision: &Value) -> Result<Channels, RecordingError> {
        if let Some(channels) = self.channels {
            return Ok(channels);
        }
        let schema = schema_of(decision).to_string();
        let overlay = ChannelForm::ros2(OVERLAY_TOPIC, COMPRESSED_IMAGE, COMPRESSED_IMAGE_DEFINITION);
        let decision = ChannelForm::json(DECISION_TOPIC, "planner_tuner.Decision", &schema);
        let writer = open(self.writer.as_mut(), &self.path)?;
        let overlay = overlay.add_to(writer).map_err(refuse(&self.path))?;
        let decision = decision.add_to(writer).map_err(refuse(&self.path))?;
        Ok(*self.channels.insert(Channels { overlay, decision }))
    }

    fn write_message(&mut self, channel_id: u16, nanos: u64, data: &[u8]) -> Result<(), RecordingError> {
        let header = MessageHeader { channel_id, sequence: self.sequence, log_time: nanos, publish_time: nanos };
        open(self.writer.as_mut(), &self.path)?.write_to_known_channel(&header, data).map_err(refuse(&self.path))
    }
}

impl Drop for DecisionLog {
    fn drop(&mut self) {
        // Present only where the log was given up: the rename has taken the partial file away otherwise.
        drop(self.writer.take());
        if let Err(error) = std::fs::remove_file(&self.partial)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            log::warn!("{}: cannot be removed: {error}", self.partial.display());
        }
    }
}

fn open<'w, W>(writer: Option<&'w mut W>, path: &Path) -> Result<&'w mut W, RecordingError> {
    writer.ok_or_else(|| RecordingError::Write { path: path.to_owned(), problem: "it is closed already".to_owned() })
}

fn refuse(path: &Path) -> impl FnOnce(mcap::McapError) -> RecordingError {
    let path = path.to_owned();
    |error| RecordingError::Write { path, problem: error.to_string() }
}

/// A JSON schema that describes `value`. Whole numbers are plain numbers: the next one may have decimals.
fn schema_of(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(_) => json!({ "type": "number" }),
        Value::String(_) => json!({ "type": "string" }),
        Value::Array(items) => json!({ "type": "array", "items": items.first().map_or(json!({}), schema_of) }),
        Value::Object(fields) => {
            let properties: serde_json::Map<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), schema_of(value))).collect();
            json!({ "type": "object", "properties": properties })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const STAMP: i64 = 1_700_000_000_250_000_000;

    #[test]
    fn a_schema_follows_the_fields() {
        let decision = json!({ "parameters": { "max_vel_x": 0.5, "vx_samples": 6 }, "seen": [true], "note": null });
        let number = json!({ "type": "number" });
        let expected = json!({
            "type": "object",
            "properties": {
                "parameters": { "type": "object", "properties": { "max_vel_x": number, "vx_samples": number } },
                "seen": { "type": "array", "items": { "type": "boolean" } },
                "note": {},
            },
        });
        assert_eq!(schema_of(&decision), expected);
    }

    #[test]
    fn a_log_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.mcap");
        let names = || folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();

        let mut abandoned = DecisionLog::create(&path).unwrap();
        abandoned.write(Stamp::from_nanos(STAMP), b"png", &json!({ "a": 1 })).unwrap();
        assert_eq!(names(), ["out.mcap.partial"]);
        drop(abandoned);
        assert!(names().is_empty());

        std::fs::write(&path, "an older log").unwrap();
        let mut log = DecisionLog::create(&path).unwrap();
        log.write(Stamp::from_nanos(STAMP), b"png", &json!({ "a": 1 })).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"an older log");
        log.finish().unwrap();
        assert_eq!(names(), ["out.mcap"]);

        let file = std::fs::read(&path).unwrap();
        let messages: Vec<_> = mcap::MessageStream::new(&file).unwrap().collect::<Result<_, _>>().unwrap();
        let topics: Vec<_> = messages.iter().map(|message| message.channel.topic.as_str()).collect();
        assert_eq!(topics, [OVERLAY_TOPIC, DECISION_TOPIC]);
        assert!(messages.iter().all(|message| message.log_time == STAMP as u64));
        let decision: Value = serde_json::from_slice(&messages.last().unwrap().data).unwrap();
        assert_eq!(decision, json!({ "a": 1 }));
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = DecisionLog::create(folder.path().join("out.mcap")).unwrap();
        let message = log.write(Stamp::from_nanos(-1), b"png", &json!({})).unwrap_err().to_string();
        assert!(message.contains("out.mcap") && message.contains("before the clock's zero"), "{message}");
        assert!(log.write(Stamp::from_nanos(STAMP), b"png", &json!([1])).is_err());
        let Err(error) = DecisionLog::create(folder.path().join("absent/out.mcap")) else { unreachable!() };
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
