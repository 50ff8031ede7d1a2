//! A robot without costmap images: the node draws them from scan, plan and odometry, and decides on what it drew.

use std::path::Path;

use crate::harness::{PATIENCE, Peer, Process, Ros, SECOND};
use crate::support::say;
use nalgebra::{Isometry2, Point2, Vector2};
use serde_json::{Value, json};
use tempfile::TempDir;
use vlm_planner_tuner::frame::render::{LaserScan, Renderer, Scene};

const DRAWS: [&str; 3] = ["image_source:=render", "mapping:=topic", "decision_rate:=5.0"];
const PLAN: [[f64; 2]; 5] = [[0.0, 0.0], [0.5, 0.1], [1.5, 0.4], [2.5, 0.2], [4.5, -1.0]];

/// 720 beams over 270 degrees: a room with pillars.
fn scan() -> LaserScan {
    let ranges = (0..720).map(|beam| match beam % 97 {
        0..=9 => 1.2,
        10 => f32::INFINITY,
        _ => 2.5 + (beam as f32 * 0.05).sin() * 0.4,
    });
    LaserScan {
        angle_min: -2.356,
        angle_increment: 0.006_545,
        range_min: 0.1,
        range_max: 30.0,
        ranges: ranges.collect(),
    }
}

fn as_json(scan: &LaserScan) -> Value {
    // JSON has no number for these; Python's float() reads the words.
    let number = |value: f32| if value.is_finite() { json!(value) } else { json!(value.to_string()) };
    let LaserScan { angle_min, angle_increment, range_min, range_max, ranges } = scan;
    let ranges: Vec<Value> = ranges.iter().map(|range| number(*range)).collect();
    json!({
        "angle_min": number(*angle_min), "angle_increment": number(*angle_increment),
        "range_min": number(*range_min), "range_max": number(*range_max), "ranges": ranges,
    })
}

struct Drawn {
    _node: Process,
    peer: Peer,
    folder: TempDir,
}

impl Drawn {
    fn start(ros: &Ros, parameters: &[&str]) -> Self {
        let node = ros.stub_node("{}", &[&DRAWS[..], parameters].concat());
        let mut peer = ros.peer();
        let folder = tempfile::tempdir().unwrap();
        peer.tell(json!({"do": "images", "folder": folder.path()}));
        peer.0.event("listening", PATIENCE);
        Self { _node: node, peer, folder }
    }

    fn tell(&mut self, command: Value) {
        self.peer.tell(command);
    }

    fn scans(&mut self, scan: &LaserScan) {
        self.tell(json!({"do": "scan", "scan": as_json(scan), "start": [0.1, 0.2, 0.3], "step": [0.02, -0.01, 0.015]}));
    }

    /// The next image must be what the renderer draws of this scan and path.
    fn next_is(&mut self, what: &str, scan: &LaserScan, path: &[[f64; 2]]) {
        // What was drawn before the last change may still be on its way.
        self.peer.0.listen(SECOND);
        let image = self.peer.0.event("image", PATIENCE);
        let wrong = self.wrong_pixels(&image, scan, path);
        assert_eq!(wrong, 0, "{what}: pixels that differ");
    }

    fn wrong_pixels(&mut self, image: &Value, scan: &LaserScan, path: &[[f64; 2]]) -> usize {
        assert_eq!((image["width"].as_i64(), image["height"].as_i64()), (Some(600), Some(400)));
        assert_eq!(image["encoding"], "rgb8");
        let scanned = self.peer.0.heard("scanned").into_iter().find(|line| line["stamp"] == image["stamp"]);
        let scanned = scanned.expect("the image carries the stamp of its scan");
        let number = |name: &str| scanned[name].as_f64().unwrap();
        let (z, w) = (number("z"), number("w"));
        let robot = Isometry2::new(Vector2::new(number("x"), number("y")), (2.0 * w * z).atan2(1.0 - 2.0 * z * z));
        let path = path.iter().map(|[x, y]| Point2::new(*x, *y)).collect();
        let (expected, _) =
            Renderer::new().draw(&Scene { scan: scan.clone(), laser_mount: None, robot, path }).unwrap();
        let found = std::fs::read(Path::new(self.folder.path()).join(image["stamp"].to_string())).unwrap();
        assert_eq!(found.len(), expected.rgb().len());
        found.chunks(3).zip(expected.rgb().chunks(3)).filter(|(ours, theirs)| ours != theirs).count()
    }

