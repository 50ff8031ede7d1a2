//! Logging on a thread of its own, behind a bounded queue: a decision never waits for a disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::head::LogHead;
use super::status::{LogState, LogStatus};
use super::store::LogStore;
use super::writer::{EpisodeWriter, Rotation};
use crate::frame::Frame;
use crate::transition::{Ending, Step, TransitionError};

/// How the background log works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogSettings {
    /// When a new file is begun within an episode.
    pub rotation: Rotation,
    /// A step is committed this long after it was taken, at the latest: what a kill of the process may cost.
    pub flush_every: Duration,
    /// What is committed is on the disk this long after, at the latest: what a power cut may cost.
    pub sync_every: Duration,
    /// Bytes of the disk that are left free for others.
    pub min_free: u64,
    /// Steps that may wait.
    pub queue: usize,
    /// First time between two attempts to go on after the disk refused; doubled after each that fails.
    pub retry_after: Duration,
}

impl Default for LogSettings {
    /// Commit after 0.25 s, sync every second, leave 1 GiB free, 64 steps in the queue.
    fn default() -> Self {
        Self {
            rotation: Rotation::default(),
            flush_every: Duration::from_millis(250),
            sync_every: Duration::from_secs(1),
            min_free: 1 << 30,
            queue: 64,
            retry_after: Duration::from_secs(1),
        }
    }
}

/// Longest time between two attempts to go on.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// A step on its way to the log.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// The episode that it belongs to.
    pub head: Arc<LogHead>,
    /// The step.
    pub step: Step,
    /// Its frame.
    pub frame: Arc<Frame>,
}

/// The hand that gives steps to the thread.
#[derive(Debug)]
pub struct BackgroundLog {
    entries: SyncSender<LogEntry>,
    ended: Receiver<()>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    dropped: AtomicU64,
    status: Mutex<LogStatus>,
}

impl BackgroundLog {
    /// Starts the thread. Files of an earlier run are left as they are: what was cut off stays readable, and new steps
    /// go to new files.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn start(store: Arc<dyn LogStore>, settings: LogSettings) -> std::io::Result<Self> {
        let (sender, entries) = sync_channel(settings.queue);
        let (end, ended) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        let mut writer = Worker::new(store, settings, Arc::clone(&shared));
        std::thread::Builder::new().name("transition log".into()).spawn(move || {
            writer.work(&entries);
            // Nobody may be waiting for it.
            end.send(()).ok();
        })?;
        Ok(Self { entries: sender, ended, shared })
    }

    /// Hands over a step, if there is room for it; otherwise it is dropped and counted. Never waits.
    pub fn write(&self, entry: LogEntry) -> bool {
        match self.entries.try_send(entry) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }

    /// How logging goes.
    pub fn status(&self) -> LogStatus {
        self.shared.status()
    }

    /// Writes what waits, completes the file, and ends. Waits for that at most this long; whether it was enough.
    pub fn close(self, patience: Duration) -> (bool, LogStatus) {
        let Self { entries, ended, shared } = self;
        drop(entries);
        let in_time = ended.recv_timeout(patience).is_ok();
        (in_time, shared.status())
    }
}

impl Shared {
    fn status(&self) -> LogStatus {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        LogStatus { dropped: self.dropped.load(Ordering::Relaxed), ..status }
    }

    fn change(&self, change: impl FnOnce(&mut LogStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The thread's side.
struct Worker {
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
    fn new(store: Arc<dyn LogStore>, settings: LogSettings, shared: Arc<Shared>) -> Self {
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

    fn work(&mut self, entries: &Receiver<LogEntry>) {
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
