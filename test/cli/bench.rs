//! `planner_tuner bench` on a checkpoint and on random weights: that it measures what it names.

use std::process::Command;

use crate::support;
use serde_json::Value;

fn bench(args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_planner_tuner")).arg("bench").args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_decision_is_measured_stage_by_stage_with_and_without_the_prefix() {
    let model = support::own_fixture_set("tiny_vlm");
    let path = |part: &str| model.join(part).display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("stages.png");
    let measured = bench(&[
        "--base",
        &path("base"),
        "--checkpoint",
        &path("checkpoint"),
        "--image",
        &path("frames/DWA_000020.png"),
        "--runs",
        "2",
        "--compare-prefix",
        "--chart",
        chart.to_str().unwrap(),
        "--json",
    ]);
    for stage in ["decode", "resize", "patches", "prompt", "vision", "text", "history", "heads", "total"] {
        assert!(measured["stages"][stage]["median_ms"].as_f64().unwrap() > 0.0, "{stage}");
    }
    let median = |stage: &str| measured["stages"][stage]["median_ms"].as_f64().unwrap();
    let (total, again, text, afresh) =
        (median("total"), median("same frame"), median("text"), median("text, prefix not remembered"));
    let difference = measured["prefix_feature_difference"].as_f64().unwrap();
    support::say(&format!(
        "tiny model: {total:.1} ms, the same frame again {again:.2} ms; text {text:.1} ms, prefix not remembered \
         {afresh:.1} ms, features {difference:.1e} apart (bar 5e-4)"
    ));
    assert!(difference < 5e-4);
    assert!(measured["highest_resident_mib"].as_u64() >= measured["resident_mib"].as_u64());
    assert!(image::open(chart).unwrap().width() > 0);
}

#[test]
fn any_shape_is_measured_with_random_weights() {
    let config = support::own_fixture_set("tiny_vlm").join("base/config.json");
    for quantize in ["none", "nf4"] {
        let shape = config.to_str().unwrap();
        let measured = bench(&["--random-weights", shape, "--quantize", quantize, "--runs", "2", "--growth", "--json"]);
        let peak = measured["gemm_peak_operations_per_s"].as_f64().unwrap();
        let ratio = measured["times_its_arithmetic"].as_f64().unwrap();
        assert!(peak > 0.0 && ratio > 0.0);
        let operations = |at: &Value| at["operations"].as_f64().unwrap();
        let growth = measured["growth"].as_array().unwrap();
        let tokens: Vec<u64> = growth.iter().map(|at| at["image_tokens"].as_u64().unwrap()).collect();
        assert_eq!(tokens, [150, 294, 330, 600]);
        assert!(growth.windows(2).all(|pair| operations(&pair[0]) < operations(&pair[1])));
        support::say(&format!("tiny shape, {quantize}: {ratio:.2} x its arithmetic at {:.0} GF/s", peak / 1e9));
    }
}

#[test]
fn a_device_is_held_against_the_cpu_in_every_form() {
    let Some(model) = support::fixture_set("tiny_vlm") else { return };
    let path = |part: &str| model.join(part).display().to_string();
    let image = concat!(env!("CARGO_MANIFEST_DIR"), "/test/fixtures/demo_drive/frames/000.png");
    let (base, checkpoint) = (path("base"), path("checkpoint"));
    let args = ["--base", &base, "--checkpoint", &checkpoint, "--image", image, "--verify", "--runs", "1", "--json"];
    let report = bench(&args);
    assert_eq!((&report["device"], &report["passed"]), (&"cpu".into(), &true.into()), "{report}");
    let forms = report["forms"].as_array().unwrap();
    assert_eq!(forms.iter().map(|form| form["form"].as_str().unwrap()).collect::<Vec<_>>(), ["f32", "bf16", "nf4"]);
    assert!(forms.iter().all(|form| form["feature_difference"] == 0.0), "the CPU beside itself: {report}");
    assert_eq!(report["nf4_to_bf16"]["differing"], 0);
}
