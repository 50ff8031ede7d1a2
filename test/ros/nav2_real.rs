//! The node beside Nav2 as it was measured: others' sets, clean ends, states, blind costmaps.

use std::time::Duration;

use serde_json::{Map, Value, json};
use vlm_planner_tuner::nav2::{Mapping, RosValue, banked_parameters, mapping_with_bank};
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::transition::logs_in;

use crate::harness::{PATIENCE, Peer, Process, Ros, SECOND, status_of};
use crate::support::say;

const ACTIVE: [&str; 3] = ["mapping:=nav2_dwb", "mode:=active", "slew_rate:=0.0"];
const ACTIVE_STATE: &str = "3";

fn start(ros: &Ros) -> (Process, Peer) {
    let node = ros.stub_node("{}", &ACTIVE);
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 2000}));
    peer.state("Nominal", PATIENCE);
    (node, peer)
}

fn applied(peer: &mut Peer) {
    peer.decision_with("decision that was carried out", PATIENCE, |line| status_of(line, "max_vel_x") == "applied");
}

fn said(node: &mut Process, part: &str) -> usize {
    node.talk().iter().filter(|line| line.contains(part)).count()
}

#[test]
fn four_foreign_sets_while_values_change_are_kept_and_told_of() {
    let Some(ros) = Ros::find() else { return };
    let mut nav2 = ros.nav2(&[]);
    let (mut node, mut peer) = start(&ros);
    applied(&mut peer);
    let names =
        ["FollowPath.max_vel_x", "FollowPath.max_vel_theta", "FollowPath.PathDist.scale", "FollowPath.GoalDist.scale"];
    for name in names {
        peer.tell(json!({"do": "set", "node": "/controller_server", "values": {name: 0.111}}));
        assert_eq!(peer.answer("set_parameters")["results"][0][0], true);
        nav2.listen(3 * SECOND);
    }
    peer.tell(json!({"do": "get", "node": "/controller_server", "names": names}));
    assert_eq!(peer.answer("get_parameters")["values"], json!([0.111, 0.111, 0.111, 0.111]));
    assert_eq!(said(&mut node, "somebody changed"), 4, "{:?}", node.said);
    let line = peer.0.wait_for("the conflicts in the diagnostics", PATIENCE, |line| {
        line["event"] == "diagnostics"
            && line["lines"].as_array().unwrap().iter().any(|line| line["values"]["conflicts"] == "4")
    });
    assert!(line.to_string().contains("somebody changed FollowPath.GoalDist.scale"), "{line}");
}

#[test]
fn three_clean_restarts_are_no_deaths_and_two_kills_are() {
    let Some(ros) = Ros::find() else { return };
    let mut nav2 = ros.nav2(&[]);
    let (mut node, mut peer) = start(&ros);
    applied(&mut peer);
    for _ in 0..3 {
        nav2.event("set", PATIENCE);
        nav2.signal("-INT");
        nav2.wait(PATIENCE).expect("it ends");
        nav2 = ros.nav2(&[]);
    }
    nav2.event("set", PATIENCE);
    assert_eq!(said(&mut node, "went away right after"), 0, "{:?}", node.said);
    for _ in 0..2 {
        nav2.signal("-KILL");
        nav2.wait(PATIENCE).expect("it ends");
        nav2 = ros.nav2(&[]);
        nav2.try_for(8 * SECOND, |line| line["event"] == "set");
    }
    peer.reason("planner_failing", PATIENCE);
    assert_eq!(said(&mut node, "controller_server went away right after"), 2, "{:?}", node.said);
}

#[test]
fn applied_means_that_the_node_is_active() {
    let Some(ros) = Ros::find() else { return };
    let mut nav2 = ros.nav2(&["--state", ACTIVE_STATE]);
    let (mut node, mut peer) = start(&ros);
    applied(&mut peer);
    // Deactivated and cleaned up.
    for state in [14, 2, 11, 1] {
        nav2.tell(json!({"state": state}));
    }
    peer.decision_with("decision that is not in use", PATIENCE, |line| status_of(line, "max_vel_x") == "not_in_use");
    nav2.listen(SECOND);
    let sets = nav2.heard("set").len();
    nav2.listen(4 * SECOND);
    let quiet = nav2.heard("set").iter().filter(|set| set["node"] == "/controller_server").count();
    assert!(quiet <= sets, "nothing is set on a node that is not configured");
    for state in [10, 2, 13, 3] {
        nav2.tell(json!({"state": state}));
    }
    peer.decision_with("decision that is in use again", PATIENCE, |line| status_of(line, "max_vel_x") == "applied");
    assert!(said(&mut node, "which was only stored, is in use now") > 0, "{:?}", node.said);
    assert_eq!(said(&mut node, "went away right after"), 0);
}

