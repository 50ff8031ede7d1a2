//! `planner_tuner train` as a user meets it: the real program, its files, its exit codes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support;
use crate::support::toy::Toy;
use serde_json::Value;
use tempfile::TempDir;
use vlm_planner_tuner::checkpoint::{PolicyCheckpoint, StateDict};
use vlm_planner_tuner::frame::Frame;
use vlm_planner_tuner::td3::Random;
use vlm_planner_tuner::transition::log::{FolderStore, Placement, Rotation};
use vlm_planner_tuner::transition::{EpisodeWriter, LogHead, RewardWeights, Session, Step};

/// Length of the features of the golden set's policy.
const FEATURE: usize = 32;

fn write_log(folder: &Path, session: Session, steps: &[Step]) {
    let store = FolderStore::open(folder, Placement::AtOnce).unwrap();
    let head = LogHead { session, weights: RewardWeights::default() };
    let mut log = EpisodeWriter::new(Arc::new(store), Arc::new(head), Rotation::default()).unwrap();
    let frame = Frame::from_rgb8(2, 2, vec![7; 12]).unwrap();
    for step in steps {
        log.write(step, &frame).unwrap();
        log.flush().unwrap();
    }
    log.finish_part().unwrap();
}

/// A folder with logs of a drive that explored everything.
struct Logs {
    folder: TempDir,
    toy: Toy,
    random: Random,
}

impl Logs {
    fn of(planner: &str, episodes: usize) -> Self {
        let mut logs =
            Self { folder: tempfile::tempdir().unwrap(), toy: Toy::new(planner, FEATURE, 1), random: Random::new(2) };
        for episode in 0..episodes {
            let steps = logs.toy.episode(&mut logs.random);
            logs.add(&format!("drive_{episode}"), &steps);
        }
        logs
    }

    fn add(&mut self, episode: &str, steps: &[Step]) {
        write_log(self.folder.path(), self.toy.session(episode), steps);
    }

    fn path(&self) -> String {
        self.folder.path().display().to_string()
    }
}

fn golden(part: &str) -> String {
    support::own_fixture_set("tiny_vlm").join(part).display().to_string()
}

fn train(logs: &[&str], output: &Path, rest: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_planner_tuner"));
    command.arg("train").args(logs).args(["--checkpoint", &golden("checkpoint")]).arg("-o").arg(output).args(rest);
    command
}

/// Exit code and talk; a death by signal or a panic fails the test.
fn ended(output: &Output) -> (i32, String) {
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!talk.contains("panicked"), "{talk}");
    (output.status.code().unwrap_or_else(|| panic!("killed: {talk}")), talk)
}

fn from_start(logs: &[&str], output: &Path, rest: &[&str]) -> Output {
    let policy = golden("policy");
    let mut all = vec!["--policy", &policy];
    all.extend(rest);
    train(logs, output, &all).output().unwrap()
}

