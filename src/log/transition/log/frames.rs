//! Where the frames of an episode lie in its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::recording::McapDamage;
use crate::recording::bag_file::Place;
use crate::recording::cdr::CdrError;
use crate::recording::mcap_walk::McapWalk;
use crate::recording::message::ImageMessage;
use crate::transition::{FrameNumber, TransitionError};
use planner_tuner_core::frame::{Frame, FrameError};

/// Why a logged frame cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoggedFrameError {
    /// No message has its number.
    #[error("the log does not have it")]
    Absent,
    /// The file cannot be opened.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file has changed since it was read, or is damaged.
    #[error("{path}: {source}")]
    Damage {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: McapDamage,
    },
    /// The message is not that of a picture.
    #[error("{path}: {source}")]
    Message {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CdrError,
    },
    /// The picture does not decode.
    #[error("{path}: {source}")]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: FrameError,
    },
    /// Its episode is not among those that were read.
    #[error("its episode was not read")]
    NoEpisode,
}

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
        self.with_message(number, |path, message| {
            message.decode().map_err(|source| LoggedFrameError::Picture { path: path.to_owned(), source })
        })
    }

    /// A frame's picture as it was logged, not decoded: the same bytes are the same frame.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn encoded(&self, number: FrameNumber) -> Result<Vec<u8>, TransitionError> {
        self.with_message(number, |_, message| Ok(message.encoded().to_vec()))
    }

    fn with_message<T>(
        &self,
        number: FrameNumber,
        take: impl FnOnce(&Path, &ImageMessage<'_>) -> Result<T, LoggedFrameError>,
    ) -> Result<T, TransitionError> {
        let read = || {
            let place = self.places.get(&number).and_then(|(file, place)| Some((self.files.get(*file)?, *place)));
            let (path, place) = place.ok_or(LoggedFrameError::Absent)?;
            let payload = payload(path, place)?;
            let message = ImageMessage::compressed(&payload)
                .map_err(|source| LoggedFrameError::Message { path: path.to_owned(), source })?;
            take(path, &message)
        };
        read().map_err(|problem| TransitionError::Frame { number: number.0, episode: self.episode.clone(), problem })
    }
}

/// The bytes of the message at a place.
fn payload(path: &Path, place: Place) -> Result<Vec<u8>, LoggedFrameError> {
    let io = |source| LoggedFrameError::Io { path: path.to_owned(), source };
    let mut walk = McapWalk::open(path).map_err(io)?;
    walk.payload(place).map_err(|source| LoggedFrameError::Damage { path: path.to_owned(), source })
}
