//! Recordings on which pictures or velocities were silently wrong, named after the cases that were reported.

use std::path::PathBuf;

use crate::support::scene_bag::{PLAN, beams, drive, goal_status, odometry, odometry_of, plan, robot, scan, transform};
use crate::support::small_bag::{Recorded, raw_image, write_mcap};
use nalgebra::{Isometry2, Vector2};
use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::frame::render::LaserScan;
use vlm_planner_tuner::recording::{
    Drawing, DrawingOptions, Drive, DriveEvent, DriveTopics, Recording, RecordingOptions, SkipCounts, SkipReason,
    Skipped,
};
use vlm_planner_tuner::scene::{Issue, SceneRules, SpatialPose};

struct Bag {
    _folder: tempfile::TempDir,
    file: PathBuf,
}

fn saved(messages: &[Recorded]) -> Bag {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("drive.mcap");
    write_mcap(&file, messages, mcap::WriteOptions::new());
    Bag { _folder: folder, file }
}

fn read(messages: &[Recorded], options: &RecordingOptions) -> (Vec<Result<Drawing, Skipped>>, SkipCounts) {
    let bag = saved(messages);
    let mut recording = Recording::open(&bag.file, options).unwrap_or_else(|error| panic!("{error}"));
    let items = recording.by_ref().map(|item| item.map(|frame| frame.drawing.unwrap())).collect();
    (items, recording.skips().clone())
}

fn drawn(drawing: DrawingOptions) -> RecordingOptions {
    RecordingOptions { drawing: Some(drawing), ..RecordingOptions::default() }
}

fn plans(messages: &[Recorded], drawing: DrawingOptions) -> (Vec<&'static str>, SkipCounts) {
    let (items, skips) = read(messages, &drawn(drawing));
    (items.into_iter().map(|item| item.unwrap().plan.name()).collect(), skips)
}

#[test]
fn scan_range_max_zero_and_other_blind_scans_are_skipped_by_name() {
    type Blind = fn(&mut LaserScan);
    let cases: [(&str, Blind); 7] = [
        ("scan range_max is 0 m", |scan| scan.range_max = 0.0),
        ("scan range_max is NaN m", |scan| scan.range_max = f32::NAN),
        ("scan range_max is 0.05 m", |scan| scan.range_max = 0.05),
        ("720 are zero", |scan| scan.ranges.fill(0.0)),
        ("720 NaN", |scan| scan.ranges.fill(f32::NAN)),
        ("720 below range_min", |scan| scan.ranges.fill(f32::NEG_INFINITY)),
        ("scan ranges are empty", |scan| scan.ranges.clear()),
    ];
    for (words, blind) in cases {
        let mut messages = drive(1, "odom");
        messages.retain(|message| message.topic != "/scan" || message.log_ms < 500);
        let mut blinded = beams(500);
        blind(&mut blinded);
        messages.push(scan(500, &blinded));
        let (items, skips) = read(&messages, &drawn(DrawingOptions::default()));
        assert_eq!((items.len(), skips.total()), (6, 1), "{words}: {skips}");
        assert_eq!(skips.of(SkipReason::Drawing(Issue::BlindScan)), 1, "{words}: {skips}");
        let said = items[5].as_ref().unwrap_err().to_string();
        assert!(said.contains(words) && said.contains("/scan: ") && said.contains("blind_scan"), "{said}");
    }
    // An open field is no blindness.
    let mut messages = drive(1, "odom");
    messages.retain(|message| message.topic != "/scan");
    messages.push(scan(500, &LaserScan { ranges: vec![f32::INFINITY; 720], ..beams(0) }));
    assert!(read(&messages, &drawn(DrawingOptions::default())).1.is_empty());
}

#[test]
fn scan_zero_with_range_min_zero_is_no_obstacle() {
    let nearest = |scan_of: &dyn Fn() -> LaserScan| {
        let bag = saved(&[odometry(0, &robot(0)), scan(10, &scan_of())]);
        let mut drive = Drive::read(&bag.file, None, &DriveTopics::default()).unwrap();
        let events: Vec<_> = std::iter::from_fn(|| drive.next_until(Stamp::from_nanos(i64::MAX))).collect();
        events.into_iter().find_map(|event| if let DriveEvent::NearestLaser(at) = event { Some(at) } else { None })
    };
    let zeros = || {
        let ranges = (0..720).map(|beam| if beam % 2 == 0 { 0.0 } else { 1.2 + (beam % 3) as f32 }).collect();
        LaserScan { range_min: 0.0, ranges, ..beams(0) }
    };
    let found = nearest(&zeros).unwrap().unwrap();
    assert!((found - 1.2).abs() < 1e-6, "{found}");
    // What is not seen any more is not near any more.
    assert_eq!(nearest(&|| LaserScan { ranges: vec![f32::INFINITY; 720], ..beams(0) }), Some(None));
    assert_eq!(nearest(&|| LaserScan { range_max: 0.0, ..beams(0) }), Some(None));
}

