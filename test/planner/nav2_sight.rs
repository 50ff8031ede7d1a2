//! Whether costmaps see, and whether the topics of the shipped files lead to a publisher.

use std::path::Path;
use std::time::Duration;

use vlm_planner_tuner::nav2::{
    Blindness, CostmapWatch, ObservationSource, RollingGrid, ScanReturns, Sight, resolved_topic, sight,
};
use vlm_planner_tuner::planner::guard::Moment;

const CELLS: usize = 160;
const RESOLUTION: f64 = 0.05;

fn grid(data: &[i8], stamp_ns: i64) -> RollingGrid<'_> {
    RollingGrid { stamp_ns, resolution: RESOLUTION, width: CELLS, height: CELLS, data }
}

/// A wall 1.5 m ahead: 41 beams, and the cells that they mark.
fn wall() -> (ScanReturns, Vec<i8>) {
    let mut data = vec![0_i8; CELLS * CELLS];
    let mut ranges = vec![f32::INFINITY; 100];
    for (beam, range) in ranges.iter_mut().enumerate().take(41) {
        let y = (beam as f64 - 20.0) * 0.05;
        *range = 1.5_f64.hypot(y) as f32;
        let (column, row) = ((4.0 + 1.5) / RESOLUTION, (4.0 + y) / RESOLUTION);
        data[row as usize * CELLS + column as usize] = 100;
    }
    (ScanReturns::new(0, &ranges, 0.1, 20.0), data)
}

#[test]
fn a_map_without_obstacles_where_the_scan_has_returns_is_blind() {
    let (scan, data) = wall();
    assert_eq!(sight(&scan, &grid(&data, 0)), Sight::Sees);
    let mut empty = vec![0_i8; CELLS * CELLS];
    assert_eq!(sight(&scan, &grid(&empty, 0)), Sight::Blind { returns: 41 });
    // Something that is elsewhere does not help.
    empty[0] = 100;
    assert_eq!(sight(&scan, &grid(&empty, 0)), Sight::Blind { returns: 41 });
    assert_eq!(
        sight(&scan, &grid(&vec![-1; CELLS * CELLS], 0)),
        Sight::Blind { returns: 41 },
        "unknown is no obstacle"
    );
}

#[test]
fn what_cannot_be_compared_is_no_blindness() {
    let (scan, _) = wall();
    let empty = vec![0_i8; CELLS * CELLS];
    assert_eq!(sight(&scan, &grid(&empty, 2_000_000_000)), Sight::CannotTell, "an old map");
    assert_eq!(sight(&ScanReturns::new(0, &[f32::INFINITY; 100], 0.1, 20.0), &grid(&empty, 0)), Sight::CannotTell);
    assert_eq!(sight(&ScanReturns::new(0, &[3.0; 100], 0.1, 20.0), &grid(&empty, 0)), Sight::CannotTell, "far away");
    assert_eq!(sight(&scan, &grid(&empty[1..], 0)), Sight::CannotTell, "no grid");
    let none = RollingGrid { resolution: f64::NAN, ..grid(&empty, 0) };
    assert_eq!(sight(&scan, &none), Sight::CannotTell);
}

#[test]
fn blindness_takes_more_than_one_map_and_ends_with_one_that_sees() {
    let mut watch = CostmapWatch::default();
    let at = |ms| Moment::from_start(Duration::from_millis(ms));
    let blind = Sight::Blind { returns: 30 };
    for ms in [0, 200, 400] {
        watch.compared(at(ms), blind);
    }
    assert_eq!(watch.blindness(at(400), "/c"), None, "the first maps after a start are empty");
    watch.compared(at(2100), blind);
    let found = watch.blindness(at(2100), "/local_costmap/local_costmap").unwrap();
    assert!(found.to_string().starts_with("the costmap is blind: the scan has 30 returns"), "{found}");
    watch.compared(at(2300), Sight::Sees);
    assert_eq!(watch.blindness(at(2300), "/c"), None);
}

