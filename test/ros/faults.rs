//! Faults of images, odometry, clock and model, as an operator sees them; README.md has the table.

use std::time::Duration;

use crate::harness::{PATIENCE, Peer, Process, Ros, SECOND};
use crate::support::say;
use serde_json::{Value, json};

/// Publishes what it decides; the state is then the guard's own.
const ACTIVE: [&str; 2] = ["mapping:=topic", "mode:=active"];

fn start(ros: &Ros, stub: &str, parameters: &[&str]) -> (Process, Peer) {
    let node = ros.stub_node(stub, &[&ACTIVE[..], parameters].concat());
    (node, ros.peer())
}

fn nominal(ros: &Ros, stub: &str, parameters: &[&str]) -> (Process, Peer) {
    let (node, mut peer) = start(ros, stub, parameters);
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000}));
    peer.state("Nominal", PATIENCE);
    (node, peer)
}

fn images_line(peer: &mut Peer, text: &str) -> Value {
    let is_it = |line: &Value| {
        line["name"] == "planner_tuner: images" && line["message"].as_str().unwrap_or_default().contains(text)
    };
    let heard = peer.0.wait_for(&format!("diagnostics '{text}'"), PATIENCE, |line| {
        line["event"] == "diagnostics" && line["lines"].as_array().unwrap().iter().any(is_it)
    });
    heard["lines"].as_array().unwrap().iter().find(|line| is_it(line)).unwrap().clone()
}

#[test]
fn fault_01_no_image_ever() {
    let Some(ros) = Ros::find() else { return };
    let (_node, mut peer) = start(&ros, "{}", &[]);
    let line = images_line(&mut peer, "NotReceived: nobody publishes /costmap_image");
    assert_eq!(line["level"], 2);
    peer.reason("no_frame", PATIENCE);
    let safe = peer.0.heard("parameters");
    assert_eq!(safe.len(), 1, "the safe defaults, once");
    assert_eq!(safe[0]["values"], json!([0.5, 1.57, 6.0, 20.0, 0.75, 1.0, 0.3]));

    // Images of another type, then the right ones: a late publisher is as good as an early one.
    let mut other = ros.peer();
    other.tell(json!({"do": "play", "rate": 4.0, "count": 40, "transport": "compressed", "topic": "costmap_image"}));
    images_line(&mut peer, "another type");
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000, "reliable": true}));
    peer.state("Nominal", PATIENCE);
}

#[test]
fn fault_03_images_that_come_late_are_not_decided_on() {
    let Some(ros) = Ros::find() else { return };
    let (_node, mut peer) = nominal(&ros, "{}", &[]);
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 16, "offset": -0.8}));
    peer.state("Holding", PATIENCE);
    let status = peer.state("Safe", PATIENCE);
    say(&format!("images 0.8 s old: {}", status["message"]));
    assert!(status["message"].as_str().unwrap().contains("no valid decision"));
    peer.0.event("played", PATIENCE);
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000}));
    peer.state("Nominal", PATIENCE);
    let oldest = peer.0.heard("decision").iter().map(|line| age_ms(line)).fold(0.0, f64::max);
    assert!(oldest <= 500.0, "P2: {oldest} ms");
}

fn age_ms(decision: &Value) -> f64 {
    decision["values"]["age_ms"].as_str().unwrap().parse().unwrap()
}

#[test]
fn fault_04_a_frozen_picture_while_the_robot_moves() {
    let Some(ros) = Ros::find() else { return };
    let (_node, mut peer) = start(&ros, "{}", &["frozen_after:=1.0"]);
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000, "still": true, "velocity": [0.5, 0.0]}));
    let status = peer.0.wait_for("frozen image", PATIENCE, |line| {
        line["event"] == "status" && line["values"]["warnings"].as_str().unwrap_or_default().contains("image_frozen")
    });
    assert_eq!(status["values"]["state"], "Nominal");
}

#[test]
fn fault_05_stamps_of_zero_and_of_the_future() {
    let Some(ros) = Ros::find() else { return };
    let (_node, mut peer) = start(&ros, "{}", &[]);
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 12, "stamps": "zero"}));
    peer.0.wait_for("warning of stamps", PATIENCE, |line| {
        line["event"] == "status" && line["values"]["warnings"].as_str().unwrap_or_default().contains("stamp_zero")
    });
    peer.0.event("played", PATIENCE);
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 20, "offset": 3.0}));
    peer.reason("stamp_in_future", PATIENCE);
    peer.state("Safe", PATIENCE);
}

