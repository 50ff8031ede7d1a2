//! What becomes of a planner's parameters, against nodes that behave as Jazzy's do: faults 31 to 37, 42 and 44.

use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Peer, Process, Ros, SECOND, status_of};
use crate::support::say;
use serde_json::{Value, json};

/// Sets from the first decision on, without waiting for the operator.
const ACTIVE: [&str; 3] = ["mapping:=nav2_dwb", "mode:=active", "slew_rate:=0.0"];
const LIVE: [&str; 3] = ["max_vel_x", "max_vel_theta", "inflation_radius"];
const STATIC: [&str; 4] = ["vx_samples", "vtheta_samples", "path_distance_bias", "goal_distance_bias"];

fn start(ros: &Ros, parameters: &[&str]) -> (Process, Peer) {
    let node = ros.stub_node("{}", &[&ACTIVE[..], parameters].concat());
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000}));
    peer.state("Nominal", PATIENCE);
    (node, peer)
}

fn all_settled(decision: &Value) -> bool {
    LIVE.iter().all(|name| status_of(decision, name) == "applied")
        && STATIC.iter().all(|name| status_of(decision, name) == "stored")
}

/// `FollowPath.max_vel_x` as the fake took it last.
fn last_set(nav2: &Process) -> Option<f64> {
    nav2.heard("set").iter().rev().find_map(|set| set["values"]["FollowPath.max_vel_x"].as_f64())
}

#[test]
fn fault_34_live_parameters_are_applied_and_static_ones_stored() {
    let Some(ros) = Ros::find() else { return };
    let mut nav2 = ros.nav2(&[]);
    let (_node, mut peer) = start(&ros, &[]);
    let decision = peer.decision_with("decision that was carried out", PATIENCE, all_settled);
    let lines = decision["parameters"].as_array().unwrap();
    let stored = lines.iter().find(|line| line["status"] == "stored").unwrap();
    assert!(stored["message"].as_str().unwrap().contains("accepted, but not used while driving"), "{stored}");

    // In one batch for each node, never one by one, and no top-level parameter among them.
    nav2.listen(7 * SECOND);
    let sets = nav2.heard("set");
    assert!(!sets.is_empty());
    for set in &sets {
        let names: Vec<&String> = set["values"].as_object().unwrap().keys().collect();
        assert!(names.iter().all(|name| name.contains('.')), "{names:?}");
    }
    // What the planner has is what was published.
    peer.0.listen(SECOND / 2);
    let published = peer.0.heard("parameters");
    let found = last_set(&nav2).unwrap();
    assert!(published.iter().any(|message| message["values"][0].as_f64() == Some(found)), "{found}");
    let times: Vec<f64> = sets.iter().filter(|set| set["node"] == "/controller_server").map(at).collect();
    let rate = (times.len() - 1) as f64 / (times.last().unwrap() - times[0]);
    say(&format!("decisions at 2 Hz, sets on controller_server: {:.2} a second (limit 0.5)", rate));
    assert!(rate < 0.55, "{times:?}");
}

fn at(line: &&Value) -> f64 {
    line["at"].as_f64().unwrap()
}

#[test]
fn fault_31_a_planner_that_comes_late_is_served() {
    let Some(ros) = Ros::find() else { return };
    let (mut node, mut peer) = start(&ros, &[]);
    peer.decision_with("decision that is published all the same", PATIENCE, |decision| {
        status_of(decision, "max_vel_x") == "unreachable"
    });
    peer.0.event("parameters", PATIENCE);
    assert!(node.talk().iter().any(|line| line.contains("not applied")), "{:?}", node.said);

    let mut nav2 = ros.nav2(&[]);
    nav2.event("set", PATIENCE);
    peer.decision_with("decision that was carried out", PATIENCE, all_settled);
}