#[test]
fn a_topic_that_a_costmap_listens_to_and_nobody_publishes_is_blindness() {
    let costmap = "/robot/local_costmap/local_costmap";
    let source = |graph: &[(&str, usize)]| {
        let publishers_of = |topic: &str| graph.iter().find(|(name, _)| *name == topic).map(|(_, count)| *count);
        ObservationSource::look_up(("obstacle_layer", "scan", "sensors/scan"), costmap, publishers_of)
    };
    let now = Moment::default();
    let blindness = |source: ObservationSource| {
        let mut watch = CostmapWatch::default();
        watch.sources(vec![source]);
        watch.blindness(now, costmap)
    };
    // As measured on Jazzy: it listens below itself, and the robot publishes elsewhere.
    let below = "/robot/local_costmap/sensors/scan";
    let found = blindness(source(&[(below, 0), ("/robot/sensors/scan", 1)])).unwrap();
    assert!(matches!(&found, Blindness::NoPublisher { topic, .. } if topic == below), "{found}");
    assert_eq!(blindness(source(&[("/robot/sensors/scan", 1)])), None, "later releases look there");
    assert_eq!(blindness(source(&[])), None, "remapped, or not configured yet: nothing is known");
    let mut watch = CostmapWatch::default();
    watch.sources(vec![source(&[(below, 0)])]);
    watch.compared(now, Sight::Sees);
    assert_eq!(watch.blindness(now, costmap), None, "what the map shows counts more");
}

/// What a Jackal and Nav2's own nodes publish, relative to the robot's namespace.
const PUBLISHED: [&str; 9] = [
    "platform/odom/filtered",
    "sensors/lidar2d_0/scan",
    "local_costmap/costmap_raw",
    "global_costmap/costmap_raw",
    "local_costmap/published_footprint",
    "global_costmap/published_footprint",
    "cmd_vel_smoothed",
    "plan",
    "navigate_to_pose/_action/status",
];
/// Topics that are published to, or only there if somebody wants them.
const NOT_HEARD: [&str; 3] = ["cmd_vel_out_topic", "goal_topic", "collision_topic"];

/// Every topic in a parameters file: the full name of its node, the key, the topic.
fn topics(value: &serde_yaml::Value, path: &mut Vec<String>, node: &str, found: &mut Vec<(String, String, String)>) {
    let Some(mapping) = value.as_mapping() else { return };
    for (key, value) in mapping {
        let key = key.as_str().unwrap().to_owned();
        if key == "ros__parameters" {
            let node = if path == &["/**"] { "/planner_tuner".to_owned() } else { format!("/{}", path.join("/")) };
            topics(value, path, &node, found);
            continue;
        }
        let is_topic = key == "topic" || key.ends_with("_topic");
        if let (true, Some(topic)) = (is_topic, value.as_str()) {
            found.push((node.to_owned(), key.clone(), topic.to_owned()));
        }
        path.push(key);
        topics(value, path, node, found);
        path.pop();
    }
}

/// As nav2.launch.py remaps: `SetRemap` of the scans of both costmaps.
fn remapped(topic: String, namespace: &str) -> String {
    let scan = "sensors/lidar2d_0/scan";
    let rules = ["local_costmap", "global_costmap"].map(|costmap| format!("{namespace}/{costmap}/{scan}"));
    if rules.contains(&topic) { format!("{namespace}/{scan}") } else { topic }
}

#[test]
fn every_topic_of_the_shipped_files_has_a_publisher_on_a_jackal_with_and_without_a_namespace() {
    let launch = include_str!("../../launch/nav2.launch.py");
    assert!(launch.contains("SetRemap(f'{robot}/{costmap}/{scan_topic}', f'{robot}/{scan_topic}')"), "see remapped()");
    let mut looked_at = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("config")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("jackal_") {
            continue;
        }
        let yaml: serde_yaml::Value = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let mut found = Vec::new();
        topics(&yaml, &mut Vec::new(), "", &mut found);
        for (node, key, topic) in found.into_iter().filter(|(_, key, _)| !NOT_HEARD.contains(&key.as_str())) {
            for namespace in ["", "/j100_0001"] {
                let full = remapped(resolved_topic(&topic, &format!("{namespace}{node}")), namespace);
                let published = PUBLISHED.iter().any(|published| full == format!("{namespace}/{published}"));
                assert!(published, "{name}: {key} of {node} is {full}, which nobody publishes");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at >= 40, "{looked_at}");
}
