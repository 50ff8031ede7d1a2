//! A logged demo drive, and trainings on it by the real program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::own_fixture_set;
use serde_json::Value;
use tempfile::TempDir;
use vlm_planner_tuner::checkpoint::{PolicyCheckpoint, StateDict};
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::tuner::{Head, ModelSpec, QuantizeChoice};
use vlm_planner_tuner::vision_language::processor::PixelBudget;

/// Small pictures: what happens here does not depend on their size.
const PIXELS: u64 = 28 * 28 * 12;

pub fn golden(part: &str) -> String {
    own_fixture_set("tiny_vlm").join(part).display().to_string()
}

pub fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_planner_tuner"));
    // Every product of candle's looks for it.
    command.env("RAYON_NUM_THREADS", "2").args(arguments).args(["--max-pixels", &PIXELS.to_string()]);
    command.output().unwrap()
}

/// Exit code and talk; a panic fails the test.
pub fn ended(output: &Output) -> (i32, String) {
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!talk.contains("panicked"), "{talk}");
    (output.status.code().unwrap_or_else(|| panic!("killed: {talk}")), talk)
}

/// A logged demo drive, and settings for trainings on it.
pub struct Drive {
    folder: TempDir,
}

impl Drive {
    pub fn new() -> Self {
        let drive = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(drive.path("quick.yaml"), "batch_size: 3\nn_step: 2\nactor_lr: 1.0e-3\n").unwrap();
        let (logs, plot) = (drive.text("logs"), drive.text("plot.png"));
        // Episodes of three seconds: most of them are cut off, and go on in the next.
        let logged = drive
            .replay(&["--log", &logs, "--exploration", "0.3", "--time-out", "3", "--plot", &plot], &golden("policy"));
        assert_eq!(ended(&logged).0, 0, "{}", ended(&logged).1);
        drive
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The demo drive, seen by the golden model with a policy.
    pub fn replay(&self, rest: &[&str], policy: &str) -> Output {
        let recording = own_fixture_set("demo_drive").display().to_string();
        let (base, checkpoint) = (golden("base"), golden("checkpoint"));
        let fixed = ["replay", &recording, "--base", &base, "--checkpoint", &checkpoint, "--policy", policy];
        run(&[&fixed[..], rest].concat())
    }

    pub fn train(&self, output: &str, rest: &[&str]) -> Output {
        let (logs, output, base, checkpoint) =
            (self.text("logs"), self.text(output), golden("base"), golden("checkpoint"));
        let fixed = ["train", &logs, "-o", &output, "--base", &base, "--checkpoint", &checkpoint, "--json"];
        run(&[&fixed[..], rest].concat())
    }

    pub fn begin(&self, output: &str, learns: &str, steps: &str, rest: &[&str]) -> Output {
        let (policy, config) = (golden("policy"), self.text("quick.yaml"));
        let fixed = ["--policy", &policy, "--config", &config, "--train", learns, "--steps", steps];
        self.train(output, &[&fixed[..], rest].concat())
    }

    pub fn read(&self, output: &str, name: &str) -> Vec<u8> {
        std::fs::read(self.path(output).join(name)).unwrap()
    }
}

pub fn report(output: &Output) -> Value {
    let (code, talk) = ended(output);
    assert_eq!(code, 0, "{talk}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A session with a policy on the golden base.
pub fn model_with(policy: PathBuf) -> ModelSpec {
    ModelSpec {
        base: golden("base").into(),
        checkpoint: golden("checkpoint").into(),
        policy: Some(policy),
        head: Some(Head::Actor),
        planner: PlannerSpec::builtin("dwa").unwrap(),
        quantize: QuantizeChoice::None,
        pixels: PixelBudget { min_pixels: None, max_pixels: Some(PIXELS) },
    }
}

pub fn tensors(policy: &Path) -> StateDict {
    StateDict::read(&PolicyCheckpoint::open(policy).unwrap().actor).unwrap()
}
