//! What an operator and stock ROS tools meet: parameters, services, signals, names, wrong configuration.

use std::path::Path;
use std::time::Instant;

use crate::harness::{PATIENCE, Process, Ros, SECOND};
use crate::support::say;
use serde_json::json;

/// The exit code, and all that was said.
fn failure(mut node: Process) -> (Option<i32>, String) {
    let status = node.wait(PATIENCE).expect("it ends by itself");
    std::thread::sleep(SECOND / 5);
    (status.code(), node.talk().join("\n"))
}

#[test]
fn wrong_configurations_end_with_1_and_the_nearest_name() {
    let Some(ros) = Ros::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let yaml = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("@{}", path.display())
    };
    let unknown = yaml("unknown.yaml", "planner_tuner:\n  ros__parameters:\n    hold_timout: 2.0\n");
    let reversed = yaml("reversed.yaml", "/**:\n  ros__parameters:\n    hold_timeout: 0.2\n    max_frame_age: 0.5\n");
    let malformed = yaml("malformed.yaml", "/**:\n  ros__parameters: [\n");
    let cases: [(&[&str], &str); 9] = [
        (&["base:=/nowhere"], "/nowhere"),
        (&["planner:=dwaa"], "did you mean 'dwa'?"),
        (&["mapping:=nav2_dwbb"], "nav2_dwb"),
        (&["device:=gpu"], "'gpu'"),
        (&["decision_rate:=-1.0"], "expected 0.05 to 50 Hz"),
        (&["--params-file", &unknown], "did you mean 'hold_timeout'?"),
        (&["--params-file", &reversed], "expected at least max_frame_age"),
        (&["--params-file", &malformed], "ROS refuses the arguments"),
        (&["-p"], "Couldn't parse trailing -p flag"),
    ];
    for (parameters, words) in cases {
        let (code, talk) = failure(ros.node(parameters));
        assert_eq!(code, Some(1), "{parameters:?}: {talk}");
        assert!(talk.contains(words), "{parameters:?} says:\n{talk}");
        assert!(!talk.contains("panicked"), "{talk}");
    }
}

#[test]
fn parameters_are_described() {
    let Some(ros) = Ros::find() else { return };
    let _node = ros.stub_node("{}", &["decision_rate:=4"]);
    let mut peer = ros.peer();
    peer.tell(json!({"do": "list"}));
    let names = peer.answer("list_parameters")["names"].as_array().unwrap().clone();
    assert!(names.contains(&json!("decision_rate")) && names.contains(&json!("use_sim_time")));

    peer.tell(json!({"do": "describe", "names": ["decision_rate", "device", "good_frames", "on_conflict"]}));
    let descriptors = peer.answer("describe_parameters")["descriptors"].clone();
    assert_eq!(descriptors[0]["ranges"], json!([[0.05, 50.0]]));
    assert!(descriptors[0]["description"].as_str().unwrap().ends_with("[Hz]"));
    assert_eq!((&descriptors[0]["read_only"], &descriptors[1]["read_only"]), (&json!(false), &json!(true)));
    assert_eq!(descriptors[2]["ranges"], json!([[1, 100]]));
    assert_eq!(descriptors[3]["constraints"], "one of: yield, insist, stop");
}

#[test]
fn fault_43_nonsense_changes_nothing_and_is_told_why() {
    let Some(ros) = Ros::find() else { return };
    let _node = ros.stub_node("{}", &["decision_rate:=4"]);
    let mut peer = ros.peer();
    let both = json!({"decision_rate": 5.0, "hold_timeout": -1.0});
    peer.tell(json!({"do": "set", "atomically": true, "values": both}));
    let answer = peer.answer("set_parameters_atomically");
    assert_eq!(answer["results"][0][0], false);
    assert_eq!(answer["results"][0][1], "parameter 'hold_timeout' is -1, expected 0.1 to 600 s");
    peer.tell(json!({"do": "set", "values": {"device": "cuda:0", "decision_rte": 1.0, "mode": 3}}));
    let answer = peer.answer("set_parameters");
    assert!(answer["results"].as_array().unwrap().iter().all(|result| result[0] == false), "{answer}");
    peer.tell(json!({"do": "get", "names": ["decision_rate", "hold_timeout", "device", "nonsense"]}));
    assert_eq!(peer.answer("get_parameters")["values"], json!([4.0, 2.0, "cpu", null]));

    peer.tell(json!({"do": "set", "values": {"decision_rate": 8.0}}));
    assert_eq!(peer.answer("set_parameters")["results"], json!([[true, ""]]));
    peer.tell(json!({"do": "get", "names": ["decision_rate"]}));
    assert_eq!(peer.answer("get_parameters")["values"], json!([8.0]));
}