#[test]
fn a_blind_costmap_is_an_error_and_nothing_is_set() {
    let Some(ros) = Ros::find() else { return };
    let _nav2 = ros.nav2(&["--costmap", "blind"]);
    let (mut node, mut peer) = start(&ros);
    let status = peer.state("Shadow", PATIENCE);
    assert!(said(&mut node, "the costmap is blind") > 0, "{status} {:?}", node.said);
    let line = peer.0.wait_for("costmaps in the diagnostics", PATIENCE, |line| {
        let is_blind =
            |line: &serde_json::Value| line["level"] == 2 && line.to_string().contains("the costmap is blind");
        line["event"] == "diagnostics" && line["lines"].as_array().unwrap().iter().any(is_blind)
    });
    assert!(line.to_string().contains("/local_costmap/sensors/scan"), "{line}");
    peer.tell(json!({"do": "switch", "service": "enable", "on": true}));
    let answer = peer.answer("enable");
    assert_eq!(answer["success"], false, "{answer}");
}

#[test]
fn a_costmap_that_sees_is_none() {
    let Some(ros) = Ros::find() else { return };
    let _nav2 = ros.nav2(&["--costmap", "sees"]);
    let (mut node, mut peer) = start(&ros);
    applied(&mut peer);
    peer.0.wait_for("a costmap that sees", PATIENCE, |line| {
        line["event"] == "diagnostics" && line.to_string().contains("has obstacles where the scan has returns")
    });
    assert_eq!(said(&mut node, "the costmap is blind"), 0, "{:?}", node.said);
}

/// A bank of the safe defaults and one faster controller, and what Nav2 declares for it.
fn bank() -> (String, Map<String, Value>) {
    let planner = PlannerSpec::builtin("dwa").unwrap();
    let parameters = banked_parameters(&planner).unwrap();
    let safe: Vec<f64> = parameters.iter().map(|parameter| parameter.safe_default()).collect();
    let text = mapping_with_bank(&parameters, &[safe, vec![1.6, 2.4, 12.0, 40.0, 1.2, 1.5]]);
    let mapping = Mapping::from_yaml(&text, "nav2_bank.yaml", &planner).unwrap();
    let expected = mapping.bank().unwrap().controllers().iter().flat_map(|controller| controller.expected());
    let value = |value: &RosValue| match value {
        RosValue::Double(value) => json!(value),
        RosValue::Integer(value) => json!(value),
    };
    let declared = expected.map(|(_, name, given)| (name.clone(), value(given))).collect();
    (text, declared)
}

#[test]
fn a_bank_is_chosen_from_only_while_somebody_listens_and_nothing_is_set() {
    let Some(ros) = Ros::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, logs) = (folder.path().join("nav2_bank.yaml"), folder.path().join("logs"));
    let (text, declared) = bank();
    std::fs::write(&file, text).unwrap();
    let mut nav2 = ros.nav2(&["--declare", &Value::Object(declared).to_string()]);
    let arguments =
        [format!("mapping:={}", file.display()), "mode:=active".into(), format!("log_folder:={}", logs.display())];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let model = ["image_transport:=compressed", "good_frames:=1", "slew_rate:=0.0"];
    let mut node = ros.node(&[&arguments[..], &model].concat());
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 2000, "transport": "compressed"}));
    let nobody = |line: &Value| status_of(line, "max_vel_x") == "not_selected";
    peer.decision_with("decision that nobody hears of", PATIENCE, nobody);

    peer.tell(json!({"do": "listen", "topic": "selector"}));
    let chosen = peer.0.event("selector", PATIENCE)["text"].as_str().unwrap().to_owned();
    let selected = |line: &Value| status_of(line, "max_vel_x") == "selected";
    let decision = peer.decision_with("decision that a controller was selected for", PATIENCE, selected);
    let controller = if chosen == "FollowPath" { 0.5 } else { 1.6 };
    let of = |name: &str| decision["parameters"].as_array().unwrap().iter().find(|line| line["name"] == *name).unwrap();
    // What the controller has, not what was wanted.
    assert_eq!(of("planner_tuner: max_vel_x")["value"], controller.to_string(), "{decision}");
    peer.decision(PATIENCE);
    peer.decision(PATIENCE);

    nav2.listen(SECOND / 2);
    let sets: Vec<&Value> = nav2.heard("set").into_iter().filter(|set| set["node"] == "/controller_server").collect();
    assert!(sets.is_empty(), "nothing is set on the controller server: {sets:?}");
    node.signal("-INT");
    node.wait(PATIENCE).expect("it ends");
    let episodes = logs_in(&logs).unwrap().episodes;
    let steps: Vec<_> = episodes.iter().flat_map(|files| files.read().unwrap().steps).collect();
    let logged = steps.iter().filter_map(|step| step.controller.as_ref()).find(|logged| logged.id == chosen);
    let speed = logged.unwrap().values.iter().find(|(name, _)| name == "max_vel_x").unwrap();
    assert_eq!(speed.1, controller, "{logged:?}");
}