/// Ends the planner again and again, by `signal`, and measures how long its successor is without its parameters: from
/// when it says that it is ready until both of its nodes have been set. Discovery is that of a robot: how long it takes
/// is most of what is measured.
fn respawns(signal: &str, count: usize) {
    let Some(ros) = Ros::find_as_on_a_robot() else { return };
    let mut nav2 = ros.nav2(&[]);
    // Nothing new is wanted after the last decision: what is set again is what was set before.
    let compressed = ["image_transport:=compressed", "hold_timeout:=600.0"];
    let _node = ros.stub_node("{}", &[&ACTIVE[..], &compressed].concat());
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000, "transport": "compressed"}));
    peer.decision_with("decision that was carried out", PATIENCE, all_settled);
    peer.tell(json!({"do": "stop"}));
    // The last decision may wait for its turn.
    nav2.listen(3 * SECOND);
    let wanted = last_set(&nav2).unwrap();
    let mut took = Vec::new();
    for _ in 0..count {
        // A planner that goes away right after a set is one that dies of it (fault 37).
        nav2.listen(5 * SECOND / 2);
        nav2.signal(signal);
        nav2.wait(PATIENCE).expect("it ends");
        let (respawned, ready) = ros.nav2_with_start(&[]);
        nav2 = respawned;
        let mut set_on = |node: &str| {
            nav2.heard_or_comes("set after the respawn", PATIENCE, |line| {
                line["event"] == "set" && line["node"] == node
            })
        };
        let (controller, costmap) = (set_on("/controller_server"), set_on("/local_costmap/local_costmap"));
        assert_eq!(controller["values"]["FollowPath.max_vel_x"].as_f64(), Some(wanted));
        assert!(controller["values"]["FollowPath.max_vel_theta"].is_number(), "{controller}");
        took.push(f64::max(at(&&controller), at(&&costmap)) - ready);
    }
    took.sort_unstable_by(f64::total_cmp);
    let all: Vec<String> = took.iter().map(|seconds| format!("{seconds:.2}")).collect();
    say(&format!("planner respawned after {signal}: set again after {} s (bar 1 s)", all.join(", ")));
    assert!(took.iter().all(|seconds| *seconds < 1.0), "P8: within 1 s");
}

#[test]
fn fault_35_a_planner_that_is_killed_is_set_again_within_a_second_of_its_respawn() {
    respawns("-KILL", 10);
}

#[test]
fn fault_35_a_planner_that_is_started_again_is_set_again_within_a_second() {
    respawns("-INT", 5);
}

#[test]
fn fault_33_a_refusal_is_told_in_the_servers_words_and_the_rest_is_set() {
    let Some(ros) = Ros::find() else { return };
    let mut nav2 = ros.nav2(&["--refuse", "FollowPath.max_vel_x", "--without", "FollowPath.vx_samples"]);
    let (_node, mut peer) = start(&ros, &["decision_rate:=0.7", "hold_timeout:=20.0"]);
    let decision = peer.decision_with("decision with refusals", PATIENCE, |decision| {
        status_of(decision, "max_vel_x") == "refused"
            && status_of(decision, "vx_samples") == "refused"
            && status_of(decision, "max_vel_theta") == "applied"
            && status_of(decision, "inflation_radius") == "applied"
    });
    let lines = decision["parameters"].as_array().unwrap();
    let message = |name: &str| {
        let line = lines.iter().find(|line| line["name"].as_str().unwrap().ends_with(name)).unwrap();
        line["message"].as_str().unwrap().to_owned()
    };
    say(&format!("refusals: '{}' and '{}'", message("max_vel_x"), message("vx_samples")));
    assert!(message("max_vel_x").contains("Unable to dynamically change"));
    nav2.listen(SECOND);
}

#[test]
fn fault_32_a_server_that_swallows_calls_blocks_nothing() {
    let Some(ros) = Ros::find() else { return };
    let _nav2 = ros.nav2(&["--swallow"]);
    let (_node, mut peer) = start(&ros, &[]);
    peer.decision_with("decision that says unreachable", PATIENCE, |decision| {
        status_of(decision, "max_vel_x") == "unreachable"
    });
    let before = peer.0.heard("parameters").len();
    peer.0.listen(3 * SECOND);
    let decisions = peer.0.heard("parameters").len() - before;
    say(&format!("server that swallows calls: {decisions} decisions in 3 s at 2 Hz"));
    assert!(decisions >= 3);
}

#[test]
fn fault_37_a_planner_that_dies_of_sets_is_left_alone() {
    let Some(ros) = Ros::find() else { return };
    let mut nav2 = ros.nav2(&["--die-on", "2"]);
    let (mut node, mut peer) = start(&ros, &[]);
    for death in 1..=2 {
        assert!(nav2.wait(PATIENCE).is_some(), "death {death}");
        if death == 1 {
            nav2 = ros.nav2(&["--die-on", "2"]);
        }
    }
    let status = peer.0.wait_for("planner_failing", PATIENCE, |line| {
        line["event"] == "status" && line["values"]["reason"] == "planner_failing"
    });
    say(&format!("planner that dies of the second set, twice: {}", status["message"]));
    assert_eq!(status["level"], 2);

    let mut nav2 = ros.nav2(&[]);
    nav2.listen(4 * SECOND);
    assert_eq!(nav2.heard("set").len(), 0, "left alone: {:?}", node.talk());
    peer.tell(json!({"do": "switch", "service": "enable", "on": true}));
    assert_eq!(peer.answer("enable")["success"], true);
    nav2.event("set", PATIENCE);
}

