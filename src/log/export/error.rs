//! Why logs cannot be exported.

use std::path::PathBuf;

use crate::transition::TransitionError;
use planner_tuner_core::frame::EncodeError;

/// What can go wrong with an export as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A file of the dataset cannot be written.
    #[error("{path}: the dataset cannot be written: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The archive of an episode cannot be written.
    #[error("{path}: the dataset cannot be written: {source}")]
    Archive {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: zip::result::ZipError,
    },
    /// The dataset would replace something.
    #[error("{path} is there already; name another folder, or move it away")]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// Logs that do not belong together.
    #[error(transparent)]
    Mixed(Box<Mixed>),
    /// There is nothing to export.
    #[error("no episode of two steps or more is among the {logs} logs; there is nothing to export")]
    Empty {
        /// Logs that were read.
        logs: usize,
    },
    /// A frame cannot be written.
    #[error(transparent)]
    Frame(#[from] EncodeError),
    /// A log cannot be read.
    #[error(transparent)]
    Log(#[from] TransitionError),
}

/// In what a log differs from the first one.
#[derive(Debug, thiserror::Error)]
#[error("episode {episode} does not belong to episode {first}: {what} is {found}, expected {expected}; {remedy}")]
pub struct Mixed {
    /// The episode.
    pub episode: String,
    /// The first one.
    pub first: String,
    /// In what they differ.
    pub what: &'static str,
    /// Of the episode.
    pub found: String,
    /// Of the first one.
    pub expected: String,
    /// What to do.
    pub remedy: &'static str,
}
