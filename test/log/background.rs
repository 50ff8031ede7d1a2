//! The background log on a disk that falls ill: the caller never waits, logging stops and goes on, nothing that was
//! committed is lost, and the counts add up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use crate::support::episode::{frame, head, step, steps};
use crate::support::say;
use crate::support::sick_store::{Illness, SickStore};
use vlm_planner_tuner::frame::Frame;
use vlm_planner_tuner::transition::log::{BackgroundLog, LogEntry, LogSettings, LogState, LogStatus};
use vlm_planner_tuner::transition::{Ending, LogHead, LoggedEpisode, Step, logs_in};

struct Scene {
    folder: tempfile::TempDir,
    illness: Arc<Illness>,
    log: BackgroundLog,
    head: Arc<LogHead>,
    frame: Arc<Frame>,
}

fn quick() -> LogSettings {
    LogSettings {
        flush_every: Duration::from_millis(5),
        sync_every: Duration::from_millis(20),
        min_free: 1 << 20,
        retry_after: Duration::from_millis(20),
        ..LogSettings::default()
    }
}

impl Scene {
    fn new(settings: LogSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let illness = Illness::none();
        let log = BackgroundLog::start(SickStore::new(folder.path(), &illness), settings).unwrap();
        Self { folder, illness, log, head: Arc::new(head("run")), frame: Arc::new(frame(0)) }
    }

    fn write(&self, step: Step) -> bool {
        let frame = Arc::clone(&self.frame);
        self.log.write(LogEntry { head: Arc::clone(&self.head), step, frame })
    }

    /// Writes steps as fast as the queue takes them.
    fn write_all(&self, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            while self.log.status().written + self.log.status().lost + 32 < step.index {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert!(self.write(step));
        }
    }

