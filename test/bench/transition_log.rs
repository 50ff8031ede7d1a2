//! The background log at thirty steps a second with frames: time for the caller, memory, disk; then as fast as it goes.
//!
//! `cargo bench --bench transition_log` takes half a minute; `LOG_BENCH_SECONDS=600` sustains it for ten.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../support/episode.rs"]
#[allow(unused)]
mod episode;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vlm_planner_tuner::frame::{Frame, Stamp};
use vlm_planner_tuner::numbers::Feature;
use vlm_planner_tuner::transition::log::{BackgroundLog, FolderStore, LogEntry, LogSettings, Placement, Rotation};
use vlm_planner_tuner::transition::{Ending, EpisodeWriter, FrameNumber, LogHead, Step, logs_in};

const FEATURE: usize = 256;
const RATE: f64 = 30.0;

fn head() -> Arc<LogHead> {
    let mut head = episode::head("bench");
    head.session.feature_length = FEATURE;
    Arc::new(head)
}

fn step(index: u64) -> Step {
    let mut step = episode::step(index % 1000, Ending::Continues);
    step.index = index;
    step.frame = FrameNumber(index);
    step.stamp = Stamp::from_nanos(1_700_000_000_000_000_000 + (index as f64 / RATE * 1e9) as i64);
    let feature = (0..FEATURE).map(|i| ((index as f32 + i as f32) * 0.7).sin());
    step.feature = Feature::from_values(feature.collect()).unwrap();
    step
}

fn frames() -> Vec<Arc<Frame>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("test/fixtures/demo_drive/frames");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| Arc::new(Frame::from_image_bytes(&std::fs::read(file).unwrap()).unwrap())).collect()
}

fn resident_mib() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0 / (1 << 20) as f64
}

/// What the scheduler did with this thread so far.
#[derive(Clone, Copy)]
struct Scheduling {
    /// How often it gave up the processor because it had to wait.
    waited: u64,
    /// How often it was pushed off the processor.
    pushed: u64,
    /// How long it stood ready while others ran.
    queued: Duration,
}

fn scheduling() -> Scheduling {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let switches = |kind: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix("_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    };
    // Nanoseconds on a processor, ready for one, and how often; not on every kernel.
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let queued = times.split(' ').nth(1).and_then(|nanos| nanos.parse().ok()).unwrap_or(0);
    Scheduling { waited: switches("voluntary"), pushed: switches("nonvoluntary"), queued: Duration::from_nanos(queued) }
}

/// A hand-over: how long it took, and what of that the scheduler gave to others.
struct HandOver {
    took: Duration,
    queued: Duration,
    pushed: bool,
    waited: bool,
}

fn sustained(seconds: f64, frames: &[Arc<Frame>]) {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::open(folder.path(), Placement::AtOnce).unwrap();
    let settings =
        LogSettings { min_free: 0, rotation: Rotation { bytes: 16 << 20, seconds: 3600.0 }, ..LogSettings::default() };
    let log = BackgroundLog::start(Arc::new(store), settings).unwrap();
    let head = head();
    let steps = (seconds * RATE) as u64;
    let begin = Instant::now();
    let (mut hand_overs, mut dropped): (Vec<HandOver>, u64) = (Vec::new(), 0);
    let mut memory = Vec::new();
    for index in 0..steps {
        let frame = Arc::clone(frames.get(index as usize % frames.len()).unwrap());
        let entry = LogEntry { head: Arc::clone(&head), step: step(index), frame };
        let before = scheduling();
        let start = Instant::now();
        dropped += u64::from(!log.write(entry));
        let took = start.elapsed();
        let after = scheduling();
        hand_overs.push(HandOver {
            took,
            queued: after.queued.saturating_sub(before.queued),
            pushed: after.pushed > before.pushed,
            waited: after.waited > before.waited,
        });
        if index % (steps / 6).max(1) == 0 {
            memory.push(format!("{:.1}", resident_mib()));
        }
        let due = Duration::from_secs_f64((index + 1) as f64 / RATE);
        std::thread::sleep(due.saturating_sub(begin.elapsed()));
    }
    memory.push(format!("{:.1}", resident_mib()));
    let took = begin.elapsed().as_secs_f64();
    hand_overs.sort_unstable_by_key(|hand_over| hand_over.took);
    let longest = hand_overs.last().map(|hand_over| hand_over.took).unwrap_or_default();
    let p99 = hand_overs.get(hand_overs.len() * 99 / 100).map(|hand_over| hand_over.took).unwrap_or_default();
    let over = |hand_over: &&HandOver| hand_over.took > Duration::from_millis(1);
    let (over, waits) =
        (hand_overs.iter().filter(over), hand_overs.iter().filter(|hand_over| hand_over.waited).count());
    let (over_1_ms, pushed) = (over.clone().count(), over.filter(|hand_over| hand_over.pushed).count());
    // Without the time in which it stood ready and others ran: what the hand-over itself costs.
    let own =
        hand_overs.iter().map(|hand_over| hand_over.took.saturating_sub(hand_over.queued)).max().unwrap_or_default();
    let (_, status) = log.close(Duration::from_secs(60));
    let found = logs_in(folder.path()).unwrap();
    let files = &found.episodes.first().unwrap().files;
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    let read = found.episodes.first().unwrap().read().unwrap();
    println!(
        "sustained: {steps} steps in {took:.1} s ({:.1}/s), hand-over {p99:?} at p99, {longest:?} at most, of that {own:?} \
         at most not lost to other threads; {over_1_ms} over 1 ms, {pushed} of them pushed off the processor; {waits} waits; \
         {dropped} dropped, {} read back; memory {} MiB; {} files, {:.1} kB a step",
        steps as f64 / took,
        read.steps.len(),
        memory.join(" "),
        files.len(),
        bytes as f64 / steps as f64 / 1e3
    );
    assert_eq!((status.written, status.dropped), (steps, 0));
}

fn fastest(steps: u64, frames: &[Arc<Frame>]) {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::open(folder.path(), Placement::AtOnce).unwrap();
    let mut log = EpisodeWriter::new(Arc::new(store), head(), Rotation::default()).unwrap();
    let begin = Instant::now();
    for index in 0..steps {
        log.write(&step(index), frames.get(index as usize % frames.len()).unwrap()).unwrap();
        if index % 8 == 7 {
            log.flush().unwrap();
        }
    }
    log.finish_part().unwrap();
    let took = begin.elapsed().as_secs_f64();
    println!("as fast as it goes: {steps} steps in {took:.1} s: {:.0} steps a second", steps as f64 / took);
    let begin = Instant::now();
    let read = logs_in(folder.path()).unwrap().episodes.first().unwrap().read().unwrap();
    println!("reading {} steps: {:.2} s", read.steps.len(), begin.elapsed().as_secs_f64());
}

fn main() {
    let frames = frames();
    let seconds = std::env::var("LOG_BENCH_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    // `cargo test --benches` only asks whether it runs.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    sustained(seconds.unwrap_or(if is_bench { 30.0 } else { 2.0 }), &frames);
    fastest(if is_bench { 3000 } else { 100 }, &frames);
}
