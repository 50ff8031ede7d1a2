//! One file of a log, as it is written.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcap::records::MessageHeader;
use mcap::write::NoSeek;

use super::head::LogHead;
use super::store::LogFile;
use super::{FRAME_TOPIC, STEP_TOPIC, step_record};
use crate::recording::channel_form::ChannelForm;
use crate::recording::compressed_image::{COMPRESSED_IMAGE_DEFINITION, compressed_image};
use crate::recording::message::COMPRESSED_IMAGE;
use crate::transition::{FrameNumber, Step};
use planner_tuner_core::frame::{EncodeError, Frame, PngEffort, Stamp};

/// Why a file of a log cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// The disk refused.
    #[error(transparent)]
    Disk(Arc<io::Error>),
    /// The MCAP writer refused.
    #[error(transparent)]
    Mcap(#[from] mcap::McapError),
    /// A step or a head cannot be said in JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A frame cannot be encoded.
    #[error(transparent)]
    Picture(#[from] EncodeError),
    /// MCAP counts from the clock's zero.
    #[error("a stamp lies before the clock's zero")]
    Stamp,
    /// A `sensor_msgs/msg/CompressedImage` cannot hold it.
    #[error("a frame's stamp or size is beyond its message")]
    Frame,
    /// The file was closed or given up before.
    #[error("the file is closed")]
    Closed,
}

impl From<io::Error> for PartError {
    fn from(error: io::Error) -> Self {
        Self::Disk(Arc::new(error))
    }
}

/// The channels of a file.
#[derive(Debug, Clone, Copy)]
struct Channels {
    frames: u16,
    steps: u16,
}

/// An open log file. Dropped before [`Self::finish`] it stays as far as it was flushed.
pub(super) struct Part {
    writer: mcap::Writer<NoSeek<SharedFile>>,
    file: SharedFile,
    /// Known with the first step: a chunk with channels alone would have no time, and begin the file's in 1970.
    channels: Option<Channels>,
    first_stamp: Option<Stamp>,
    last_frame: Option<FrameNumber>,
    /// Bytes of the chunk that is being filled, before it is written.
    pending: u64,
}

impl Part {
    /// Begins a file: its head is written and flushed at once.
    pub(super) fn begin(file: Box<dyn LogFile>, head: &LogHead, number: u64) -> Result<Self, PartError> {
        let file = SharedFile::new(file);
        let library = concat!("vlm_planner_tuner ", env!("CARGO_PKG_VERSION"));
        // Chunks are closed by `flush` alone, so that what it has returned for is whole. They are not compressed:
        // pictures are already, a cut chunk reads up to the cut, and nothing waits for a compressor.
        let options =
            mcap::WriteOptions::new().library(library).disable_seeking(true).chunk_size(None).compression(None);
        let writer = options.create(NoSeek::new(file.clone()))?;
        let mut part = Self { writer, file, channels: None, first_stamp: None, last_frame: None, pending: 0 };
        part.write_head(head, number).map_err(|problem| part.file.explain(problem))?;
        Ok(part)
    }

    fn write_head(&mut self, head: &LogHead, number: u64) -> Result<(), PartError> {
        let metadata = head.to_metadata(number)?;
        self.writer.write_metadata(&metadata)?;
        self.flush()
    }

    fn channels(&mut self, head: &LogHead) -> Result<Channels, PartError> {
        if let Some(channels) = self.channels {
            return Ok(channels);
        }
        let schema = step_record::schema(&head.session).to_string();
        let frames = ChannelForm::ros2(FRAME_TOPIC, COMPRESSED_IMAGE, COMPRESSED_IMAGE_DEFINITION);
        let steps = ChannelForm::json(STEP_TOPIC, "planner_tuner.Step", &schema);
        let (frames, steps) = (frames.add_to(&mut self.writer)?, steps.add_to(&mut self.writer)?);
        Ok(*self.channels.insert(Channels { frames, steps }))
    }

    /// Adds a step, and its frame where the file does not have it yet.
    pub(super) fn write(&mut self, head: &LogHead, step: &Step, frame: &Frame) -> Result<(), PartError> {
        let nanos = u64::try_from(step.stamp.nanos()).map_err(|_| PartError::Stamp)?;
        let picture = match self.last_frame == Some(step.frame) {
            true => None,
            false => {
                let message = compressed_image(nanos, &frame.to_png(PngEffort::Quick)?);
                Some(message.ok_or(PartError::Frame)?)
            }
        };
        let json = step_record::to_json(step, &head.session)?;
        let channels = self.channels(head).map_err(|problem| self.file.explain(problem))?;
        if let Some(message) = picture {
            self.write_message(channels.frames, step.frame.0, nanos, &message)?;
            self.last_frame = Some(step.frame);
        }
        self.write_message(channels.steps, step.index, nanos, &json)?;
        self.first_stamp.get_or_insert(step.stamp);
        Ok(())
    }

    fn write_message(&mut self, channel_id: u16, number: u64, nanos: u64, data: &[u8]) -> Result<(), PartError> {
        // The record carries 32 bits of the number; a step holds all of it.
        let header = MessageHeader { channel_id, sequence: number as u32, log_time: nanos, publish_time: nanos };
        let written = self.writer.write_to_known_channel(&header, data);
        written.map_err(|error| self.file.explain(error.into()))?;
        self.pending += data.len() as u64;
        Ok(())
    }

    /// Hands all that was written to the system: a kill of this process does not take it any more.
    pub(super) fn flush(&mut self) -> Result<(), PartError> {
        self.writer.flush().map_err(|error| self.file.explain(error.into()))?;
        self.pending = 0;
        Ok(())
    }

    /// Puts all that was flushed on the disk: a power cut does not take it any more.
    pub(super) fn sync(&mut self) -> Result<(), PartError> {
        self.file.lock().sync()
    }

    /// Completes the file with its index.
    pub(super) fn finish(mut self) -> Result<(), PartError> {
        self.writer.finish().map_err(|error| self.file.explain(error.into()))?;
        self.file.lock().close()
    }

    /// Bytes written so far, those that wait included.
    pub(super) fn len(&self) -> u64 {
        self.file.lock().length + self.pending
    }

    /// Seconds from the first step to this stamp.
    pub(super) fn seconds_until(&self, stamp: Stamp) -> f64 {
        self.first_stamp.map_or(0.0, |first| stamp.seconds_since(first))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // The MCAP writer would complete the file when it is dropped; one that was given up must not look complete.
        self.file.lock().give_up();
    }
}

/// The file, shared by the MCAP writer, which cannot sync it, and the part, which can.
#[derive(Clone)]
struct SharedFile(Arc<Mutex<OpenFile>>);

struct OpenFile {
    /// `None` once it is closed or given up.
    file: Option<Box<dyn LogFile>>,
    length: u64,
    /// What went wrong first.
    problem: Option<Arc<io::Error>>,
}

impl SharedFile {
    fn new(file: Box<dyn LogFile>) -> Self {
        Self(Arc::new(Mutex::new(OpenFile { file: Some(file), length: 0, problem: None })))
    }

    fn lock(&self) -> MutexGuard<'_, OpenFile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the system said, where it said anything: that says more than the MCAP writer's error.
    fn explain(&self, problem: PartError) -> PartError {
        self.lock().problem.clone().map_or(problem, PartError::Disk)
    }
}

impl OpenFile {
    fn open(&mut self) -> io::Result<&mut Box<dyn LogFile>> {
        self.file.as_mut().ok_or_else(|| io::Error::other(PartError::Closed))
    }

    /// Keeps an error, and passes on one of the same words.
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let (kind, error) = (error.kind(), Arc::new(error));
            self.problem.get_or_insert_with(|| Arc::clone(&error));
            io::Error::new(kind, error)
        })
    }

    fn sync(&mut self) -> Result<(), PartError> {
        let synced = self.open().and_then(|file| file.sync());
        Ok(self.note(synced)?)
    }

    fn close(&mut self) -> Result<(), PartError> {
        let file = self.file.take().ok_or(PartError::Closed)?;
        Ok(file.close()?)
    }

    fn give_up(&mut self) {
        drop(self.file.take());
    }
}

impl Write for SharedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut shared = self.lock();
        let written = shared.open().and_then(|file| file.write(bytes));
        let written = shared.note(written)?;
        shared.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut shared = self.lock();
        let flushed = shared.open().and_then(|file| file.flush());
        shared.note(flushed)
    }
}