    fn wait(&self, what: &str, until: impl Fn(&LogStatus) -> bool) -> LogStatus {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let status = self.log.status();
            if until(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{what}: {status:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the log and reads the one episode that is there.
    fn end(self) -> (LogStatus, LoggedEpisode, tempfile::TempDir) {
        let (in_time, status) = self.log.close(Duration::from_secs(20));
        assert!(in_time);
        (status, read(self.folder.path()), self.folder)
    }
}

fn read(folder: &Path) -> LoggedEpisode {
    let found = logs_in(folder).unwrap();
    assert_eq!(found.episodes.len(), 1, "{found:?}");
    found.episodes[0].read().unwrap()
}

fn is_stopped(status: &LogStatus) -> bool {
    matches!(status.state, LogState::Stopped { .. })
}

#[test]
fn a_whole_episode_is_written_and_its_file_completed() {
    let scene = Scene::new(quick());
    let written = steps(50, Ending::Success);
    scene.write_all(written.clone());
    scene.wait("idle", |status| status.state == LogState::Idle && status.committed == 50);
    let (status, read, _folder) = scene.end();
    assert_eq!((read.steps, read.damage.cut_files), (written, 0));
    assert_eq!((status.written, status.has_losses()), (50, false));
    assert!(status.file.unwrap().ends_with("run_000.mcap") && status.free_bytes.is_some());
}

#[test]
fn what_is_taken_is_committed_soon_without_another_step() {
    let scene = Scene::new(quick());
    scene.write(step(0, Ending::Continues));
    scene.wait("committed", |status| status.committed == 1);
    // Read while the writer has it open.
    assert_eq!(read(scene.folder.path()).steps.len(), 1);
}

#[test]
fn a_full_disk_stops_the_log_and_a_new_file_is_begun_when_there_is_room() {
    let scene = Scene::new(quick());
    scene.write_all((0..40).map(|index| step(index, Ending::Continues)));
    scene.wait("committed", |status| status.committed == 40);
    scene.illness.free.store(0, SeqCst);
    scene.illness.room.store(5_000, SeqCst);
    let mut index = 40;
    while !is_stopped(&scene.log.status()) {
        assert!(index < 4000, "logging goes on without room");
        scene.write(step(index, Ending::Continues));
        index += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    let stopped = scene.wait("told", |status| status.free_bytes == Some(0));
    assert!(is_stopped(&stopped), "{stopped:?}");
    // Whatever comes meanwhile is counted; nothing is written.
    for _ in 0..20 {
        scene.write(step(index, Ending::Continues));
        index += 1;
        std::thread::sleep(Duration::from_millis(2));
    }
    scene.wait("lost", |status| status.lost >= 20);
    scene.illness.room.store(u64::MAX, SeqCst);
    scene.illness.free.store(1 << 40, SeqCst);
    scene.wait("goes on", |status| !is_stopped(status));
    for _ in 0..10 {
        scene.write(step(index, Ending::Continues));
        index += 1;
    }
    scene.write(step(index, Ending::Success));
    let (status, read, folder) = scene.end();
    let files = logs_in(folder.path()).unwrap().episodes[0].files.len();
    assert!(files >= 2, "a new file");
    assert_eq!(status.written + status.lost + status.dropped, index + 1, "every step is accounted for: {status:?}");
    assert!(read.steps.len() as u64 >= status.committed, "{status:?}");
    assert_eq!(read.steps.last().unwrap().index, index);
    assert_eq!(read.damage.lost_steps + read.steps.len() as u64, index + 1);
    say(&format!("background log: disk full: {status:?}; {}", read.damage));
}

#[test]
fn a_reserve_is_kept_and_the_file_completed_before_it_is_touched() {
    let scene = Scene::new(quick());
    scene.write_all((0..10).map(|index| step(index, Ending::Continues)));
    scene.wait("taken", |status| status.written == 10);
    scene.illness.free.store((1 << 20) - 1, SeqCst);
    let status = scene.wait("stopped", is_stopped);
    let LogState::Stopped { reason } = &status.state else { unreachable!() };
    assert!(reason.contains("1048575 bytes are free, 1048576 are kept"), "{reason}");
    // A little more is not enough to begin again: the log would come and go.
    scene.illness.free.store(1 << 20, SeqCst);
    std::thread::sleep(Duration::from_millis(100));
    assert!(is_stopped(&scene.log.status()));
    let (status, read, _folder) = scene.end();
    assert_eq!((read.steps.len(), read.damage.cut_files), (10, 0), "{status:?}");
}

#[test]
fn a_folder_that_is_gone_stops_the_log_until_it_is_back() {
    let scene = Scene::new(quick());
    scene.write_all((0..5).map(|index| step(index, Ending::Continues)));
    scene.wait("committed", |status| status.committed == 5);
    scene.illness.gone.store(true, SeqCst);
    let status = scene.wait("stopped", is_stopped);
    assert_eq!(status.free_bytes, None);
    scene.illness.gone.store(false, SeqCst);
    scene.wait("goes on", |status| !is_stopped(status));
    scene.write(step(5, Ending::Collision));
    let (status, read, _folder) = scene.end();
    assert_eq!((read.steps.len(), status.lost), (6, 0));
    assert_eq!(read.damage.cut_files, 1, "the file that was in use is left as it was");
}

#[test]
fn a_stalled_disk_costs_steps_and_no_time() {
    let scene = Scene::new(quick());
    scene.write(step(0, Ending::Continues));
    scene.wait("committed", |status| status.committed == 1);
    scene.illness.stall_ms.store(100, SeqCst);
    let mut longest = Duration::ZERO;
    let mut dropped = 0;
    for index in 1..400 {
        let next = step(index, Ending::Continues);
        let start = Instant::now();
        dropped += u64::from(!scene.write(next));
        longest = longest.max(start.elapsed());
        std::thread::sleep(Duration::from_micros(200));
    }
    assert!(dropped > 0, "the queue is bounded");
    assert_eq!(scene.log.status().dropped, dropped);
    scene.illness.stall_ms.store(0, SeqCst);
    say(&format!("background log: stalled disk: {dropped} of 399 steps dropped, longest hand-over {longest:?}"));
    let (status, read, _folder) = scene.end();
    assert_eq!(status.written + status.dropped, 400);
    assert_eq!(read.steps.len() as u64, status.written);
    assert!(read.damage.without_end && read.damage.refused.is_empty());
}

#[test]
fn a_step_that_no_reader_would_take_is_counted_and_the_log_goes_on() {
    let scene = Scene::new(quick());
    let mut bad = step(0, Ending::Continues);
    bad.reward = f32::INFINITY;
    scene.write(bad);
    scene.write(step(0, Ending::Success));
    let (status, read, _folder) = scene.end();
    assert_eq!((status.refused, status.written, read.steps.len()), (1, 1, 1));
}

#[test]
fn an_episode_that_is_never_ended_is_closed_by_the_next() {
    let scene = Scene::new(quick());
    scene.write_all((0..5).map(|index| step(index, Ending::Continues)));
    let next = Arc::new(head("run_2"));
    scene.log.write(LogEntry { head: next, step: step(0, Ending::Success), frame: Arc::new(frame(0)) });
    let (in_time, _) = scene.log.close(Duration::from_secs(20));
    assert!(in_time);
    let found = logs_in(scene.folder.path()).unwrap();
    let lengths: Vec<_> = found.episodes.iter().map(|episode| episode.read().unwrap().steps.len()).collect();
    assert_eq!(lengths, [5, 1]);
}
