//! Where the frames of an episode lie in its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::recording::bag_file::Place;
use crate::recording::mcap_walk::McapWalk;
use crate::recording::message::ImageMessage;
use crate::transition::{FrameNumber, TransitionError};
use planner_tuner_core::frame::Frame;

/// The frames of one episode: their places in memory, the pictures left in the files.
#[derive(Debug, Clone, Default)]
pub struct LoggedFrames {
    episode: String,
    files: Vec<PathBuf>,
    places: BTreeMap<FrameNumber, (usize, Place)>,
}

impl LoggedFrames {
    pub(super) fn new(episode: &str) -> Self {
        Self { episode: episode.to_owned(), ..Self::default() }
    }

    /// Adds the frames of the episode's next file.
    pub(super) fn add(&mut self, path: &Path, frames: BTreeMap<FrameNumber, Place>) {
        let file = self.files.len();
        self.files.push(path.to_owned());
        self.places.extend(frames.into_iter().map(|(number, place)| (number, (file, place))));
    }

    /// Whether the log has this frame.
    pub fn has(&self, number: FrameNumber) -> bool {
        self.places.contains_key(&number)
    }

    /// The files that they lie in.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Reads a frame. Cheap enough for once a frame, not for once a sample.
    ///
    /// # Errors
    /// [`TransitionError::Frame`] when it is not in the log, or not readable any more.
    pub fn read(&self, number: FrameNumber) -> Result<Frame, TransitionError> {
        self.with_message(number, |message| message.decode().map_err(|error| error.to_string()))
    }

    /// A frame's picture as it was logged, not decoded: the same bytes are the same frame.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn encoded(&self, number: FrameNumber) -> Result<Vec<u8>, TransitionError> {
        self.with_message(number, |message| Ok(message.encoded().to_vec()))
    }

    fn with_message<T>(
        &self,
        number: FrameNumber,
        take: impl FnOnce(&ImageMessage<'_>) -> Result<T, String>,
    ) -> Result<T, TransitionError> {
        let refuse =
            |problem: String| TransitionError::Frame { number: number.0, episode: self.episode.clone(), problem };
        let place = self.places.get(&number).and_then(|(file, place)| Some((self.files.get(*file)?, *place)));
        let (path, place) = place.ok_or_else(|| refuse("the log does not have it".to_owned()))?;
        let at = |problem: String| refuse(format!("{}: {problem}", path.display()));
        let mut walk = McapWalk::open(path).map_err(|error| at(error.to_string()))?;
        let payload = walk.payload(place).map_err(at)?;
        let message = ImageMessage::compressed(&payload).map_err(|error| at(error.to_string()))?;
        take(&message).map_err(at)
    }
}
