//! An episode as it is written: one file after another.

use std::path::PathBuf;
use std::sync::Arc;

use super::check::check;
use super::head::LogHead;
use super::part::{Part, PartError};
use super::store::LogStore;
use crate::transition::{Step, TransitionError};
use planner_tuner_core::frame::Frame;

/// When a new file is begun within an episode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotation {
    /// Largest size of a file, bytes; the step that reaches it is the last.
    pub bytes: u64,
    /// Longest time in a file, seconds by the steps' stamps.
    pub seconds: f64,
}

impl Default for Rotation {
    /// 1 GiB, an hour.
    fn default() -> Self {
        Self { bytes: 1 << 30, seconds: 3600.0 }
    }
}

/// Writes the log of one episode.
///
/// [`Self::write`] collects, [`Self::flush`] commits: what it has returned for is not lost when this process is killed,
/// what [`Self::sync`] has returned for not when the power fails. Nothing here looks at a clock, so the same steps,
/// flushed at the same places, give the same bytes.
///
/// After an error the file in use stays as it is, readable up to its last flush, and the next step begins a new one.
pub struct EpisodeWriter {
    store: Arc<dyn LogStore>,
    head: Arc<LogHead>,
    rotation: Rotation,
    next_part: u64,
    part: Option<Part>,
    path: Option<PathBuf>,
}

impl EpisodeWriter {
    /// For an episode of this head. The first file is begun with the first step.
    ///
    /// # Errors
    /// [`TransitionError::Session`] for a session that could not be read back.
    pub fn new(store: Arc<dyn LogStore>, head: Arc<LogHead>, rotation: Rotation) -> Result<Self, TransitionError> {
        head.check().map_err(|problem| TransitionError::Session { path: store.folder().to_owned(), problem })?;
        Ok(Self { store, head, rotation, next_part: 0, part: None, path: None })
    }

    /// The head that was given.
    pub fn head(&self) -> &Arc<LogHead> {
        &self.head
    }

    /// The file in use, or the last one.
    pub fn path(&self) -> Option<&PathBuf> {
        self.path.as_ref()
    }

    /// Adds a step with its frame, which is stored once however many steps name it in a row.
    ///
    /// # Errors
    /// [`TransitionError::Step`] for a step that no reader would accept, after which the log goes on as before;
    /// [`TransitionError::Write`] when the disk refuses.
    pub fn write(&mut self, step: &Step, frame: &Frame) -> Result<(), TransitionError> {
        check(step, &self.head).map_err(|fault| TransitionError::Step { index: step.index, fault })?;
        let is_full =
            |part: &Part| part.len() >= self.rotation.bytes || part.seconds_until(step.stamp) > self.rotation.seconds;
        if self.part.as_ref().is_some_and(is_full) {
            self.finish_part()?;
        }
        let part = match self.part.take() {
            Some(part) => part,
            None => self.begin_part()?,
        };
        let head = Arc::clone(&self.head);
        self.with(part, |part| part.write(&head, step, frame))
    }

    /// Commits all steps so far.
    ///
    /// # Errors
    /// [`TransitionError::Write`] when the disk refuses.
    pub fn flush(&mut self) -> Result<(), TransitionError> {
        let Some(part) = self.part.take() else { return Ok(()) };
        self.with(part, Part::flush)
    }

    /// Puts all committed steps on the disk.
    ///
    /// # Errors
    /// [`TransitionError::Write`] when the disk refuses.
    pub fn sync(&mut self) -> Result<(), TransitionError> {
        let Some(part) = self.part.take() else { return Ok(()) };
        self.with(part, Part::sync)
    }

    /// Completes the file in use. Whatever follows goes to a new one.
    ///
    /// # Errors
    /// [`TransitionError::Write`] when the disk refuses.
    pub fn finish_part(&mut self) -> Result<(), TransitionError> {
        let Some(part) = self.part.take() else { return Ok(()) };
        part.finish().map_err(|problem| self.refused(problem))
    }

    /// Leaves the file in use as it is.
    pub fn give_up(&mut self) {
        drop(self.part.take());
    }

    /// A part that an error comes from is not used again.
    fn with(
        &mut self,
        mut part: Part,
        work: impl FnOnce(&mut Part) -> Result<(), PartError>,
    ) -> Result<(), TransitionError> {
        work(&mut part).map_err(|problem| self.refused(problem))?;
        self.part = Some(part);
        Ok(())
    }

    fn begin_part(&mut self) -> Result<Part, TransitionError> {
        let number = self.next_part;
        let name = self.head.file_name(number);
        let path = self.store.folder().join(&name);
        self.path = Some(path.clone());
        // The number is used up even if this fails: a file of that name may be there already.
        self.next_part += 1;
        let file = self.store.create(&name).map_err(TransitionError::io(&path))?;
        Part::begin(file, &self.head, number).map_err(|problem| self.refused(problem))
    }

    fn refused(&self, problem: PartError) -> TransitionError {
        let path = self.path.clone().unwrap_or_else(|| self.store.folder().to_owned());
        TransitionError::Write { path, problem }
    }
}