#[test]
fn fault_36_an_operators_own_value_is_left() {
    let Some(ros) = Ros::find() else { return };
    let mut nav2 = ros.nav2(&[]);
    // Slower than it is looked: what is changed between a look and a set of ours is overwritten unseen.
    let (mut node, mut peer) = start(&ros, &["decision_rate:=0.5", "hold_timeout:=20.0"]);
    peer.decision_with("decision that was carried out", PATIENCE, all_settled);
    peer.tell(json!({"do": "set", "node": "/controller_server", "values": {"FollowPath.max_vel_x": 0.123}}));
    peer.decision_with("decision that yields", PATIENCE, |decision| status_of(decision, "max_vel_x") == "yielded");
    nav2.listen(5 * SECOND);
    assert_eq!(last_set(&nav2), Some(0.123));
    assert!(node.talk().iter().any(|line| line.contains("somebody changed FollowPath.max_vel_x")));
}

#[test]
fn fault_42_two_tuners_do_not_fight_over_a_planner() {
    let Some(ros) = Ros::find() else { return };
    let _nav2 = ros.nav2(&[]);
    let (_node, mut peer) = start(&ros, &[]);
    peer.decision_with("decision that was carried out", PATIENCE, all_settled);
    let parameters = [&ACTIVE[..], &["-r", "@__node:=second_tuner"]].concat();
    let mut second = ros.stub_node("{}", &parameters);
    let deadline = Instant::now() + PATIENCE;
    while !second.talk().iter().any(|line| line.contains("/planner_tuner tunes the same planner")) {
        assert!(Instant::now() < deadline, "{:#?}", second.said);
        std::thread::sleep(Duration::from_millis(100));
    }
    peer.decision_with("decision of the first, still carried out", PATIENCE, all_settled);
}

#[test]
fn fault_44_start_values_come_back_on_sigterm() {
    let Some(ros) = Ros::find() else { return };
    let mut nav2 = ros.nav2(&[]);
    let (mut node, mut peer) = start(&ros, &["restore_on_exit:=true"]);
    peer.decision_with("decision that was carried out", PATIENCE, all_settled);
    assert_ne!(last_set(&nav2), Some(0.26));
    let start = Instant::now();
    node.signal("-TERM");
    let status = node.wait(PATIENCE).expect("it ends");
    let took = start.elapsed();
    say(&format!(
        "SIGTERM with start values to restore: exit {:?} after {:.2} s (bar 2 s)",
        status.code(),
        took.as_secs_f64()
    ));
    assert_eq!(status.code(), Some(0));
    assert!(took < 2 * SECOND, "{took:?}");
    nav2.listen(SECOND);
    assert_eq!(last_set(&nav2), Some(0.26), "as in the planner's own YAML");
}

#[test]
fn a_killed_tuner_leaves_the_planner_as_it_is_and_comes_back() {
    let Some(ros) = Ros::find() else { return };
    let mut nav2 = ros.nav2(&[]);
    let (mut node, mut peer) = start(&ros, &[]);
    peer.decision_with("decision that was carried out", PATIENCE, all_settled);
    node.kill();
    nav2.listen(SECOND);
    let last = last_set(&nav2);
    peer.tell(json!({"do": "get", "node": "/controller_server", "names": ["FollowPath.max_vel_x"]}));
    assert_eq!(peer.answer("get_parameters")["values"][0].as_f64(), last);

    let started = Instant::now();
    let _node = ros.stub_node("{}", &[&ACTIVE[..], &["force:=true"]].concat());
    // All that the killed one said has been read; what comes now is the new one's.
    peer.0.heard.clear();
    peer.state("Nominal", PATIENCE);
    say(&format!(
        "killed and started again: Nominal after {:.2} s, the process's start included",
        started.elapsed().as_secs_f64()
    ));
}

#[test]
fn shadow_sets_nothing_until_the_operator_enables() {
    let Some(ros) = Ros::find() else { return };
    let mut nav2 = ros.nav2(&[]);
    let _node = ros.stub_node("{}", &["mapping:=nav2_dwb"]);
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000}));
    peer.health("Nominal", PATIENCE);
    nav2.listen(2 * SECOND);
    assert_eq!(nav2.heard("set").len(), 0);
    peer.tell(json!({"do": "switch", "service": "enable", "on": true}));
    assert_eq!(peer.answer("enable")["success"], true);
    nav2.event("set", PATIENCE);

    peer.tell(json!({"do": "switch", "service": "hold", "on": true}));
    peer.answer("hold");
    nav2.listen(SECOND);
    let (before, value) = (nav2.heard("set").len(), last_set(&nav2));
    nav2.listen(2 * SECOND);
    assert_eq!((nav2.heard("set").len(), last_set(&nav2)), (before, value), "held");
    peer.state("Holding", PATIENCE);
}