#[test]
fn a_bank_whose_controllers_are_others_is_not_chosen_from() {
    let Some(ros) = Ros::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nav2_bank.yaml");
    let (text, mut declared) = bank();
    std::fs::write(&file, text).unwrap();
    let name = declared.keys().find(|name| name.ends_with(".max_vel_x")).unwrap().clone();
    declared.insert(name.clone(), json!(0.123));
    let _nav2 = ros.nav2(&["--declare", &Value::Object(declared).to_string()]);
    let mut node = ros.stub_node("{}", &[&format!("mapping:={}", file.display()), "mode:=active"]);
    let mut peer = ros.peer();
    peer.tell(json!({"do": "listen", "topic": "selector"}));
    peer.0.event("listening", PATIENCE);
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 2000}));
    let refused = |line: &Value| line.to_string().contains(&name) && status_of(line, "max_vel_x") == "not_selected";
    let decision = peer.decision_with("decision that says which value is another", PATIENCE, refused);
    assert!(decision.to_string().contains("0.123"), "{decision}: {:?}", node.talk());
}

/// A policy that wanders over its ranges, on an MPPI that loses speed with each set: sets on the controller, and the share of its
/// speed that is left.
fn wander_on_mppi(ros: &Ros, time: Duration) -> (u64, f64) {
    let mut nav2 = ros.nav2(&["--mppi"]);
    let _node = ros.stub_node("{}", &["planner:=mppi", "mapping:=nav2_mppi", "mode:=active"]);
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 100_000}));
    nav2.wait_for("a first set", PATIENCE, |line| line["event"] == "set" && line["node"] == "/controller_server");
    nav2.listen(time);
    let last = (*nav2.heard("speed").last().unwrap()).clone();
    (last["sets"].as_u64().unwrap(), last["mean"].as_f64().unwrap() / 0.49)
}

#[test]
fn a_wandering_policy_leaves_mppi_its_speed() {
    let Some(ros) = Ros::find() else { return };
    let (sets, share) = wander_on_mppi(&ros, 24 * SECOND);
    say(&format!("MPPI over DDS: {sets} sets in 24 s, {share:.3} of its speed"));
    assert!(sets <= 6 && share >= 0.9, "{sets} sets, {share}");
}

/// The bar of five minutes: `bash .ci/with-ros cargo test --release --features ros --test ros -- --ignored five_minutes`
#[test]
#[ignore = "takes five minutes"]
fn a_wandering_policy_leaves_mppi_its_speed_for_five_minutes() {
    let Some(ros) = Ros::find() else { return };
    let (sets, share) = wander_on_mppi(&ros, 300 * SECOND);
    say(&format!("MPPI over DDS: {sets} sets in 300 s, {share:.3} of its speed"));
    assert!(sets <= 60 && share >= 0.9, "{sets} sets, {share}");
}

#[test]
fn services_that_nobody_spins_are_waited_for_quietly() {
    let Some(ros) = Ros::find() else { return };
    let mut nav2 = ros.nav2(&["--unspun"]);
    let (mut node, mut peer) = start(&ros);
    applied(&mut peer);
    nav2.listen(6 * SECOND);
    let about = |node: &mut Process| said(node, "local_costmap");
    let warned = about(&mut node);
    assert!(warned <= 2, "{:?}", node.said);
    nav2.tell(json!({"spin": true}));
    let inflated = |line: &Value| status_of(line, "inflation_radius") == "applied";
    peer.decision_with("decision that the costmap took", PATIENCE, inflated);
}
