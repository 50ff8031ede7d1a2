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

use vlm_planner_tuner::feature::Feature;
use vlm_planner_tuner::frame::{Frame, Stamp};
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

/// How often this thread has given up the processor because it had to wait. Being pushed off it by others, which takes
/// time on a busy machine, does not count.
fn times_waited() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
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
    let (mut hand_overs, mut dropped, mut waits) = (Vec::new(), 0, 0);
    let mut memory = Vec::new();
    for index in 0..steps {
        let frame = Arc::clone(frames.get(index as usize % frames.len()).unwrap());
        let entry = LogEntry { head: Arc::clone(&head), step: step(index), frame };
        let before = times_waited();
        let start = Instant::now();
        dropped += u64::from(!log.write(entry));
        hand_overs.push(start.elapsed());
        waits += times_waited() - before;
        if index % (steps / 6).max(1) == 0 {
            memory.push(format!("{:.1}", resident_mib()));
        }
        let due = Duration::from_secs_f64((index + 1) as f64 / RATE);
        std::thread::sleep(due.saturating_sub(begin.elapsed()));
    }
    memory.push(format!("{:.1}", resident_mib()));
    let took = begin.elapsed().as_secs_f64();
    hand_overs.sort_unstable();
    let longest = hand_overs.last().copied().unwrap_or_default();
    let p99 = hand_overs.get(hand_overs.len() * 99 / 100).copied().unwrap_or_default();
    let over = hand_overs.iter().filter(|time| **time > Duration::from_millis(1)).count();
    let (_, status) = log.close(Duration::from_secs(60));
    let found = logs_in(folder.path()).unwrap();
    let files = &found.episodes.first().unwrap().files;
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    let read = found.episodes.first().unwrap().read().unwrap();
    println!(
        "sustained: {steps} steps in {took:.1} s ({:.1}/s), hand-over {p99:?} at p99, {longest:?} at most, {over} over 1 ms, \
         {waits} waits; {dropped} dropped, {} read back; memory {} MiB; {} files, {:.1} kB a step",
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
