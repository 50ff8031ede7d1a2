//! The thread's side of the background log: commits in time, stops when the disk refuses, goes on when it does not.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::background::{LogEntry, LogSettings, Shared};
use super::status::LogState;
use super::store::LogStore;
use super::writer::EpisodeWriter;
use crate::transition::{Ending, TransitionError};

/// Longest time between two attempts to go on.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Takes steps from the queue and keeps to the times of [`LogSettings`].
pub(super) struct Worker {
    store: Arc<dyn LogStore>,
    settings: LogSettings,
    shared: Arc<Shared>,
    episode: Option<EpisodeWriter>,
    /// Steps that were written and are not committed yet.
    uncommitted: u64,
    flush_at: Option<Instant>,
    sync_at: Option<Instant>,
    look_at: Instant,
    /// Set while logging is stopped.
    retry_at: Option<Instant>,
    retry_after: Duration,
}

impl Worker {
    pub(super) fn new(store: Arc<dyn LogStore>, settings: LogSettings, shared: Arc<Shared>) -> Self {
        Self {
            store,
            shared,
            episode: None,
            uncommitted: 0,
            flush_at: None,
            sync_at: None,
            look_at: Instant::now(),
            retry_at: None,
            retry_after: settings.retry_after,
            settings,
        }
    }

    pub(super) fn work(&mut self, entries: &Receiver<LogEntry>) {
        loop {
            self.look_at_the_clock();
            let times = [self.flush_at, self.sync_at, self.retry_at, Some(self.look_at)];
            let next = times.into_iter().flatten().min();
            let patience = next.map_or(Duration::from_secs(1), |next| next.saturating_duration_since(Instant::now()));
            match entries.recv_timeout(patience) {
                Ok(entry) => self.take(entry),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.end_episode();
    }

    fn take(&mut self, LogEntry { head, step, frame }: LogEntry) {
        if self.retry_at.is_some() {
            return self.shared.change(|status| status.lost += 1);
        }
        if self.episode.as_ref().is_some_and(|episode| *episode.head() != head) {
            self.end_episode();
        }
        let mut episode = match self.episode.take() {
            Some(episode) => episode,
            None => match EpisodeWriter::new(Arc::clone(&self.store), head, self.settings.rotation) {
                Ok(episode) => episode,
                Err(error) => return self.refuse(&error),
            },
        };
        let written = episode.write(&step, &frame);
        let file = episode.path().cloned();
        self.episode = Some(episode);
        match written {
            Ok(()) => {
                self.uncommitted += 1;
                self.flush_at.get_or_insert_with(|| Instant::now() + self.settings.flush_every);
                self.shared.change(|status| {
                    status.state = LogState::Writing;
                    status.file = file;
                    status.written += 1;
                });
            }
            Err(error @ TransitionError::Step { .. }) => self.refuse(&error),
            Err(error) => {
                self.shared.change(|status| status.lost += 1);
                return self.stop(error.to_string());
            }
        }
        if step.ending != Ending::Continues {
            self.end_episode();
        }
    }

    fn refuse(&self, error: &TransitionError) {
        log::error!("{error}");
        self.shared.change(|status| status.refused += 1);
    }

    fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        if now >= self.look_at {
            self.look_at = now + Duration::from_secs(1).min(self.settings.retry_after);
            self.look_at_the_disk();
        }
        if self.flush_at.is_some_and(|at| now >= at) {
            self.flush_at = None;
            let flushed = self.episode.as_mut().map_or(Ok(()), EpisodeWriter::flush);
            match flushed {
                Ok(()) => {
                    self.committed();
                    self.retry_after = self.settings.retry_after;
                    self.sync_at.get_or_insert(now + self.settings.sync_every);
                }
                Err(error) => self.stop(error.to_string()),
            }
        }
        if self.sync_at.is_some_and(|at| now >= at) {
            self.sync_at = None;
            if let Err(error) = self.episode.as_mut().map_or(Ok(()), EpisodeWriter::sync) {
                self.stop(error.to_string());
            }
        }
        if self.retry_at.is_some_and(|at| now >= at) {
            self.retry();
        }
    }

    fn look_at_the_disk(&mut self) {
        let free = self.store.free_bytes();
        self.shared.change(|status| status.free_bytes = free.as_ref().ok().copied());
        if self.retry_at.is_some() {
            return;
        }
        match free {
            Ok(free) if free >= self.settings.min_free => {}
            Ok(free) => {
                // While there is room for it: the file is completed, so that nothing looks cut off.
                self.end_file();
                self.stop(format!("{free} bytes are free, {} are kept for others", self.settings.min_free));
            }
            Err(error) => self.stop(format!("{}: {error}", self.store.folder().display())),
        }
    }

    /// Goes on in a new file if the disk looks better.
    fn retry(&mut self) {
        let enough = self.settings.min_free.saturating_add(self.settings.min_free / 16);
        match self.store.free_bytes() {
            Ok(free) if free >= enough => {
                log::info!("{}: logging goes on, {free} bytes are free", self.store.folder().display());
                self.retry_at = None;
                self.shared.change(|status| {
                    status.state = LogState::Idle;
                    status.free_bytes = Some(free);
                });
            }
            _ => self.retry_at = Some(Instant::now() + self.settings.retry_after),
        }
    }

    /// Leaves the file in use as it is and waits for a better disk. The episode's next step begins a new file.
    fn stop(&mut self, reason: String) {
        log::error!("{}: logging stops: {reason}", self.store.folder().display());
        if let Some(episode) = &mut self.episode {
            episode.give_up();
        }
        let uncommitted = std::mem::take(&mut self.uncommitted);
        self.flush_at = None;
        self.sync_at = None;
        self.retry_at = Some(Instant::now() + self.retry_after);
        self.retry_after = (self.retry_after * 2).min(LONGEST_RETRY);
        self.shared.change(|status| {
            status.state = LogState::Stopped { reason };
            status.written -= uncommitted;
            status.lost += uncommitted;
        });
    }

    fn end_file(&mut self) {
        let finished = self.episode.as_mut().map_or(Ok(()), EpisodeWriter::finish_part);
        match finished {
            Ok(()) => self.committed(),
            Err(error) => log::error!("{error}"),
        }
    }

    fn committed(&mut self) {
        self.uncommitted = 0;
        self.shared.change(|status| status.committed = status.written);
    }

    fn end_episode(&mut self) {
        self.end_file();
        if self.uncommitted > 0 {
            return self.stop("the file could not be completed".to_owned());
        }
        self.flush_at = None;
        self.sync_at = None;
        if self.episode.take().is_some() {
            self.shared.change(|status| status.state = LogState::Idle);
        }
    }
}
