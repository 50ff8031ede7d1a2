//! The program with each of the vector instructions that this machine has: `PLANNER_TUNER_VECTORS` forbids the wider ones.
//!
//! Attention's products are not reached by it (they are the `gemm` crate's); all others are, and so are the widening of
//! 4-bit and bf16 weights, SwiGLU, softmax and rotation.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use vlm_planner_tuner::vectors::{InstructionSet, VARIABLE, Vectors};

use crate::support::{self, Expected, Report, expect, max_difference, max_relative_difference};

/// Between two sets of instructions: sums are rounded at other places, no more.
const BAR: f32 = 1e-4;

fn run(vectors: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_planner_tuner")).env(VARIABLE, vectors).args(args).output().unwrap()
}

fn succeed(vectors: InstructionSet, args: &[&str]) -> String {
    let output = run(vectors.name(), args);
    expect(0, &output);
    String::from_utf8(output.stdout).unwrap()
}

/// What this machine has, widest first.
fn available() -> Vec<InstructionSet> {
    Vectors::available().into_iter().map(Vectors::set).collect()
}

fn golden_set() -> PathBuf {
    support::own_fixture_set("tiny_vlm")
}

/// A frame of the project's golden set, with the history that its numbers were computed with.
fn infer_args() -> Vec<String> {
    let list: Value = serde_json::from_slice(&std::fs::read(golden_set().join("expected.json")).unwrap()).unwrap();
    let frame = list["frames"].as_array().unwrap().iter().find(|frame| frame["frame_index"] == 2).unwrap();
    let path = |part: &str| golden_set().join(part).display().to_string();
    let history = frame["history_frame_indices_newest_first"].as_array().unwrap().iter();
    // The first frame's picture is called 20.
    let history = history.map(|index| path(&format!("frames/DWA_{:06}.png", 20 + index.as_u64().unwrap())));
    let options = [
        ("--base", path("base")),
        ("--checkpoint", path("checkpoint")),
        ("--policy", path("policy")),
        ("--image", path(frame["file"].as_str().unwrap())),
        ("--linear-vel", frame["linear_vel"].to_string()),
        ("--angular-vel", frame["angular_vel"].to_string()),
    ];
    let options = options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
    ["infer".to_owned(), "--json".to_owned()]
        .into_iter()
        .chain(options)
        .chain(["--history".to_owned()])
        .chain(history)
        .collect()
}

fn feature(object: &Value) -> Vec<f32> {
    serde_json::from_value(object["feature"].clone()).unwrap()
}

fn infer(vectors: InstructionSet, format: &[&str]) -> Vec<f32> {
    let args = infer_args();
    let args: Vec<&str> = args.iter().map(String::as_str).chain(format.iter().copied()).collect();
    feature(&serde_json::from_str(&succeed(vectors, &args)).unwrap())
}

/// Panicked wherever there is no AVX-512: a reference to 32 numbers was taken for one to vectors, which lie further apart.
#[test]
fn nf4_without_avx512() {
    let golden = Expected::open(&golden_set().join("expected.safetensors"));
    let golden = golden.values("frame2.policy.newest_first.feature");
    let mut report = Report::default();
    // How far a narrower format may move a feature, of its largest number: for the scale only. That the formats' numbers are
    // the right ones is shown by test/model/quantised_model.rs.
    for (name, format, moved) in [
        ("f32", &["--dtype", "f32"][..], 0.0..5e-4),
        ("bf16", &["--dtype", "bf16"], 1e-4..0.05),
        ("nf4", &["--quantize", "nf4"], 1e-2..0.3),
    ] {
        let mut widest: Option<Vec<f32>> = None;
        for vectors in available() {
            let found = infer(vectors, format);
            let from_golden = max_relative_difference(&found, &golden);
            assert!(from_golden >= moved.start, "{name} with {vectors}: {from_golden} from f32, expected {moved:?}");
            report.add(&format!("{name} with {vectors}, from PyTorch's f32, relative"), from_golden, moved.end);
            let widest = widest.get_or_insert_with(|| found.clone());
            report.add(&format!("{name} with {vectors}, from the widest vectors"), max_difference(&found, widest), BAR);
        }
    }
    report.finish("`infer` with all vectors of this machine: features");
}

#[test]
fn a_drive_is_replayed_with_every_vector_path() {
    let drive = support::own_fixture_set("demo_drive").display().to_string();
    let path = |part: &str| golden_set().join(part).display().to_string();
    let (base, checkpoint, policy) = (path("base"), path("checkpoint"), path("policy"));
    let args = [
        ["replay", &drive],
        ["--base", &base],
        ["--checkpoint", &checkpoint],
        ["--policy", &policy],
        ["--rate", "0.2"],
        ["--quantize", "nf4"],
    ];
    let args = [&args.concat()[..], &["--json"]].concat();
    let mut report = Report::default();
    let mut widest: Option<Vec<Value>> = None;
    for vectors in available() {
        let found: Vec<Value> =
            succeed(vectors, &args).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(found.len() > 2, "{} decisions of 15 s at 0.2 Hz", found.len());
        let widest = widest.get_or_insert_with(|| found.clone());
        assert_eq!(found.len(), widest.len(), "{vectors}");
        for (found, expected) in found.iter().zip(widest.iter()) {
            assert_eq!(found["stamp_ns"], expected["stamp_ns"], "{vectors}");
            let difference = max_difference(&feature(found), &feature(expected));
            report.add(&format!("feature with {vectors}, from the widest"), difference, BAR);
        }
    }
    report.finish("the demo drive in 4 bits, with all vectors of this machine");
}

#[test]
fn random_weights_are_measured_with_every_vector_path() {
    let config = golden_set().join("base/config.json");
    for vectors in available() {
        let args =
            ["bench", "--random-weights", config.to_str().unwrap(), "--quantize", "nf4", "--runs", "1", "--json"];
        let measured: Value = serde_json::from_str(&succeed(vectors, &args)).unwrap();
        assert_eq!(measured["vectors"], vectors.name(), "what was measured is said");
        assert!(measured["frame_ms"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn a_word_that_is_no_vector_path_ends_the_program_before_it_begins() {
    for args in [&["doctor", "--no-graph"][..], &["replay", "--demo"], &["inspect", "/nowhere"]] {
        let output = run("avx3", args);
        let talk = expect(2, &output);
        assert!(talk.contains("PLANNER_TUNER_VECTORS is 'avx3', expected"), "{talk}");
        assert!(available().iter().all(|vectors| talk.contains(vectors.name())), "{talk}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
    expect(0, &run("avx3", &["--help"]));
}