/// The same messages of another robot.
fn of_robot(messages: Vec<Recorded>, topics: [(&'static str, &'static str); 4]) -> Vec<Recorded> {
    let named = |topic: &str| topics.iter().find(|(usual, _)| *usual == topic).map_or("/other", |(_, named)| *named);
    messages.into_iter().map(|message| Recorded { topic: named(message.topic), ..message }).collect()
}

#[test]
fn two_robots_one_name_of_frames_only_the_robots_own_transforms_count() {
    let robot_drive = |at: (f64, f64, f64)| {
        let mut messages = drive(1, "map");
        let pose = SpatialPose::on_ground(at.0, at.1, at.2);
        messages.extend((0..40).map(|turn| transform("/tf", turn * 50, "map", "odom", pose)));
        messages
    };
    let r1 = [("/odom", "/r1/odom"), ("/scan", "/r1/scan"), ("/plan", "/r1/plan"), ("/tf", "/r1/tf")];
    let r2 = [("/odom", "/r2/odom"), ("/scan", "/r2/scan"), ("/plan", "/r2/plan"), ("/tf", "/r2/tf")];
    let alone = of_robot(robot_drive((0.4, -0.3, 0.2)), r1);
    let mut both = alone.clone();
    both.extend(of_robot(robot_drive((-2.0, 1.5, -1.0)), r2));
    let robots = |messages: &[Recorded], drawing: DrawingOptions| {
        let options = RecordingOptions { odometry_topic: Some("/r1/odom".into()), ..drawn(drawing) };
        let (items, skips) = read(messages, &options);
        let robots: Vec<_> = items.into_iter().map(|item| item.unwrap().robot).collect();
        (robots, skips)
    };
    let (expected, skips) = robots(&alone, DrawingOptions::default());
    assert!(skips.is_empty(), "{skips}");
    let odom_in_map = Isometry2::new(Vector2::new(0.4, -0.3), 0.2);
    assert!((expected[5].translation.vector - (odom_in_map * robot(500)).translation.vector).norm() < 1e-9);
    // Scan, plan and transforms follow the odometry that was chosen.
    assert_eq!(robots(&both, DrawingOptions::default()), (expected.clone(), skips));
    let wrong = DrawingOptions { tf_topic: Some("/r2/tf".into()), ..DrawingOptions::default() };
    assert_ne!(robots(&both, wrong).0, expected, "those that are asked for");

    // In doubt none is used, and what is missing for that is counted.
    let doubtful = |message: Recorded| match message.topic {
        "/r1/tf" => Recorded { topic: "/elsewhere/tf", ..message },
        _ => message,
    };
    let both: Vec<_> = both.into_iter().map(doubtful).collect();
    let (items, skips) =
        read(&both, &RecordingOptions { odometry_topic: Some("/r1/odom".into()), ..drawn(DrawingOptions::default()) });
    assert_eq!((items.len(), skips.of(SkipReason::Drawing(Issue::PlanWithoutTransform))), (10, 10), "{skips}");
}

#[test]
fn odometry_twist_in_odom_frame_is_turned_or_refused() {
    let velocities = |child: &str, yaw: f64, zero_orientation: bool| {
        let (type_name, payload) = raw_image(0);
        let mut pose = SpatialPose::on_ground(3.0, -1.0, yaw);
        if zero_orientation {
            pose.orientation = [0.0; 4];
        }
        let bag = saved(&[
            odometry_of(0, child, pose, [-0.36, 0.48, 0.25]),
            Recorded { topic: "/image", type_name, log_ms: 1, payload },
        ]);
        let mut recording = Recording::open(&bag.file, &RecordingOptions::default()).unwrap();
        let item = recording.next().unwrap();
        (item.map(|frame| (frame.velocity.linear(), frame.velocity.angular())), recording.skips().clone())
    };
    // It drives where it looks.
    let yaw = 0.48f64.atan2(-0.36);
    let (turned, skips) = velocities("odom", yaw, false);
    let (linear, angular) = turned.unwrap();
    assert!((linear - 0.6).abs() < 1e-12 && (angular - 0.25).abs() < 1e-12, "{linear} {angular}");
    assert!(skips.is_empty(), "{skips}");
    assert_eq!(velocities("base_link", yaw, false).0.unwrap(), (-0.36, 0.25), "in the robot's frame already");
    assert_eq!(velocities("base_link", yaw, true).0.unwrap(), (-0.36, 0.25), "the orientation is not needed");
    let (refused, skips) = velocities("odom", yaw, true);
    assert!(refused.is_err());
    assert_eq!((skips.of(SkipReason::InvalidVelocity), skips.of(SkipReason::NoVelocity)), (1, 1), "{skips}");
}

