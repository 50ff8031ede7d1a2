//! What `planner_tuner doctor` sees of the ROS graph, through `planner_tuner_node --survey`.

use std::path::Path;

use crate::harness;
use crate::harness::{PATIENCE, Ros};
use serde_json::{Value, json};

/// The findings of the doctor: check, verdict, what was found and what to do.
fn doctor(ros: &Ros, args: &[&str]) -> Vec<(String, String, String)> {
    let mut command = ros.command(Path::new(env!("CARGO_BIN_EXE_planner_tuner")));
    let output = command.args(["doctor", "--json"]).args(args).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["verdict"] == "ok" || finding["remedy"].is_string())
        .map(|finding| {
            let remedy = finding["remedy"].as_str().map(|remedy| format!(" -> {remedy}")).unwrap_or_default();
            (text(finding, "check"), text(finding, "verdict"), text(finding, "found") + &remedy)
        })
        .collect()
}

fn assert_found(findings: &[(String, String, String)], check: &str, verdict: &str, words: &str) {
    let fits =
        |finding: &&(String, String, String)| finding.0 == check && finding.1 == verdict && finding.2.contains(words);
    assert!(findings.iter().any(|finding| fits(&finding)), "no {verdict} of {check} with '{words}' in {findings:#?}");
}

#[test]
fn fault_01_and_41_topics_are_found_missing_or_never_to_be_heard() {
    let Some(ros) = Ros::find() else { return };
    let mut peer = ros.peer();
    // Images of the wrong type, and a goal status that keeps nothing for those who come later.
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000, "odometry": false, "transport": "compressed",
        "topic": "costmap_image"}));
    peer.tell(json!({"do": "offer", "topic": "navigate_to_pose/_action/status", "latched": false}));
    peer.0.event("offered", PATIENCE);
    let found = doctor(&ros, &["--", "-r", "odometry:=/nowhere"]);
    assert_found(&found, "ROS graph", "ok", "as /planner_tuner sees it");
    assert_found(&found, "topic", "error", "/costmap_image (images, sensor_msgs/msg/Image): /peer publishes");
    assert_found(&found, "topic", "ok", "/peer publishes volatile, and transient local is asked for");
    assert!(!found.iter().any(|finding| finding.1 != "ok" && finding.2.contains("goal status")), "it is not needed");
    assert_found(&found, "topic", "warn", "/nowhere (odometry, nav_msgs/msg/Odometry): nobody publishes it");
    assert_found(&found, "topic", "warn", "start the node with -r odometry:=/odometry");

    // Under its right name, after remapping, all is well.
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000, "transport": "compressed"}));
    let args = [
        "--",
        "-r",
        "__ns:=/robot",
        "-r",
        "costmap_image/compressed:=/costmap_image/compressed",
        "-r",
        "odometry:=/odometry",
        "-p",
        "image_transport:=compressed",
        "-p",
        "goal_status_topic:=''",
    ];
    let found = doctor(&ros, &args);
    assert_found(
        &found,
        "topic",
        "ok",
        "/costmap_image/compressed (images, sensor_msgs/msg/CompressedImage) from /peer",
    );
    assert_found(&found, "topic", "ok", "/odometry (odometry, nav_msgs/msg/Odometry) from /peer");
    assert!(!found.iter().any(|finding| finding.2.contains("goal status")), "{found:#?}");
}

