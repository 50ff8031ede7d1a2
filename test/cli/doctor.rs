//! `planner_tuner doctor`: a setup that would run, and setups that would not.

use std::process::{Command, Output};

use crate::support;
use serde_json::Value;
use vlm_planner_tuner::vectors::{VARIABLE, Vectors};

/// `planner_tuner doctor` as on a machine where no ROS is sourced, whatever this one's environment says: test/ros/survey.rs
/// looks at the graph.
fn doctor_command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_planner_tuner"));
    let of_ros = ["ROS_", "AMENT_", "RMW_", "FASTRTPS_", "FASTDDS_", "CYCLONEDDS_"];
    for (name, _) in std::env::vars_os() {
        if of_ros.iter().any(|start| name.to_string_lossy().starts_with(start)) {
            command.env_remove(&name);
        }
    }
    command.args(["doctor", "--no-graph"]);
    command
}

fn doctor(args: &[&str]) -> Output {
    doctor_command().args(args).output().unwrap()
}

fn findings(output: &Output) -> Vec<Value> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().clone();
    assert_eq!(report["ok"], !findings.iter().any(|finding| finding["verdict"] == "error"));
    findings
}

fn verdict(findings: &[Value], check: &str) -> String {
    let finding = findings.iter().find(|finding| finding["check"] == check);
    finding.unwrap_or_else(|| panic!("no {check} in {findings:?}"))["verdict"].as_str().unwrap().to_owned()
}

#[test]
fn a_whole_model_is_found_to_be_one() {
    let Some(model) = support::fixture_set("tiny_vlm") else { return };
    let path = |part: &str| model.join(part).display().to_string();
    let (base, checkpoint, policy) = (path("base"), path("checkpoint"), path("policy"));
    let args = ["--base", &base, "--checkpoint", &checkpoint, "--policy", &policy, "--mapping", "nav2_dwb"];
    let output = doctor(&[&args[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let found = findings(&output);
    for check in ["base model", "checkpoint", "policy", "device", "weights and memory", "planner", "mapping"] {
        assert_eq!(verdict(&found, check), "ok", "{check}");
    }
    assert_eq!(verdict(&found, "ROS_DISTRO"), "warn");
    let live = |verdict: &str| {
        found.iter().filter(|finding| finding["check"] == "parameter" && finding["verdict"] == verdict).count()
    };
    assert_eq!(live("ok"), 3, "three parameters of DWB are live");
    assert!(live("warn") >= 4);

    let table = doctor(&args);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("max_vel_x -> controller_server FollowPath.max_vel_x: live"), "{table}");
    assert!(table.lines().any(|line| line.trim_start().starts_with("->")), "remedies have lines of their own");
}

#[test]
fn what_would_not_run_is_an_error_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().display().to_string();
    let args = ["--base", &empty, "--checkpoint", &empty, "--policy", &empty, "--planner", "dwb", "--json"];
    let output = doctor(&args);
    assert_eq!(output.status.code(), Some(1));
    let found = findings(&output);
    for check in ["base model", "checkpoint", "policy", "planner"] {
        assert_eq!(verdict(&found, check), "error", "{check}");
    }
    assert!(found.iter().all(|finding| finding["verdict"] == "ok" || finding["remedy"].is_string()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("4 of "));

    let output = doctor(&["--json"]);
    assert_eq!(output.status.code(), Some(0), "nothing given is nothing wrong");
    assert_eq!(verdict(&findings(&output), "base model"), "warn");
}

#[test]
fn files_that_do_not_belong_together_are_an_error() {
    let Some(model) = support::fixture_set("tiny_vlm") else { return };
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(model.join("base")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let config = folder.path().join("config.json");
    let mut json: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    let text = if json["text_config"].is_object() { &mut json["text_config"] } else { &mut json };
    text["vocab_size"] = Value::from(text["vocab_size"].as_u64().unwrap() + 8);
    std::fs::write(&config, json.to_string()).unwrap();
    let (base, checkpoint) = (folder.path().display().to_string(), model.join("checkpoint").display().to_string());
    let output = doctor(&["--base", &base, "--checkpoint", &checkpoint, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found = findings(&output);
    assert_eq!((verdict(&found, "base model"), verdict(&found, "weights and memory")), ("ok".into(), "error".into()));
}

#[test]
fn the_vectors_in_use_are_named_and_tried() {
    let with = |limit: &str| {
        let output = doctor_command().env(VARIABLE, limit).arg("--json").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
        findings(&output).into_iter().find(|finding| finding["check"] == "vectors").unwrap()
    };
    let widest = Vectors::widest().set();
    for vectors in Vectors::available() {
        let finding = with(vectors.set().name());
        let found = finding["found"].as_str().unwrap();
        assert!(found.starts_with(&vectors.set().to_string()), "{found}");
        assert!(found.contains("4-bit and bf16 weights are right"), "{found}");
        let expected = if vectors.set() == widest { "ok" } else { "warn" };
        assert_eq!(finding["verdict"], expected, "{found}");
    }
    assert_eq!(with("")["verdict"], "ok", "an empty variable says nothing");
}

#[test]
fn without_the_node_the_graph_is_said_not_to_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("planner_tuner");
    std::fs::copy(env!("CARGO_BIN_EXE_planner_tuner"), &alone).unwrap();
    let output = Command::new(alone).args(["doctor", "--json"]).output().unwrap();
    let found = findings(&output);
    assert_eq!(verdict(&found, "ROS graph"), "warn");
    assert!(found.iter().any(|finding| finding["found"].as_str().unwrap().contains("no planner_tuner_node")));
}