    /// The line about drawing, once it fits.
    fn drawing_line(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let is_it = |line: &Value| line["name"] == "planner_tuner: drawing" && fits(line);
        let heard = self.peer.0.wait_for(what, PATIENCE, |line| {
            line["event"] == "diagnostics" && line["lines"].as_array().unwrap().iter().any(is_it)
        });
        heard["lines"].as_array().unwrap().iter().find(|line| is_it(line)).unwrap().clone()
    }

    fn refused_for(&mut self, words: &str) {
        self.peer.0.wait_for(words, PATIENCE, |line| {
            line["event"] == "status" && line["message"].as_str().unwrap().contains(words)
        });
    }
}

#[test]
fn images_are_drawn_pixel_for_pixel_and_decided_on() {
    let Some(ros) = Ros::find() else { return };
    // The plan is there before the node: a transient-local publisher says it again.
    let mut planner = ros.peer();
    planner.tell(json!({"do": "plan", "points": PLAN, "latched": true}));
    planner.0.event("plan", PATIENCE);
    let mut drawn = Drawn::start(&ros, &["max_plan_age:=0.0"]);
    drawn.scans(&scan());
    drawn.drawing_line("the plan is drawn", |line| line["values"]["plan"] == "drawn");
    // What was drawn before may still be on its way.
    let first = drawn.peer.0.event("scanned", PATIENCE)["stamp"].as_i64();
    drawn.peer.0.listen(5 * SECOND);
    let images = drawn.peer.0.heard("image").into_iter().filter(|image| image["stamp"].as_i64() >= first);
    let images: Vec<Value> = images.cloned().collect();
    let wrong: Vec<usize> = images.iter().map(|image| drawn.wrong_pixels(image, &scan(), &PLAN)).collect();
    say(&format!("{} images drawn by the node over DDS, pixels that differ: {wrong:?}", images.len()));
    assert!(wrong.len() > 5 && wrong.iter().all(|wrong| *wrong == 0));

    let decided = drawn.peer.0.heard("decision").into_iter().map(|line| line["stamp"].as_i64().unwrap());
    let decided: Vec<i64> = decided.filter(|stamp| Some(*stamp) >= first).collect();
    let seen: Vec<i64> = images.iter().map(|image| image["stamp"].as_i64().unwrap()).collect();
    assert!(decided.len() > 5 && decided.iter().filter(|stamp| !seen.contains(stamp)).count() <= 1, "{decided:?}");
    drawn.peer.state("Shadow", PATIENCE);
    let line = drawn.drawing_line("diagnostics", |line| line["values"]["plan"] == "drawn");
    assert_eq!((line["level"].as_i64(), line["values"]["plan_publishers"].as_str()), (Some(0), Some("1")));
}

