//! How logging goes, for diagnostics.

use std::path::PathBuf;

/// What the background log is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LogState {
    /// No episode is being logged.
    #[default]
    Idle,
    /// Steps are written.
    Writing,
    /// The disk is full, gone, or refuses. Steps are counted and not kept; a new file is begun when it takes them again.
    Stopped {
        /// What is wrong.
        reason: String,
    },
}

impl LogState {
    /// One word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Writing => "writing",
            Self::Stopped { .. } => "stopped",
        }
    }
}

/// Counts and state of the background log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogStatus {
    /// What it is doing.
    pub state: LogState,
    /// The file in use, or the last one.
    pub file: Option<PathBuf>,
    /// Steps that have been taken from the queue and not been lost since.
    pub written: u64,
    /// Those of them that a kill of this process does not take any more.
    pub committed: u64,
    /// Steps that found the queue full: the disk is too slow.
    pub dropped: u64,
    /// Steps that were lost because logging was stopped, or stopped with them.
    pub lost: u64,
    /// Steps that no reader would accept.
    pub refused: u64,
    /// Bytes that are free for files; `None` while that cannot be told.
    pub free_bytes: Option<u64>,
}

impl LogStatus {
    /// Whether a step is missing from the log.
    pub fn has_losses(&self) -> bool {
        self.dropped + self.lost + self.refused > 0
    }
}
