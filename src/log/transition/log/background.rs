//! Logging on a thread of its own, behind a bounded queue: a decision never waits for a disk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::head::LogHead;
use super::status::LogStatus;
use super::store::LogStore;
use super::worker::Worker;
use super::writer::Rotation;
use crate::transition::Step;
use planner_tuner_core::frame::Frame;

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

/// The producer's handle: steps go to the thread through it.
#[derive(Debug)]
pub struct BackgroundLog {
    entries: SyncSender<LogEntry>,
    ended: Receiver<()>,
    shared: Arc<Shared>,
}

/// What both sides know.
#[derive(Debug, Default)]
pub(super) struct Shared {
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
            step_back();
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

/// Lowers the priority of this thread. Woken by a hand-over, it would otherwise often push the deciding thread off its
/// core then and there, and compress a picture in its place.
fn step_back() {
    // On Linux a priority belongs to a thread, and none named means this one.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        log::debug!("the log's thread keeps its priority: {error}");
    }
}

/// Niceness of the log's thread: it still gets a tenth of a busy core, far more than it needs.
const NICE: i32 = 10;

impl Shared {
    fn status(&self) -> LogStatus {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        LogStatus { dropped: self.dropped.load(Ordering::Relaxed), ..status }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut LogStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