#[test]
fn fault_06_messages_that_are_no_images() {
    let Some(ros) = Ros::find() else { return };
    // Held all the while: the reason is then the last image's.
    let (node, mut peer) = nominal(&ros, "{}", &["hold_timeout:=100.0"]);
    let memory = node.memory_mib();
    for (mend, words) in [
        (json!({"encoding": "32FC1"}), "32FC1"),
        (json!({"width": 0, "height": 0}), "0x0"),
        (json!({"width": 65535, "height": 65535}), "65535x65535"),
        (json!({"step": 100}), "step is 100"),
        (json!({"data": [1, 2, 3]}), "data holds 3 bytes"),
        (json!({"width": 300, "step": 900, "height": 800}), "300x800"),
    ] {
        peer.tell(json!({"do": "play", "rate": 8.0, "count": 1000, "mend": mend}));
        let status = peer.0.wait_for(words, PATIENCE, |line| {
            line["event"] == "status" && line["message"].as_str().unwrap().contains(words)
        });
        assert!(status["message"].as_str().unwrap().contains("an image was refused"), "{status}");
    }
    let grown = node.memory_mib() - memory;
    say(&format!("messages that are no images: memory grew by {grown:.1} MiB"));
    assert!(grown < 50.0, "nothing is allocated from a header");
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000}));
    peer.state("Nominal", PATIENCE);
}

#[test]
fn fault_08_odometry_is_nan_or_missing() {
    let Some(ros) = Ros::find() else { return };
    let (_node, mut peer) = nominal(&ros, "{}", &[]);
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 12, "velocity": ["nan", 0.0]}));
    peer.reason("velocity_invalid", PATIENCE);
    peer.state("Safe", PATIENCE);
    peer.0.event("played", PATIENCE);
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 20}));
    peer.state("Nominal", PATIENCE);
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000, "odometry": false}));
    // Whatever held the decisions first, it comes to that.
    peer.0.wait_for("word of old odometry", PATIENCE, |line| {
        line["event"] == "status" && line["message"].as_str().unwrap().contains("older than the image")
    });
    peer.tell(json!({"do": "set", "values": {"assume_stationary": true}}));
    assert_eq!(peer.answer("set_parameters")["results"], json!([[true, ""]]));
    peer.state("Nominal", PATIENCE);
}

#[test]
fn fault_09_a_goal_and_a_gap_empty_the_history() {
    let Some(ros) = Ros::find() else { return };
    let (_node, mut peer) = nominal(&ros, "{}", &[]);
    peer.tell(json!({"do": "goal", "number": 7}));
    peer.0.wait_for("log of the goal", PATIENCE, |line| {
        line["event"] == "log" && line["text"].as_str().unwrap().contains("a new goal")
    });
    peer.decision(PATIENCE);
    peer.tell(json!({"do": "stop"}));
    peer.0.listen(2 * SECOND);
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000}));
    peer.decision_with("decision after a gap", PATIENCE, |decision| {
        decision["values"]["history"].as_str().unwrap().contains("too much time")
    });
}

#[test]
fn fault_10_two_publishers_with_clocks_of_their_own() {
    let Some(ros) = Ros::find() else { return };
    let (_node, mut peer) = nominal(&ros, "{}", &["max_frame_age:=2.0", "decision_rate:=8.0"]);
    peer.tell(json!({"do": "play", "rate": 8.0, "count": 1000, "stamps": "alternate"}));
    let mut other = ros.peer();
    peer.reason("stamps_interleave", PATIENCE);
    other.tell(json!({"do": "play", "rate": 2.0, "count": 1000}));
    let line = images_line(&mut peer, "2 publishers");
    assert_eq!(line["values"]["publishers"].as_str().unwrap().matches("/peer").count(), 2);
}

/// Waits until the tuner is Safe for `reason`, and Nominal again after it.
fn safe_and_back(peer: &mut Peer, reason: &str) {
    peer.0.wait_for(&format!("Safe for {reason}"), PATIENCE, |line| {
        line["event"] == "status" && line["values"]["reason"] == reason && line["values"]["state"] == "Safe"
    });
    peer.state("Nominal", PATIENCE);
}

