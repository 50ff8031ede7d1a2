//! Why a log could not be written or read at all. What is lost inside a readable one is counted, see
//! [`super::Damage`].

use std::path::{Path, PathBuf};

use super::log::{LoggedFrameError, PartError, SessionError, StepFault};

/// What can go wrong with a log as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransitionError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The log cannot be written.
    #[error("{path}: the transition log cannot be written: {problem}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        problem: PartError,
    },
    /// Logs would be written over those that they are made from.
    #[error(
        "{path}: the transition log cannot be written: these are the logs that are read, name another folder for the new \
         ones"
    )]
    OntoItself {
        /// The folder.
        path: PathBuf,
    },
    /// A step that no reader would accept is not written.
    #[error("step {index} is not written: {}: {fault}", fault.refusal())]
    Step {
        /// Its number.
        index: u64,
        /// What is wrong with it.
        #[source]
        fault: StepFault,
    },
    /// The session itself could not be that of a log.
    #[error("{path}: {problem}")]
    Session {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        problem: SessionError,
    },
    /// The file is no transition log, or its head is lost.
    #[error("{path}: no transition log: {problem}")]
    NotALog {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        problem: String,
    },
    /// Files that were given as parts of one episode are not.
    #[error("{path} does not go on where {first} ends: {problem}")]
    Parts {
        /// The file that does not fit.
        path: PathBuf,
        /// The first file.
        first: PathBuf,
        /// What differs.
        problem: String,
    },
    /// A frame that is not in the log, or not readable any more.
    #[error("frame {number} of {episode} cannot be read: {problem}")]
    Frame {
        /// Its number.
        number: u64,
        /// The episode.
        episode: String,
        /// What is wrong.
        #[source]
        problem: LoggedFrameError,
    },
}

impl TransitionError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}
