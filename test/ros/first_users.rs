//! What the node's first users met with the real ROS tools, by the rows of their table.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use vlm_planner_tuner::live::{RosArguments, SettingValue, overrides};

use crate::harness::{PATIENCE, Peer, Process, Ros, SECOND, status_of};
use crate::support::say;

const NODE: &str = env!("CARGO_BIN_EXE_planner_tuner_node");

fn told(node: &mut Process, words: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !node.talk().iter().any(|line| line.contains(words)) {
        assert!(Instant::now() < deadline, "nobody said '{words}': {:#?}", node.said);
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn value_of(peer: &mut Peer, parameter: &str) -> Value {
    peer.tell(json!({"do": "get", "names": [parameter]}));
    peer.answer("get_parameters")["values"][0].clone()
}

fn diagnostics(peer: &mut Peer, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let is_it = |line: &Value| line["name"] == *name && fits(line);
    let found = peer.0.wait_for(&format!("diagnostics of {name}"), PATIENCE, |line| {
        line["event"] == "diagnostics" && line["lines"].as_array().unwrap().iter().any(is_it)
    });
    found["lines"].as_array().unwrap().iter().find(|line| is_it(line)).unwrap().clone()
}

/// What the node says when it is started so, without a domain or a model.
fn run(arguments: &[&str], environment: &[(&str, Option<&str>)]) -> (Option<i32>, String) {
    let mut command = Command::new(NODE);
    command.args(arguments);
    for (name, value) in environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.output().unwrap();
    let talk = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(talk).unwrap())
}

#[test]
fn r01_the_second_of_two_equal_nodes_yields() {
    let Some(ros) = Ros::find() else { return };
    let _nav2 = ros.nav2(&[]);
    let active = ["mapping:=nav2_dwb", "mode:=active"];
    let mut first = ros.stub_node("{}", &active);
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000}));
    let applied = |decision: &Value| status_of(decision, "max_vel_x") == "applied";
    peer.decision_with("decision that was carried out", PATIENCE, applied);
    let mut second = ros.stub_node("{}", &active);
    told(&mut second, "another node of the name /planner_tuner tunes the same planner");
    peer.0.heard.clear();
    peer.decision_with("decision of the first, still carried out", PATIENCE, applied);
    // R15: the other one does not wait for anything.
    let of_the_second = |line: &Value| line["message"].as_str().is_some_and(|text| text.ends_with(": not set"));
    let line = diagnostics(&mut peer, "planner_tuner: max_vel_x", of_the_second);
    assert!(line["message"].as_str().unwrap().contains("tunes the same planner"), "{line}");
    assert_eq!(line["values"]["status"], "not_set");
    assert!(!first.talk().iter().any(|line| line.contains("tunes the same planner")), "{:#?}", first.said);
}

#[test]
fn r02_and_r09_parameter_files_in_every_form() {
    let Some(ros) = Ros::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("robot.yaml");
    let sections = [
        "/**:\n  ros__parameters:\n    robot_radius: 0.3\n    hold_timeout: 4.0\n",
        "amcl:\n  ros__parameters:\n    alpha1: 0.2\n",
    ];
    std::fs::write(&file, sections.concat()).unwrap();
    let file = format!("@{}", file.display());
    let mut node = ros.stub_node("{}", &["--params-file", &file]);
    told(&mut node, "there is no parameter 'robot_radius'");
    told(&mut node, "parameters from /**; not for /planner_tuner: /amcl");
    let mut peer = ros.peer();
    assert_eq!(value_of(&mut peer, "hold_timeout"), json!(4.0));
}

/// Forms of sections and values, each giving another parameter, so that one of them missing shows.
const EVERY_FORM: &str = "
planner_tuner:
  ros__parameters: {device: bare, dtype: '1', mode: bare}
/**:
  ros__parameters: {mode: all, good_frames: 010, log_reward: !!str 5}
j100_0001:
  planner_tuner:
    ros__parameters: {planner: nested, mode: nested}
j100_0001/planner_tuner:
  ros__parameters: {policy: joined}
/planner_tuner:
  ros__parameters: {mode: rooted, threads: 0x10}
/j100_0001/planner_tuner:
  ros__parameters: {base: rooted, min_pixels: 12, assume_stationary: on}
/*/planner_tuner:
  ros__parameters: {checkpoint: one}