fn report(output: &Output) -> Value {
    let (code, talk) = ended(output);
    assert!(code == 0 || code == 3, "{talk}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn tensors(policy: &Path) -> StateDict {
    StateDict::read(&PolicyCheckpoint::open(policy).unwrap().actor).unwrap()
}

/// The values of all tensors but the actor's own layer.
fn frozen(policy: &StateDict) -> StateDict {
    let kept = policy.iter().filter(|(name, _)| !name.starts_with("fc."));
    StateDict::new(kept.map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect()).unwrap()
}

#[test]
fn a_training_leaves_policies_curves_and_a_report() {
    let logs = Logs::of("dwa", 6);
    let output = tempfile::tempdir().unwrap();
    let picture = output.path().join("curves.png");
    let settings = output.path().join("mine.yaml");
    std::fs::write(&settings, "actor_lr: 1.0e-3\nexploration_steps: 120\nbatch_size: 16\n").unwrap();
    let run = output.path().join("run");
    let (picture_arg, settings_arg) = (picture.display().to_string(), settings.display().to_string());
    let rest = ["--config", &settings_arg, "--steps", "120", "--save-every", "60", "--plot", &picture_arg, "--json"];
    let finished = from_start(&[&logs.path()], &run, &rest);
    assert_eq!(ended(&finished).0, 0, "{}", ended(&finished).1);
    let report = report(&finished);
    assert_eq!((&report["updates"], &report["skipped_updates"]), (&120.into(), &0.into()));
    assert_eq!((&report["logs"]["steps"], &report["logs"]["episodes"]), (&120.into(), &6.into()));
    let changes = report["parameters"].as_object().unwrap();
    assert_eq!(changes.len(), 7);
    assert!(changes.values().all(|change| change["mean_change"].as_f64().unwrap() > 0.0), "{changes:?}");

    let start = tensors(Path::new(&golden("policy")));
    for (name, noise) in [("policy_step_60", 0.055), ("policy_step_120", 0.01), ("policy", 0.01)] {
        let policy = PolicyCheckpoint::open(run.join(name)).unwrap();
        assert!((policy.noise.unwrap() - noise).abs() < 1e-12, "{name}");
        let trained = tensors(&run.join(name));
        assert!(frozen(&trained).same_bits(&frozen(&start)).unwrap(), "{name}");
        assert!(!trained.same_bits(&start).unwrap(), "{name}");
        let origin = policy.manifest.unwrap().origin;
        assert_eq!((origin.planner.as_deref(), origin.extractor), (Some("DWA"), Some("b".repeat(64))));
    }
    assert!(tensors(&run.join("policy")).same_bits(&tensors(&run.join("policy_step_120"))).unwrap());

    let table = std::fs::read_to_string(run.join("curves.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0][..3], ["step", "critic_loss", "q"]);
    assert_eq!(*rows[0].last().unwrap(), "saturation/inflation_radius");
    assert_eq!(rows[1..].iter().map(|row| row[0]).collect::<Vec<_>>(), ["50", "100", "120"]);
    assert!(rows[1..].iter().flatten().all(|value| value.parse::<f64>().unwrap().is_finite()), "{table}");
    assert_eq!(image::image_dimensions(&picture).unwrap().0, 1400);
    let events = std::fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().path());
    let events: Vec<PathBuf> = events.filter(|path| path.display().to_string().contains("tfevents")).collect();
    assert_eq!(events.len(), 1);
    assert!(std::fs::metadata(&events[0]).unwrap().len() > 1000);

    // A second training does not write over the first.
    let (code, talk) = ended(&from_start(&[&logs.path()], &run, &["--steps", "1"]));
    assert!(code == 1 && talk.contains("--resume"), "{talk}");
    // Settings that are no longer those of the beginning are named.
    std::fs::write(&settings, "actor_lr: 1.0e-3\nexploration_steps: 120\nbatch_size: 16\ngamma: 0.5\n").unwrap();
    let resumed = train(&[&logs.path()], &run, &["--resume", "--config", &settings_arg]).output().unwrap();
    let (code, talk) = ended(&resumed);
    assert!(code == 1 && talk.contains("gamma 0.99") && talk.contains("0.5"), "{talk}");
}

/// The case train-few-steps-with-plot.
#[test]
fn few_steps_with_a_plot_end_in_a_point() {
    let logs = Logs::of("dwa", 2);
    let output = tempfile::tempdir().unwrap();
    let run = output.path().join("run");
    let picture = output.path().join("curves.png");
    let plot = picture.display().to_string();
    let finished = from_start(&[&logs.path()], &run, &["--steps", "40", "--plot", &plot, "--json"]);
    assert_eq!(ended(&finished).0, 0, "{}", ended(&finished).1);
    let steps = || {
        let table = std::fs::read_to_string(run.join("curves.csv")).unwrap();
        table.lines().skip(1).map(|row| row.split(',').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(steps(), ["40"]);
    assert!(report(&finished)["last"]["critic_loss"].as_f64().unwrap().is_finite());
    assert_eq!(image::image_dimensions(&picture).unwrap().0, 1400);
    assert!(PolicyCheckpoint::open(run.join("policy_step_40")).is_ok());

    // The point between two regular ones makes room when the training goes on.
    let page = run.join("training.html").display().to_string();
    let rest = ["--resume", "--steps", "110", "--plot", &plot, "--html", &page];
    let resumed = train(&[&logs.path()], &run, &rest).output().unwrap();
    assert_eq!(ended(&resumed).0, 0, "{}", ended(&resumed).1);
    assert_eq!(steps(), ["50", "100", "110"]);
    let page = std::fs::read_to_string(page).unwrap();
    for part in
        ["Training for DWA", "<b>critic_loss</b>", "<b>saturation/max_vel_x</b>", "<tr id=\"m2\"", "policy_step_110"]
    {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_plot_without_a_point_is_no_error() {
    let logs = Logs::of("dwa", 2);
    let output = tempfile::tempdir().unwrap();
    let run = output.path().join("run");
    assert_eq!(ended(&from_start(&[&logs.path()], &run, &["--steps", "50"])).0, 0);
    std::fs::remove_file(run.join("curves.csv")).unwrap();
    let picture = output.path().join("curves.png");
    let rest = ["--resume", "--steps", "50", "--plot", &picture.display().to_string()];
    let (code, talk) = ended(&train(&[&logs.path()], &run, &rest).output().unwrap());
    assert!(code == 0 && talk.contains("there is no update to draw yet") && !picture.exists(), "{talk}");
}

#[test]
fn killed_and_resumed_it_ends_with_the_same_bytes() {
    let logs = Logs::of("dwa", 4);
    let folder = tempfile::tempdir().unwrap();
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    let steps = ["--steps", "160", "--save-every", "20", "--json"];
    let expected = report(&from_start(&[&logs.path()], &whole, &steps));

    let policy = golden("policy");
    let mut child = train(&[&logs.path()], &killed, &["--policy", &policy])
        .args(steps)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !killed.join("policy_step_60_actor").exists() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = train(&[&logs.path()], &killed, &["--resume"]).args(steps).output().unwrap();
    let found = report(&resumed);
    assert_eq!(found["policy"]["sha256"], expected["policy"]["sha256"]);
    assert_eq!((&found["parameters"], &found["last"]), (&expected["parameters"], &expected["last"]));
    let read = |folder: &Path, name: &str| std::fs::read(folder.join(name)).unwrap();
    assert_eq!(read(&killed, "curves.csv"), read(&whole, "curves.csv"));
    assert_eq!(read(&killed, "training_state.safetensors"), read(&whole, "training_state.safetensors"));
    assert_eq!(read(&killed, "training_state.json"), read(&whole, "training_state.json"));
}

#[test]
fn r23_ctrl_c_keeps_what_a_training_has_learned() {
    let logs = Logs::of("dwa", 4);
    let folder = tempfile::tempdir().unwrap();
    let [whole, stopped] = ["whole", "stopped"].map(|name| folder.path().join(name));
    let policy = golden("policy");
    let mut child = train(&[&logs.path()], &stopped, &["--policy", &policy])
        .args(["--steps", "1000000", "--save-every", "20", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !stopped.join("policy_step_20_actor").exists() && begun.elapsed() < Duration::from_secs(60) {
        assert!(child.try_wait().unwrap().is_none(), "it has ended by itself");
        std::thread::sleep(Duration::from_millis(2));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let talk = support::expect(130, &output);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let updates = found["updates"].as_u64().unwrap();
    assert!(
        talk.contains(&format!("stopped after {updates} of 1000000 updates")) && talk.contains("--resume"),
        "{talk}"
    );
    // The same policy as that of a training that was to end there.
    let steps = updates.to_string();
    let expected = report(&from_start(&[&logs.path()], &whole, &["--steps", &steps, "--save-every", "20", "--json"]));
    assert_eq!(found["policy"]["sha256"], expected["policy"]["sha256"]);
    PolicyCheckpoint::open(stopped.join("policy")).unwrap();
}

#[test]
fn what_is_lost_or_refused_is_counted() {
    let mut logs = Logs::of("dwa", 2);
    let mut steps = logs.toy.episode(&mut logs.random);
    steps[4].parameters[0].value = 7.0;
    logs.add("wild", &steps);
    // Cut off in the middle of a chunk.
    let cut = logs.folder.path().join("drive_1_000.mcap");
    let whole = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let output = tempfile::tempdir().unwrap();
    let finished = from_start(&[&logs.path()], &output.path().join("run"), &["--steps", "10", "--json"]);
    let (code, talk) = ended(&finished);
    assert_eq!(code, 3, "{talk}");
    assert!(talk.contains("it sent max_vel_x = 7"), "{talk}");
    let found = report(&finished);
    assert_eq!(found["logs"]["refused_steps"], 1);
    assert_eq!(found["logs"]["episodes_without_end"], 1);
    let taken = found["logs"]["steps"].as_u64().unwrap();
    assert!((20 + 19 + 1..20 + 19 + 20).contains(&taken), "{taken}");
}

#[test]
fn logs_that_do_not_fit_end_with_both_names() {
    let (dwa, teb) = (Logs::of("dwa", 1), Logs::of("teb", 1));
    let output = tempfile::tempdir().unwrap();
    let run = |logs: &[&str], rest: &[&str]| {
        let folder = tempfile::tempdir_in(output.path()).unwrap();
        ended(&from_start(logs, &folder.path().join("run"), rest))
    };
    let (code, talk) = run(&[&dwa.path(), &teb.path()], &["--allow-mixed"]);
    assert!(code == 1 && talk.contains("planner TEB") && talk.contains(&teb.path()), "{talk}");

    let mut session = dwa.toy.session("other");
    session.extractor = vlm_planner_tuner::identity::ExtractorId("c".repeat(64));
    let other = tempfile::tempdir().unwrap();
    write_log(other.path(), session, &dwa.toy.episode(&mut Random::new(9)));
    let logs = [dwa.path(), other.path().display().to_string()];
    let logs = logs.each_ref().map(String::as_str);
    let (code, talk) = run(&logs, &[]);
    assert!(code == 1 && talk.contains(&"b".repeat(64)) && talk.contains(&"c".repeat(64)), "{talk}");
    assert!(logs.iter().all(|log| talk.contains(log)), "{talk}");
    let (code, talk) = run(&logs, &["--allow-mixed", "--steps", "2"]);
    assert_eq!(code, 0, "{talk}");

    let empty = tempfile::tempdir().unwrap();
    let (code, talk) = run(&[&empty.path().display().to_string()], &[]);
    assert!(code == 1 && talk.contains("holds no transition log"), "{talk}");
}

#[test]
fn usage() {
    let output = tempfile::tempdir().unwrap();
    let logs = Logs::of("dwa", 1);
    let (code, talk) = ended(&train(&[&logs.path()], output.path(), &[]).output().unwrap());
    assert!(code == 2 && talk.contains("--policy"), "{talk}");
    let (code, talk) = ended(&train(&[&logs.path()], output.path(), &["--resume"]).output().unwrap());
    assert!(code == 1 && talk.contains("holds no saved training"), "{talk}");
}
