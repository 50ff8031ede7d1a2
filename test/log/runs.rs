//! Image folders whose tables tell how the runs went: progress and ends in the transition log.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{expect, own_fixture_set, say, shared_data};
use vlm_planner_tuner::transition::{Ending, LoggedEpisode, RewardWeights, Truncation, logs_in};

fn replay(recording: &Path, log: &Path, rest: &[&str]) -> Output {
    let path = |part: &str| own_fixture_set("tiny_vlm").join(part).display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_planner_tuner"));
    command.env("RAYON_NUM_THREADS", "2").arg("replay").arg(recording).arg("--log").arg(log);
    command.args(["--base", &path("base"), "--checkpoint", &path("checkpoint"), "--policy", &path("policy")]);
    // Small pictures: what happens here does not depend on their size.
    command.args(["--max-pixels", "9408"]).args(rest).output().unwrap()
}

fn episodes(folder: &Path) -> Vec<LoggedEpisode> {
    logs_in(folder).unwrap().episodes.iter().map(|files| files.read().unwrap()).collect()
}

/// A folder of four runs of three images, and what its tables say.
fn folder(runs: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut frames = "file,run_id,linear_vel,angular_vel,delta_goal_dist\n".to_owned();
    for number in 0..12 {
        let name = format!("{number:03}.png");
        let from = own_fixture_set("demo_drive").join("frames").join(&name);
        std::fs::copy(from, folder.path().join(&name)).unwrap();
        // One step of which no progress is known.
        let progress = if number == 4 { String::new() } else { format!("0.{number:02}") };
        frames += &format!("{name},run_{},0.5,0.1,{progress}\n", ["a", "b", "c", "d"][number / 3]);
    }
    std::fs::write(folder.path().join("frames.csv"), frames).unwrap();
    std::fs::write(folder.path().join("runs.csv"), runs).unwrap();
    folder
}

#[test]
fn runs_end_as_their_table_says() {
    let recording = folder("run_id,n,status\nrun_b,3,collision\nrun_a,3,success\nrun_c,3,timeout\nrun_d,3,unknown\n");
    let logs = tempfile::tempdir().unwrap();
    let talk = expect(0, &replay(recording.path(), logs.path(), &[]));
    assert!(talk.contains("run run_d has status 'unknown'"), "{talk}");
    let episodes = episodes(logs.path());
    let ends: Vec<Ending> = episodes.iter().map(|episode| episode.steps.last().unwrap().ending).collect();
    let (time_out, end) = (Ending::Truncated(Truncation::TimeOut), Ending::Truncated(Truncation::End));
    assert_eq!(ends, [Ending::Success, Ending::Collision, time_out, end]);
    let steps: Vec<_> = episodes.iter().flat_map(|episode| &episode.steps).collect();
    assert_eq!(steps.len(), 12);
    let weights = RewardWeights::default();
    for (number, step) in steps.iter().enumerate() {
        let progress = (number != 4).then_some(number as f64 / 100.0);
        assert_eq!(step.terms.progress_m, progress, "step {number}");
        assert_eq!(step.terms.success, number == 2);
        assert_eq!(step.terms.collision, number == 5);
        assert_eq!(step.terms.time_out, number == 8);
        assert_eq!(step.reward, weights.reward(&step.terms));
    }
    assert!(steps[8].ending.truncated() && !steps[8].ending.terminated(), "a time-out bootstraps");
    assert!((f64::from(steps[5].reward) - (-1.0 + 0.5 - 50.0)).abs() < 1e-5, "{}", steps[5].reward);
}

#[test]
fn a_table_of_runs_that_cannot_be_used_is_named() {
    for (runs, problem) in [
        ("run_id,end\nrun_a,success\n", "there is no column 'status'"),
        ("run_id,status\nrun_a,success\nrun_a,timeout\n", "run_id 'run_a' is there twice"),
    ] {
        let (recording, logs) = (folder(runs), tempfile::tempdir().unwrap());
        let talk = expect(1, &replay(recording.path(), logs.path(), &[]));
        assert!(talk.contains(problem) && talk.contains("runs.csv"), "{talk}");
    }
    // Without the table each run is cut off, as before.
    let (recording, logs) = (folder(""), tempfile::tempdir().unwrap());
    std::fs::remove_file(recording.path().join("runs.csv")).unwrap();
    expect(0, &replay(recording.path(), logs.path(), &[]));
    let cut = Ending::Truncated(Truncation::End);
    assert!(episodes(logs.path()).iter().all(|episode| episode.steps.last().unwrap().ending == cut));
}

#[test]
fn recorded_runs_keep_their_ends() {
    let Some(recording) = shared_data("other_planners").map(|folder| folder.join("ddp")) else { return };
    let logs = tempfile::tempdir().unwrap();
    expect(0, &replay(&recording, logs.path(), &[]));
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    let episodes = episodes(logs.path());
    for episode in &episodes {
        *found.entry(episode.steps.last().unwrap().ending.name()).or_default() += 1;
    }
    assert_eq!(found, BTreeMap::from([("success", 5), ("time_out", 1), ("collision", 1)]));
    let progress: f64 = episodes.iter().flat_map(|episode| &episode.steps).filter_map(|s| s.terms.progress_m).sum();
    say(&format!("{} recorded runs: {found:?}, {progress:.1} m of progress", episodes.len()));
    assert!(progress > 40.0, "{progress}");
}
