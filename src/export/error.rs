//! Why logs cannot be exported.

use std::path::PathBuf;

use crate::picture::PictureError;
use crate::transition::TransitionError;

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
    #[error("episode {episode} does not belong to episode {first}: {what} is {found}, expected {expected}; {remedy}")]
    Mixed {
        /// The episode.
        episode: String,
        /// The first one.
        first: String,
        /// In what they differ.
        what: &'static str,
        /// Of the episode.
        found: String,
        /// Of the first one.
        expected: String,
        /// What to do.
        remedy: &'static str,
    },
    /// There is nothing to export.
    #[error("no episode of two steps or more is among the {logs} logs; there is nothing to export")]
    Empty {
        /// Logs that were read.
        logs: usize,
    },
    /// A frame cannot be written.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A log cannot be read.
    #[error(transparent)]
    Log(#[from] TransitionError),
}
