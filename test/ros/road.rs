//! The road of a decision over DDS, with real rclpy peers: images in, parameters out, and the numbers of `replay`.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::harness::{PATIENCE, Ros, SECOND};
use crate::support;
use crate::support::say;
use serde_json::{Value, json};
use vlm_planner_tuner::picture::save_png;
use vlm_planner_tuner::recording::{Recording, RecordingOptions};

/// Lets decisions pass as they are, so that they can be compared with `replay`.
const AS_DECIDED: [&str; 5] =
    ["max_frame_age:=2.0", "hold_timeout:=5.0", "slew_rate:=0.0", "hysteresis:=0.0", "allow_below_inscribed:=true"];

/// What `planner_tuner replay` computes of the same frames: stamp (ns) and parameters, in the same JSON.
fn replay(recording: &Path) -> Vec<(i64, Value)> {
    let model = support::fixture_set("tiny_vlm").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_planner_tuner"))
        .arg("replay")
        .arg(recording)
        .arg("--base")
        .arg(model.join("base"))
        .arg("--checkpoint")
        .arg(model.join("checkpoint"))
        .arg("--policy")
        .arg(model.join("policy/policy_step_1000"))
        .arg("--json")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            (line["stamp_ns"].as_i64().unwrap(), line["parameters"].clone())
        })
        .collect()
}

/// A recording's usable frames as a folder that the peer can play, with the velocities that belong to them.
fn as_folder(recording: &Path, folder: &Path) {
    let mut table = String::from("file,stamp_ns,linear_vel,angular_vel\n");
    for (number, recorded) in Recording::open(recording, &RecordingOptions::default()).unwrap().flatten().enumerate() {
        let (file, velocity) = (format!("{number:03}.png"), recorded.velocity);
        save_png(&folder.join(&file), &recorded.frame.frame).unwrap();
        let stamp = recorded.frame.stamp.nanos();
        table.push_str(&format!("{file},{stamp},{},{}\n", velocity.linear(), velocity.angular()));
    }
    std::fs::write(folder.join("frames.csv"), table).unwrap();
}

/// One drive at a time: a machine that decides on two at once may not keep up with either.
static DRIVING: Mutex<()> = Mutex::new(());

/// Plays a drive on simulation time and compares every decision with `expected`.
fn plays_as_replayed(ros: &Ros, drive: &Path, expected: &[(i64, Value)]) {
    let _driving = DRIVING.lock().unwrap_or_else(PoisonError::into_inner);
    let compressed = ["use_sim_time:=true", "mapping:=topic", "image_transport:=compressed"];
    let mut node = ros.node(&[&compressed, &AS_DECIDED[..]].concat());
    let mut peer = ros.peer_with(drive);
    peer.state("Shadow", PATIENCE);
    peer.tell(json!({"do": "play", "speed": 1.0, "transport": "compressed"}));
    peer.0.event("played", PATIENCE);
    peer.0.listen(SECOND);

    let decisions = peer.0.heard("decision");
    let found: Vec<(i64, Value)> = decisions
        .iter()
        .map(|decision| {
            let parameters = decision["values"]["parameters"].as_str().unwrap();
            (decision["stamp"].as_i64().unwrap(), serde_json::from_str(parameters).unwrap())
        })
        .collect();
    let took = decisions.iter().map(|line| line["values"]["inference_ms"].as_str().unwrap().parse::<f64>().unwrap());
    let slowest = took.fold(0.0, f64::max);
    say(&format!(
        "{}: {} decisions over DDS, {} by replay; slowest {slowest:.0} ms",
        drive.file_name().unwrap().display(),
        found.len(),
        expected.len()
    ));
    assert!(!found.is_empty(), "{:#?}", node.talk());
    found.iter().zip(expected).for_each(|(found, expected)| assert_eq!(found, expected));
    assert_eq!(found.len(), expected.len());

    // What was published for the planner is the same, to the last digit, in the planner's order.
    let published = peer.0.heard("parameters");
    assert_eq!(published.len(), expected.len());
    for (message, (_, parameters)) in published.iter().zip(expected) {
        let names: Vec<&str> = message["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(names, parameters.as_object().unwrap().keys().collect::<Vec<_>>());
        let values: Vec<f64> = parameters.as_object().unwrap().values().map(|value| value.as_f64().unwrap()).collect();
        assert_eq!(message["values"], json!(values));
    }
}

#[test]
fn the_demo_drive_gives_the_parameters_of_replay() {
    let Some(ros) = Ros::find() else { return };
    let drive = Path::new(env!("CARGO_MANIFEST_DIR")).join("test/fixtures/demo_drive");
    plays_as_replayed(&ros, &drive, &replay(&drive));
}

#[test]
fn a_recorded_run_gives_the_parameters_of_replay() {
    let (Some(ros), Some(bags)) = (Ros::find(), support::shared_data("bags")) else { return };
    let folder = tempfile::tempdir().unwrap();
    as_folder(&bags.join("jackal_run"), folder.path());
    plays_as_replayed(&ros, folder.path(), &replay(&bags.join("jackal_run")));
}
