//! Episodes as they come, a file each.

use std::sync::Arc;

use super::{EpisodeWriter, LogEntry, LogStore, Rotation};
use crate::transition::{Ending, TransitionError};

/// Steps in a chunk: about a quarter of a megabyte.
const STEPS_PER_CHUNK: u64 = 16;

/// Writes the steps of one episode after the other.
pub struct EpisodeFolder {
    store: Arc<dyn LogStore>,
    writer: Option<EpisodeWriter>,
    steps: u64,
    episodes: u64,
}

impl EpisodeFolder {
    /// For a store, to which nothing is written before the first step.
    pub fn new(store: Arc<dyn LogStore>) -> Self {
        Self { store, writer: None, steps: 0, episodes: 0 }
    }

    /// Writes a step, if there is one. One that cannot be logged is left out and named.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn put(&mut self, entry: Option<LogEntry>) -> Result<(), TransitionError> {
        let Some(LogEntry { head, step, frame }) = entry else { return Ok(()) };
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                self.episodes += 1;
                EpisodeWriter::new(Arc::clone(&self.store), head, Rotation::default())?
            }
        };
        match writer.write(&step, &frame) {
            Ok(()) => self.steps += 1,
            Err(error @ TransitionError::Step { .. }) => log::error!("{error}"),
            Err(error) => return Err(error),
        }
        if step.index % STEPS_PER_CHUNK == STEPS_PER_CHUNK - 1 {
            writer.flush()?;
        }
        if step.ending == Ending::Continues {
            self.writer = Some(writer);
            Ok(())
        } else {
            writer.finish_part()
        }
    }
}

impl std::fmt::Display for EpisodeFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} steps of {} episodes to {}", self.steps, self.episodes, self.store.folder().display())
    }
}