/// The calls of `ros2 param`, `ros2 node info` and `ros2 service call`, and what `--params-file` may look like.
#[test]
fn stock_tools_find_what_they_ask_for() {
    let Some(ros) = Ros::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tuner.yaml");
    let sections = [
        "/**:\n  ros__parameters:\n    decision_rate: 3.0\n    hold_timeout: 4.0\n",
        "planner_tuner:\n  ros__parameters:\n    hold_timeout: 5.0\n",
        "another_node:\n  ros__parameters:\n    nonsense: 1\n",
    ];
    std::fs::write(&file, sections.concat()).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_planner_tuner_node")).parent().unwrap().join("examples/stub_node");
    let params_file = format!("@{}", file.display());
    let _node = ros.start(&program, &["--params-file", &params_file], &[("STUB", "{}")]);
    let mut peer = ros.peer();

    peer.tell(json!({"do": "get", "names": ["decision_rate", "hold_timeout"]}));
    assert_eq!(peer.answer("get_parameters")["values"], json!([3.0, 5.0]));
    let names = ["use_sim_time", "good_frames", "hold_timeout", "mapping", "nonsense"];
    peer.tell(json!({"do": "types", "names": names}));
    assert_eq!(peer.answer("get_parameter_types")["types"], json!([1, 2, 3, 4, 0]));

    // Whoever shows parameters hears of changes, and a whole number does for a double.
    peer.tell(json!({"do": "set", "values": {"hold_timeout": 7}}));
    assert_eq!(peer.answer("set_parameters")["results"], json!([[true, ""]]));
    let event = peer.0.heard_or_comes("event of a parameter", PATIENCE, |line| line["event"] == "parameter_event");
    assert_eq!(event["values"], json!({"hold_timeout": 7.0}));

    peer.tell(json!({"do": "services"}));
    let services = peer.0.event("services", PATIENCE)["services"].clone();
    for (name, kind) in [
        ("enable", "std_srvs/srv/SetBool"),
        ("hold", "std_srvs/srv/SetBool"),
        ("reset_history", "std_srvs/srv/Trigger"),
        ("reload_policy", "std_srvs/srv/Trigger"),
        ("list_parameters", "rcl_interfaces/srv/ListParameters"),
        ("describe_parameters", "rcl_interfaces/srv/DescribeParameters"),
    ] {
        assert_eq!(services[format!("/planner_tuner/{name}")], json!([kind]), "{services}");
    }
    peer.tell(json!({"do": "switch", "service": "enable", "on": true}));
    assert_eq!(peer.answer("enable")["success"], true);
    peer.0.heard_or_comes("log on /rosout", PATIENCE, |line| {
        line["event"] == "log" && line["text"].as_str().unwrap().contains("the operator asks")
    });
}

#[test]
fn fault_44_signals_end_the_node_at_once() {
    let Some(ros) = Ros::find() else { return };
    for signal in ["-INT", "-TERM"] {
        let mut node = ros.stub_node(r#"{"seconds": 5.0}"#, &[]);
        let mut peer = ros.peer();
        peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000}));
        peer.0.event("status", PATIENCE);
        peer.0.listen(SECOND);
        let start = Instant::now();
        node.signal(signal);
        let status = node.wait(PATIENCE).expect("it ends");
        let took = start.elapsed();
        say(&format!(
            "{signal} in the middle of a decision: exit {:?} after {:.2} s",
            status.code(),
            took.as_secs_f64()
        ));
        assert_eq!(status.code(), Some(0));
        assert!(took < 2 * SECOND);
        peer.0.listen(SECOND);
        peer.tell(json!({"do": "nodes"}));
        let nodes = peer.0.event("nodes", PATIENCE);
        assert!(!nodes["names"].as_array().unwrap().contains(&json!("/planner_tuner")), "gone at once: {nodes}");
    }
}

#[test]
fn fault_41_names_follow_namespace_and_remapping_and_are_said() {
    let Some(ros) = Ros::find() else { return };
    let program = Path::new(env!("CARGO_BIN_EXE_planner_tuner_node")).parent().unwrap().join("examples/stub_node");
    let remap = ["-r", "@__ns:=/robot", "-r", "@__node:=tuner", "-r", "@costmap_image:=camera/costmap"];
    let mut node = ros.start(&program, &remap, &[("STUB", "{}")]);
    let mut peer = ros.peer();
    let names = ["/robot/camera/costmap", "/robot/odometry", "/robot/tuner/parameters", "/robot/tuner/decision"];
    let deadline = Instant::now() + PATIENCE;
    loop {
        peer.tell(json!({"do": "topics"}));
        let topics = peer.0.event("topics", PATIENCE)["topics"].clone();
        let missing: Vec<&&str> = names.iter().filter(|name| topics.get(**name).is_none()).collect();
        if missing.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{missing:?} are not in {topics}");
        peer.0.listen(SECOND / 10);
    }
    assert!(node.talk().iter().any(|line| line.contains("images from /robot/camera/costmap")), "{:?}", node.said);
}

#[test]
fn feature_and_attention_come_on_demand() {
    let Some(ros) = Ros::find() else { return };
    let _node = ros.node(&["image_transport:=compressed"]);
    let mut peer = ros.peer();
    for topic in ["feature", "attention"] {
        peer.tell(json!({"do": "listen", "topic": topic}));
        peer.0.event("listening", PATIENCE);
    }
    let play = json!({"do": "play", "rate": 4.0, "count": 1000, "transport": "compressed", "frame_id": "base_link"});
    peer.tell(play);
    assert_eq!(peer.0.event("feature", PATIENCE)["size"], 32);
    let attention = peer.0.event("attention", PATIENCE);
    assert_eq!((&attention["size"], &attention["frame_id"]), (&json!(600 * 400 * 3), &json!("base_link")), "R23");

    // The policy's files are read again; a stub of a model has none and says so.
    peer.tell(json!({"do": "trigger", "service": "reload_policy"}));
    let answer = peer.answer("reload_policy");
    assert_eq!(answer["success"], true, "{answer}");
    peer.tell(json!({"do": "trigger", "service": "reset_history"}));
    assert_eq!(peer.answer("reset_history")["success"], true);
    peer.decision(PATIENCE);
}
