//! Messages as an MCAP file that opens in Foxglove without plugins.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use mcap::records::MessageHeader;
use planner_tuner_core::durable::sync_folder_of;

use super::message::{ViewerError, ViewerMessage};

/// Writes messages to an MCAP file.
///
/// The file is written under another name (`<name>.partial`) beside its place and takes its own on [`Self::finish`],
/// so that whoever looks there sees a whole log or none. Dropped before that, it removes what it wrote.
pub struct ViewerFile {
    path: PathBuf,
    partial: PathBuf,
    /// Present until the log is finished.
    writer: Option<mcap::Writer<BufWriter<File>>>,
    /// By topic, each with the number of its next message. A channel is made with its first message: a chunk with channels alone
    /// would have no time, and begin the file's in 1970.
    channels: BTreeMap<&'static str, (u16, u32)>,
}

impl ViewerFile {
    /// Begins a log that will replace `path`.
    ///
    /// # Errors
    /// [`ViewerError`] when the folder cannot be written to.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, ViewerError> {
        let path = path.as_ref().to_owned();
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = File::create(&partial).map_err(ViewerError::io(&partial))?;
        let library = concat!("vlm_planner_tuner ", env!("CARGO_PKG_VERSION"));
        let writer = mcap::WriteOptions::new().library(library).create(BufWriter::new(file));
        let writer = Some(writer.map_err(ViewerError::mcap(&path))?);
        Ok(Self { writer, path, partial, channels: BTreeMap::new() })
    }

    /// Writes a message.
    ///
    /// # Errors
    /// [`ViewerError`] when the file cannot be written. It is then of no use any more.
    pub fn put(&mut self, message: &ViewerMessage) -> Result<(), ViewerError> {
        let writer = self.writer.as_mut().ok_or_else(|| ViewerError::Closed(self.path.clone()))?;
        let (channel_id, sequence) = match self.channels.get(message.topic()) {
            Some(known) => *known,
            None => (message.form().add_to(writer).map_err(ViewerError::mcap(&self.path))?, 0),
        };
        self.channels.insert(message.topic(), (channel_id, sequence.wrapping_add(1)));
        let nanos = message.nanos();
        let header = MessageHeader { channel_id, sequence, log_time: nanos, publish_time: nanos };
        writer.write_to_known_channel(&header, message.data()).map_err(ViewerError::mcap(&self.path))
    }

    /// Completes the file and puts it in its place. Returns once it is on the disk.
    ///
    /// # Errors
    /// [`ViewerError`]; a file that was in its place before is then untouched.
    pub fn finish(mut self) -> Result<(), ViewerError> {
        let mut writer = self.writer.take().ok_or_else(|| ViewerError::Closed(self.path.clone()))?;
        writer.finish().map_err(ViewerError::mcap(&self.path))?;
        let file = writer.into_inner().into_inner().map_err(|error| error.into_error());
        file.and_then(|file| file.sync_all()).map_err(ViewerError::io(&self.partial))?;
        std::fs::rename(&self.partial, &self.path).map_err(ViewerError::io(&self.path))?;
        // The new name is durable once the folder is.
        sync_folder_of(&self.path).map_err(ViewerError::io(&self.path))
    }
}

impl Drop for ViewerFile {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    use crate::viewer::{DECISION_TOPIC, OVERLAY_TOPIC, decision_messages};
    use planner_tuner_core::frame::Stamp;
    use serde_json::{Value, json};

    const STAMP: i64 = 1_700_000_000_250_000_000;

    fn put(file: &mut ViewerFile, decision: &Value) {
        for message in decision_messages(Stamp::from_nanos(STAMP), b"png", decision).unwrap() {
            file.put(&message).unwrap();
        }
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.mcap");
        let names = || folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();

        let mut abandoned = ViewerFile::create(&path).unwrap();
        put(&mut abandoned, &json!({ "a": 1 }));
        assert_eq!(names(), ["out.mcap.partial"]);
        drop(abandoned);
        assert!(names().is_empty());

        std::fs::write(&path, "an older log").unwrap();
        let mut file = ViewerFile::create(&path).unwrap();
        put(&mut file, &json!({ "a": 1 }));
        put(&mut file, &json!({ "a": 2 }));
        assert_eq!(std::fs::read(&path).unwrap(), b"an older log");
        file.finish().unwrap();
        assert_eq!(names(), ["out.mcap"]);

        let file = std::fs::read(&path).unwrap();
        let messages: Vec<_> = mcap::MessageStream::new(&file).unwrap().collect::<Result<_, _>>().unwrap();
        let topics: Vec<_> = messages.iter().map(|message| message.channel.topic.as_str()).collect();
        assert_eq!(topics, [OVERLAY_TOPIC, DECISION_TOPIC, OVERLAY_TOPIC, DECISION_TOPIC]);
        assert_eq!(messages.iter().map(|message| message.sequence).collect::<Vec<_>>(), [0, 0, 1, 1]);
        assert!(messages.iter().all(|message| message.log_time == STAMP as u64));
        let decision: Value = serde_json::from_slice(&messages.last().unwrap().data).unwrap();
        assert_eq!(decision, json!({ "a": 2 }));
    }

    #[test]
    fn where_nothing_can_be_written_the_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let Err(error) = ViewerFile::create(folder.path().join("absent/out.mcap")) else { unreachable!() };
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