#[test]
fn plans_of_every_kind_are_drawn_or_left_out_by_name() {
    let Some(ros) = Ros::find() else { return };
    let mut drawn = Drawn::start(&ros, &["max_plan_age:=600.0"]);
    drawn.scans(&scan());
    drawn.next_is("no plan yet", &scan(), &[]);

    let long: Vec<[f64; 2]> = (0..10_000).map(|n| [f64::from(n) * 4e-4, (f64::from(n) * 1e-3).sin()]).collect();
    drawn.tell(json!({"do": "plan", "points": long}));
    drawn.next_is("10,000 poses", &scan(), &long);
    drawn.tell(json!({"do": "plan", "points": []}));
    drawn.next_is("empty", &scan(), &[]);
    drawn.drawing_line("an empty plan", |line| line["values"]["plan"] == "empty");

    let odd = json!([[0.0, 0.0], ["nan", 0.0], [1e30, 0.0], [1.0, 1.0], [2.0, 1.0]]);
    drawn.tell(json!({"do": "plan", "points": odd}));
    drawn.drawing_line("unusable points", |line| line["message"].as_str().unwrap().contains("2 points of the plan"));
    drawn.next_is("gaps", &scan(), &[[1.0, 1.0], [2.0, 1.0]]);

    drawn.tell(json!({"do": "plan", "points": PLAN, "frame": "map"}));
    let line = drawn.drawing_line("another frame", |line| line["values"]["plan"] == "without_transform");
    assert!(line["message"].as_str().unwrap().contains("there is no transform from 'odom' to 'map'"), "{line}");
    assert_eq!(line["level"], 1);
    drawn.next_is("another frame", &scan(), &[]);
    drawn.tell(json!({"do": "set", "values": {"assume_same_frame": true}}));
    assert_eq!(drawn.peer.answer("set_parameters")["results"], json!([[true, ""]]));
    drawn.next_is("the same frame is assumed", &scan(), &PLAN);

    drawn.tell(json!({"do": "set", "values": {"max_plan_age": 1.0}}));
    drawn.drawing_line("a plan that grows old", |line| line["values"]["plan"] == "stale");
    drawn.next_is("an old plan", &scan(), &[]);
}

#[test]
fn bad_scans_and_missing_odometry_are_refused_by_name() {
    let Some(ros) = Ros::find() else { return };
    let mut drawn = Drawn::start(&ros, &["hold_timeout:=100.0"]);
    drawn.tell(json!({"do": "scan", "scan": as_json(&scan()), "odometry": false}));
    drawn.refused_for("no pose of the robot at the scan's stamp: no usable odometry has come");
    drawn.drawing_line("no pose", |line| line["values"]["no_pose"].is_string());

    // Blind scans are an error of their own.
    for (words, blind) in [
        ("scan range_max is 0 m", LaserScan { range_max: 0.0, ..scan() }),
        ("720 are zero", LaserScan { ranges: vec![0.0; 720], ..scan() }),
    ] {
        drawn.scans(&blind);
        drawn.refused_for(words);
        drawn.peer.reason("sensor_blind", PATIENCE);
    }
    let line = drawn.drawing_line("blind", |line| line["values"]["blind_scan"].is_string());
    assert_eq!(line["level"], 2, "{line}");

    drawn.scans(&LaserScan { angle_increment: 0.0, ..scan() });
    drawn.refused_for("scan angle_increment is 0 rad");
    let reversed = LaserScan { angle_min: 2.356, angle_increment: -0.006_545, ..scan() };
    drawn.scans(&reversed);
    drawn.next_is("reversed", &reversed, &[]);
    let mut odd = scan();
    odd.ranges[100..140].fill(f32::NAN);
    odd.ranges[200..210].fill(-1.0);
    drawn.scans(&odd);
    drawn.drawing_line("NaN ranges", |line| line["message"].as_str().unwrap().contains("40 ranges are NaN"));
    drawn.next_is("NaN ranges", &odd, &[]);

    drawn.scans(&LaserScan { angle_min: f32::NAN, ..scan() });
    drawn.refused_for("scan angle_min is NaN");
    drawn.scans(&LaserScan { ranges: vec![1.0; 200_000], ..scan() });
    drawn.refused_for("scan has 200000 ranges, expected at most 100000");
    drawn.tell(json!({"do": "scan", "scan": as_json(&scan()), "odometry_offset": -0.8}));
    // How far off depends on how many of the odometry's messages have overtaken the scan.
    drawn.refused_for("s off, at most 0.2 s is accepted (max_pose_age)");
    drawn.tell(json!({"do": "set", "values": {"apply_laser_mount": true}}));
    drawn.peer.answer("set_parameters");
    drawn.scans(&scan());
    drawn.refused_for("the laser's mount is not known");
    drawn.tell(json!({"do": "set", "values": {"apply_laser_mount": false}}));
    drawn.peer.answer("set_parameters");
    drawn.next_is("good again", &scan(), &[]);
    let line = drawn.drawing_line("counts", |line| line["values"]["undrawable_scene"].is_string());
    say(&format!("what was wrong: {}", line["values"]));
}