#[test]
fn r19_what_comes_is_measured_and_what_could_come_is_ready_to_be_pasted() {
    let Some(ros) = Ros::find() else { return };
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000, "transport": "compressed", "topic": "view/compressed"}));
    let found = doctor(&ros, &[]);
    let paste = "start the node with -p image_transport:=compressed -r costmap_image/compressed:=/view/compressed";
    assert_found(&found, "topic", "warn", paste);
    assert_found(&found, "messages", "ok", "/odometry: ");
    // With what it offers, all is well.
    let offered = ["-p", "image_transport:=compressed", "-r", "costmap_image/compressed:=/view/compressed"];
    let found = doctor(&ros, &[&["--"], &offered[..]].concat());
    assert_found(&found, "topic", "ok", "/view/compressed (images, sensor_msgs/msg/CompressedImage) from /peer");
    assert_found(&found, "messages", "ok", "/view/compressed: ");
    assert_found(&found, "messages", "ok", " Hz, png");
    assert_found(&found, "messages", "ok", " ms old");

    // A clock that lags, pictures of another size, a /clock that nobody publishes.
    peer.tell(json!({"do": "stop"}));
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000, "offset": -9.0}));
    let found = doctor(&ros, &["--", "-p", "image_width:=640", "-p", "image_height:=480"]);
    assert_found(&found, "messages", "error", "s behind this node's clock, expected at most 0.5 s");
    assert_found(&found, "messages", "error", "images are 600x400, expected 640x480");
    let found = doctor(&ros, &["--", "-p", "use_sim_time:=true"]);
    assert_found(&found, "clock", "error", "nobody publishes /clock");
}

#[test]
fn fault_33_and_42_a_planner_without_a_parameter_and_another_tuner_are_found() {
    let Some(ros) = Ros::find() else { return };
    // An empty graph is one finding, which says what decides whom the node finds.
    let found = doctor(&ros, &["--mapping", "nav2_dwb"]);
    let graph =
        |finding: &&(String, String, String)| ["ROS graph", "topic", "planner node"].contains(&finding.0.as_str());
    assert_eq!(found.iter().filter(graph).count(), 1, "{found:#?}");
    assert_found(&found, "ROS graph", "warn", "/planner_tuner finds no other node");
    assert_found(&found, "ROS graph", "warn", ", discovery range LOCALHOST, static peers ");

    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000}));
    let found = doctor(&ros, &["--mapping", "nav2_dwb"]);
    assert_found(&found, "planner node", "warn", "/controller_server is not there");

    let _nav2 = ros.nav2(&["--without", "FollowPath.vx_samples"]);
    let mut tuner = ros.stub_node("{}", &["mapping:=nav2_dwb", "mode:=active"]);
    let mut peer = ros.peer();
    peer.tell(json!({"do": "play", "rate": 4.0, "count": 1000}));
    peer.state("Nominal", PATIENCE);
    peer.decision_with("decision that was carried out", PATIENCE, |decision| {
        harness::status_of(decision, "max_vel_x") == "applied"
    });
    let found = doctor(&ros, &["--mapping", "nav2_dwb"]);
    assert_found(&found, "planner node", "ok", "/controller_server answers");
    assert_found(&found, "planner parameter", "ok", "/controller_server FollowPath.max_vel_x: ");
    assert_found(&found, "planner parameter", "error", "/controller_server FollowPath.vx_samples: not declared");
    assert_found(&found, "planner parameter", "ok", "/controller_server FollowPath.vtheta_samples: ");
    assert_found(&found, "planner parameter", "ok", "/local_costmap/local_costmap inflation_layer.inflation_radius: ");
    assert_found(&found, "other tuner", "warn", "/planner_tuner tunes the planner already");
    assert!(tuner.talk().iter().all(|line| !line.contains("tunes the same planner")), "nobody was disturbed");
}

#[test]
fn what_the_node_would_refuse_is_told() {
    let Some(ros) = Ros::find() else { return };
    let found = doctor(&ros, &["--", "-p", "hold_timeout:=-1.0"]);
    assert_found(&found, "ROS graph", "error", "parameter 'hold_timeout' is -1");
}

#[test]
fn a_blind_costmap_is_found_and_one_that_sees_is_not() {
    let Some(ros) = Ros::find() else { return };
    let mut nav2 = ros.nav2(&["--costmap", "blind"]);
    let found = doctor(&ros, &["--mapping", "nav2_dwb"]);
    assert_found(&found, "costmap", "error", "/local_costmap/local_costmap: the costmap is blind");
    assert_found(&found, "use after free", "warn", "navigation2#5706");
    nav2.kill();
    let _nav2 = ros.nav2(&["--costmap", "sees"]);
    let found = doctor(&ros, &["--mapping", "nav2_dwb"]);
    assert_found(&found, "costmap", "ok", "/local_costmap/local_costmap has obstacles where the scan has returns");
}