#[test]
fn fault_11_a_model_that_gives_nan() {
    let Some(ros) = Ros::find() else { return };
    let (_node, mut peer) = nominal(&ros, r#"{"nan": [8, 9, 10], "error": [20, 30, 40]}"#, &["decision_rate:=4.0"]);
    safe_and_back(&mut peer, "not_finite");
    peer.reason("decision_failed", PATIENCE);
    peer.state("Nominal", PATIENCE);
    let published = peer.0.heard("parameters");
    let numbers = |line: &Value| line["values"].as_array().unwrap().iter().all(Value::is_number);
    assert!(published.len() > 10 && published.into_iter().all(numbers), "NaN left the process");
}

#[test]
fn fault_13_a_device_that_is_lost() {
    let Some(ros) = Ros::find() else { return };
    let (mut node, mut peer) = nominal(&ros, r#"{"device_lost": [8]}"#, &["decision_rate:=4.0"]);
    safe_and_back(&mut peer, "model_lost");
    assert!(node.wait(Duration::ZERO).is_none(), "it stays");
}

#[test]
fn fault_15_a_panic_within_a_decision() {
    let Some(ros) = Ros::find() else { return };
    let (mut node, mut peer) = nominal(&ros, r#"{"panic": [8]}"#, &["decision_rate:=4.0"]);
    safe_and_back(&mut peer, "model_lost");
    let talk = node.talk().join("\n");
    assert!(talk.contains("injected at decision 8"), "{talk}");
}

#[test]
fn fault_14_slow_inference_leaves_no_backlog() {
    let Some(ros) = Ros::find() else { return };
    let (_node, mut peer) = nominal(&ros, r#"{"seconds": 0.9}"#, &["max_frame_age:=5.0", "hold_timeout:=10.0"]);
    peer.0.listen(6 * SECOND);
    peer.0.wait_for("warning while nominal", PATIENCE, |line| {
        let warnings = line["values"]["warnings"].as_str().unwrap_or_default();
        line["event"] == "status" && warnings.contains("inference_slow") && line["values"]["state"] == "Nominal"
    });
    let oldest = peer.0.heard("decision").iter().map(|line| age_ms(line)).fold(0.0, f64::max);
    say(&format!("inference of 0.9 s at 4 images a second: oldest image at its start {oldest:.0} ms"));
    assert!(oldest < 900.0, "in a queue it would have waited for a decision at least");
}

#[test]
fn fault_16_a_machine_that_is_too_small_keeps_the_robot_safe() {
    let Some(ros) = Ros::find() else { return };
    let stub = r#"{"load_error": "base needs 8000 MiB of memory, 4000 MiB are available", "out_of_memory": true}"#;
    let (mut node, mut peer) = start(&ros, stub, &[]);
    let status = peer.reason("no_model", PATIENCE);
    assert_eq!((status["level"].as_i64(), status["values"]["state"].as_str()), (Some(2), Some("Safe")));
    assert!(status["message"].as_str().unwrap().contains("8000 MiB"));
    let safe = peer.0.event("parameters", PATIENCE);
    assert_eq!(safe["values"][0], 0.5);
    assert!(node.wait(SECOND).is_none(), "it stays, and says so");
}

#[test]
fn fault_39_a_recording_that_begins_again() {
    let Some(ros) = Ros::find() else { return };
    let (_node, mut peer) = start(&ros, "{}", &["use_sim_time:=true", "hold_timeout:=20.0"]);
    // Decisions of one time through, then of the next; a busy machine may need another.
    let stamps = |peer: &Peer| -> Vec<i64> {
        peer.0.heard("decision").iter().map(|line| line["stamp"].as_i64().unwrap()).collect()
    };
    let since_back =
        |stamps: &[i64]| stamps.windows(2).rposition(|pair| pair[1] < pair[0]).map(|at| stamps.len() - at - 1);
    for _ in 0..8 {
        peer.tell(json!({"do": "play", "speed": 4.0, "count": 14}));
        peer.0.event("played", PATIENCE);
        peer.0.listen(SECOND / 2);
        if since_back(&stamps(&peer)).is_some_and(|decisions| decisions > 4) {
            break;
        }
    }
    let stamps = stamps(&peer);
    let decisions = since_back(&stamps).expect("time went back");
    say(&format!("recording played again: {decisions} of {} decisions after it", stamps.len()));
    assert!(decisions > 4, "decisions go on: {stamps:?}");
    assert!(!peer.0.heard("status").iter().any(|line| line["values"]["state"] == "Safe"), "no alarm");
}

#[test]
fn fault_40_simulation_time_without_a_clock() {
    let Some(ros) = Ros::find() else { return };
    let (_node, mut peer) = start(&ros, "{}", &["use_sim_time:=true"]);
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000}));
    let status = peer.reason("waiting_for_clock", PATIENCE);
    assert_eq!(status["level"], 2);
    peer.0.listen(Duration::from_millis(500));
    assert_eq!(peer.0.heard("decision").len(), 0);
}

/// Starved of its CPU altogether: nothing of what waited meanwhile is decided on, and it recovers by itself.
#[test]
fn fault_45_a_node_that_gets_no_cpu_for_three_seconds() {
    let Some(ros) = Ros::find() else { return };
    let (node, mut peer) = nominal(&ros, "{}", &[]);
    node.signal("-STOP");
    peer.0.listen(3 * SECOND);
    peer.0.heard.clear();
    node.signal("-CONT");
    let status = peer.state("Safe", PATIENCE);
    say(&format!("stopped for 3 s: {}", status["message"]));
    peer.state("Nominal", PATIENCE);
    let oldest = peer.0.heard("decision").iter().map(|line| age_ms(line)).fold(0.0, f64::max);
    assert!(oldest <= 500.0, "P2: {oldest} ms");
}