/**/planner_tuner:
  ros__parameters: {head: any, force: Yes, decision_rate: 4}
/j100_0001/*:
  ros__parameters: {mapping: within, hold_timeout: 1e1}
/*:
  ros__parameters: {quantize: root_only}
";

#[test]
fn r02_parameters_are_those_that_rclpy_reads() {
    let Some(ros) = Ros::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).display().to_string()
    };
    let forms = file("forms.yaml", EVERY_FORM);
    let later = file("later.yaml", "/**:\n  ros__parameters: {mode: later, base: later, apply_rate: 1.5}\n");
    for namespace in ["/", "/j100_0001"] {
        for given in [
            vec!["--params-file", &forms],
            vec!["--params-file", &forms, "--params-file", &later],
            vec!["--params-file", &later, "--params-file", &forms],
            vec!["-p", "mode:=first", "--params-file", &forms, "-p", "planner_tuner:planner:='7'"],
        ] {
            let namespaced = format!("__ns:={namespace}");
            let arguments = [&["--ros-args", "-r", &namespaced], &given[..]].concat();
            let output = ros.python("overrides.py").args(&arguments).output().unwrap();
            let line = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
            let rclpy: Value = serde_json::from_str(&line)
                .unwrap_or_else(|_| panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)));
            let sources =
                RosArguments::read(std::iter::once("node").chain(arguments.iter().copied()).map(str::to_owned));
            let ours = overrides(&sources.parameters, rclpy["node"].as_str().unwrap()).unwrap();
            let ours: serde_json::Map<String, Value> =
                ours.into_iter().map(|(name, value)| (name, as_json(value))).collect();
            assert_eq!(Value::Object(ours), rclpy["values"], "{arguments:?}");
        }
    }
}

fn as_json(value: SettingValue) -> Value {
    match value {
        SettingValue::Bool(value) => json!(value),
        SettingValue::Integer(value) => json!(value),
        SettingValue::Double(value) => json!(value),
        SettingValue::Text(value) => json!(value),
    }
}

#[test]
fn r05_a_slow_or_paused_simulation_is_no_fault() {
    let Some(ros) = Ros::find() else { return };
    let _node = ros.stub_node("{}", &["mapping:=topic", "mode:=active", "use_sim_time:=true"]);
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "speed": 0.2, "count": 16}));
    peer.state("Nominal", PATIENCE);
    peer.0.heard.clear();
    peer.0.event("played", 2 * PATIENCE);
    // Images and clock stand still for longer than any time-out.
    peer.0.listen(4 * SECOND);
    let states: Vec<&Value> = peer.0.heard("status").iter().map(|line| &line["values"]["state"]).collect();
    say(&format!("real-time factor 0.2, then paused for 4 s: {} states, all {:?}", states.len(), states.first()));
    assert!(states.iter().all(|state| **state == "Nominal"), "{states:?}");
    let images = diagnostics(&mut peer, "planner_tuner: images", |_| true);
    assert_eq!(images["level"], 0, "{images}");
}

#[test]
fn r08_two_signals_in_a_row_are_one() {
    let Some(ros) = Ros::find() else { return };
    let mut nav2 = ros.nav2(&[]);
    let mut node = ros.stub_node("{}", &["mapping:=nav2_dwb", "mode:=active", "restore_on_exit:=true"]);
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000}));
    peer.decision_with("decision that was carried out", PATIENCE, |line| status_of(line, "max_vel_x") == "applied");
    node.signal("-INT");
    node.signal("-INT");
    assert_eq!(node.wait(PATIENCE).expect("it ends").code(), Some(0));
    told(&mut node, "has its start values again");
    nav2.listen(SECOND);
}

#[test]
fn r10_r11_and_r20_what_is_wrong_at_start_is_named() {
    if Ros::find().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let cases: [(&[&str], &[(&str, Option<&str>)], Option<i32>, &str); 8] = [
        (&["--help-parameters"], &[], Some(0), "hold_timeout  [2] 0.1 to 600 s"),
        (&["--help"], &[], Some(0), "Usage: planner_tuner_node"),
        (&["--version"], &[], Some(0), "planner_tuner_node 0."),
        (&["--hlep"], &[], Some(2), "unknown argument '--hlep'"),
        (&["--ros-args", "--param-file", "x.yaml"], &[], Some(1), "unknown ROS arguments: --param-file x.yaml"),
        (&["--ros-args", "--bogus"], &[], Some(1), "unknown ROS arguments: --bogus"),
        (&[], &[("ROS_LOG_DIR", Some(file))], Some(1), "from ROS_LOG_DIR"),
        (&["--ros-args", "--log-config-file", file], &[], Some(1), "takes no such file"),
    ];
    for (arguments, environment, code, words) in cases {
        let (found, talk) = run(arguments, environment);
        assert!(found == code && talk.contains(words), "{arguments:?} {environment:?} ended with {found:?}:\n{talk}");
        assert!(!talk.contains("is a ROS environment sourced") && !talk.contains("panicked"), "{talk}");
    }
    let (code, talk) = run(&[], &[("HOME", None), ("ROS_HOME", None), ("ROS_LOG_DIR", None)]);
    assert!(code == Some(1) && talk.contains("HOME, ROS_HOME and ROS_LOG_DIR are not set"), "{talk}");
}

#[test]
fn r15_and_r16_modes_are_told_and_changed() {
    let Some(ros) = Ros::find() else { return };
    let _nav2 = ros.nav2(&[]);
    let mut node = ros.stub_node("{}", &["mapping:=nav2_dwb"]);
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000}));
    let decision = peer.decision(PATIENCE);
    assert_eq!(status_of(&decision, "max_vel_x"), "not_set");
    let line = diagnostics(&mut peer, "planner_tuner: max_vel_x", |_| true);
    assert_eq!(line["message"], "shadow: not set");

    peer.tell(json!({"do": "set", "values": {"mode": "active"}}));
    assert_eq!(peer.answer("set_parameters")["results"], json!([[true, ""]]));
    peer.decision_with("decision that was carried out", PATIENCE, |line| status_of(line, "max_vel_x") == "applied");
    told(&mut node, "parameters were changed: mode: 'shadow' -> 'active'");
    peer.tell(json!({"do": "set", "values": {"mode": "shadow"}}));
    peer.state("Shadow", PATIENCE);
    peer.decision_with("decision that is not carried out", PATIENCE, |line| status_of(line, "max_vel_x") == "not_set");
    // The service and the parameter tell of one and the same thing.
    peer.tell(json!({"do": "switch", "service": "enable", "on": true}));
    assert_eq!(peer.answer("enable")["success"], true);
    assert_eq!(value_of(&mut peer, "mode"), json!("active"));
    peer.tell(json!({"do": "set", "values": {"mode": "disabled"}}));
    peer.state("Disabled", PATIENCE);
}

#[test]
fn r17_rosout_listens_to_the_arguments() {
    let Some(ros) = Ros::find() else { return };
    for quiet in [&["--disable-rosout-logs"][..], &["--log-level", "@warn"]] {
        let mut node = ros.stub_node("{}", quiet);
        let mut peer = ros.peer();
        peer.tell(json!({"do": "switch", "service": "hold", "on": true}));
        assert_eq!(peer.answer("hold")["success"], true);
        peer.0.listen(SECOND);
        let info = peer.0.heard("log").iter().filter(|line| line["level"] == 20).count();
        assert_eq!(info, 0, "{quiet:?}");
        peer.tell(json!({"do": "publishers", "topic": "/rosout"}));
        let nodes = peer.0.event("publishers", PATIENCE)["nodes"].clone();
        let publishes = nodes.as_array().unwrap().contains(&json!("planner_tuner"));
        assert_eq!(publishes, quiet != ["--disable-rosout-logs"], "{nodes}");
        node.kill();
    }
}

#[test]
fn r18_names_of_diagnostics_begin_with_the_node_and_name_the_robot() {
    let Some(ros) = Ros::find() else { return };
    let _node = ros.stub_node("{}", &["hardware_id:=j100_0001"]);
    let mut peer = ros.peer();
    let heard = peer.0.event("diagnostics", PATIENCE);
    for line in heard["lines"].as_array().unwrap() {
        let name = line["name"].as_str().unwrap();
        let task = name.strip_prefix("planner_tuner: ");
        assert!(task.is_some_and(|task| !task.is_empty() && !task.contains("planner_tuner")), "{name}");
        assert_eq!(line["hardware_id"], "j100_0001");
    }
}