#[test]
fn plan_published_once_stays_until_its_goal_is_over() {
    let mut messages = drive(8, "odom");
    messages.retain(|message| message.topic != "/plan" || message.log_ms < 500);
    let (all, skips) = plans(&messages, DrawingOptions::default());
    assert!(skips.is_empty(), "{skips}");
    assert!(all.len() == 80 && all.iter().all(|plan| *plan == "drawn"), "{all:?}");

    // Where a limit is set, what is left out is counted.
    let rules = SceneRules { max_plan_age: Some(std::time::Duration::from_secs(5)), ..SceneRules::default() };
    let (limited, skips) = plans(&messages, DrawingOptions { rules, ..DrawingOptions::default() });
    let stale = limited.iter().filter(|plan| **plan == "stale").count() as u64;
    assert_eq!((stale, skips.of(SkipReason::Drawing(Issue::StalePlan)), skips.total()), (29, 29, 29), "{skips}");

    // The goal is reached at 3 s; the next one begins at 5 s, its plan comes at 6 s.
    messages.extend([goal_status(5, 1, 2), goal_status(3005, 1, 4), goal_status(5005, 2, 1)]);
    messages.push(plan(6005, "odom", &PLAN));
    let (all, skips) = plans(&messages, DrawingOptions::default());
    assert!(skips.is_empty(), "nothing is missing where the robot has arrived: {skips}");
    let runs: Vec<(&str, usize)> = all.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
    assert_eq!(runs, [("drawn", 31), ("goal_over", 30), ("drawn", 19)]);
}

#[test]
fn localisation_once_a_second_is_interpolated() {
    let mut messages = drive(4, "map");
    // From 1 ms on, with a robot that drifts: 0.1 m a second.
    let samples = (0..4).map(|second| {
        let pose = SpatialPose::on_ground(1.0 + 0.1 * second as f64, 0.5, 0.0);
        transform("/tf", second * 1000 - 1, "map", "odom", pose)
    });
    messages.extend(samples);
    let (items, skips) = read(&messages, &drawn(DrawingOptions::default()));
    assert!(skips.is_empty(), "{skips}");
    for (turn, item) in items.into_iter().enumerate() {
        let (ms, found) = (turn as i64 * 100, item.unwrap());
        let seconds = ((ms + 1) as f64 * 1e-3).min(3.0);
        let expected = Vector2::new(1.0 + 0.1 * seconds, 0.5) + robot(ms).translation.vector;
        let off = (found.robot.translation.vector - expected).norm();
        // Behind the last sample it is held, and nothing is extrapolated.
        assert!(off < 1e-9, "{ms} ms: {off} m");
    }
}

#[test]
fn localisation_that_stops_is_reported() {
    let mut messages = drive(5, "map");
    messages.push(transform("/tf", -1, "map", "odom", SpatialPose::on_ground(1.0, 0.5, 0.0)));
    let (all, skips) = plans(&messages, DrawingOptions::default());
    let runs: Vec<(&str, usize)> = all.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
    assert_eq!(runs, [("drawn", 20), ("without_transform", 30)], "2 s after the last one");
    assert_eq!(skips.of(SkipReason::Drawing(Issue::PlanWithoutTransform)), 30);
}

#[test]
fn a_clock_that_is_set_back_is_not_looked_beyond() {
    let mut messages = drive(1, "map");
    messages.push(transform("/tf", -1, "map", "odom", SpatialPose::on_ground(1.0, 0.5, 0.0)));
    // Recorded 2 s later, stamped 100 s before.
    let late = transform("/tf", -98_000, "map", "odom", SpatialPose::on_ground(9.0, 0.5, 0.0));
    messages.push(Recorded { log_ms: 2000, ..late });
    let (all, skips) = plans(&messages, DrawingOptions::default());
    assert!(skips.is_empty() && all == ["drawn"; 10], "{skips} {all:?}");
}
