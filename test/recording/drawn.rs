//! Pictures drawn from recordings: scan, plan, odometry and transforms in a bag, against the renderer itself.

use std::path::Path;

use crate::support;
use crate::support::scene_bag::{
    PLAN, as_sent, beams, drive, odometry, odometry_with, path, plan, plan_on, robot, scan, transform,
};
use crate::support::small_bag::{Cdr, Recorded, nanos, write_db3, write_mcap};
use nalgebra::{Isometry2, Vector2};
use vlm_planner_tuner::frame::render::{LaserScan, Renderer, Scene};
use vlm_planner_tuner::recording::{
    DrawingOptions, RecordedFrame, Recording, RecordingOptions, SkipCounts, SkipReason,
};
use vlm_planner_tuner::scene::{Issue, PlanLayer, SceneRules, SpatialPose};

fn options(rules: SceneRules) -> RecordingOptions {
    let drawing = DrawingOptions { rules, ..DrawingOptions::default() };
    RecordingOptions { expected_size: Some((600, 400)), drawing: Some(drawing), ..RecordingOptions::default() }
}

fn read(messages: &[Recorded], rules: SceneRules) -> (Vec<RecordedFrame>, SkipCounts) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("drive.mcap");
    write_mcap(&file, messages, mcap::WriteOptions::new());
    read_file(&file, rules)
}

fn read_file(file: &Path, rules: SceneRules) -> (Vec<RecordedFrame>, SkipCounts) {
    let mut recording = Recording::open(file, &options(rules)).unwrap_or_else(|error| panic!("{error}"));
    let promised = recording.remaining();
    let items: Vec<_> = recording.by_ref().collect();
    assert_eq!((items.len(), recording.remaining()), (promised, 0));
    (items.into_iter().filter_map(Result::ok).collect(), recording.skips().clone())
}

fn assert_drawn(recorded: &RecordedFrame, scene: &Scene) {
    let (expected, _) = Renderer::new().draw(scene).unwrap();
    let wrong = recorded.frame.frame.rgb().chunks(3).zip(expected.rgb().chunks(3)).filter(|(a, b)| a != b).count();
    assert_eq!(wrong, 0, "pixels that differ at {:?}", recorded.frame.stamp);
}

#[test]
fn both_storages_give_what_the_renderer_draws() {
    let folder = tempfile::tempdir().unwrap();
    let (mcap_file, db3) = (folder.path().join("drive.mcap"), folder.path().join("drive.db3"));
    write_mcap(&mcap_file, &drive(2, "odom"), mcap::WriteOptions::new().chunk_size(Some(5000)));
    write_db3(&db3, &drive(2, "odom"));
    for file in [mcap_file, db3] {
        let (frames, skips) = read_file(&file, SceneRules::default());
        assert!(skips.is_empty(), "{skips}");
        assert_eq!(frames.len(), 20);
        for (turn, recorded) in frames.iter().enumerate() {
            let ms = turn as i64 * 100;
            assert_eq!(recorded.frame.stamp.nanos(), nanos(ms));
            // Plans lie behind all scans in the file; what counts is when they were recorded.
            let scene = Scene { scan: beams(ms), laser_mount: None, robot: as_sent(&robot(ms)), path: path() };
            assert_drawn(recorded, &scene);
            let drawing = recorded.drawing.as_ref().unwrap();
            assert_eq!((drawing.pose_age_s, drawing.ranges, drawing.path_points), (0.0, 720, 4));
            assert_eq!(recorded.velocity.linear(), 0.5);
        }
        assert!(frames[0].episode_start && !frames[1].episode_start);
    }
}

#[test]
fn the_robot_is_where_it_was_at_the_scans_stamp() {
    let mut messages: Vec<_> =
        (0..20).map(|turn| odometry(turn * 50, &Isometry2::new(Vector2::new(turn as f64, 0.0), 0.0))).collect();
    messages.push(scan(120, &beams(0)));
    // The odometry behind it is recorded 135 ms after it: too late to be waited for.
    messages.push(scan(945, &beams(0)));
    messages.iter_mut().filter(|message| message.log_ms > 900).for_each(|message| message.log_ms += 130);
    messages.last_mut().unwrap().log_ms = 946;
    let (frames, skips) = read(&messages, SceneRules::default());
    assert!(skips.is_empty(), "{skips}");
    let x = |frame: usize| frames[frame].drawing.as_ref().unwrap().robot.translation.x;
    assert!((x(0) - 2.4).abs() < 1e-12, "between the odometry of 100 and 150 ms");
    assert_eq!(x(1), 18.0, "held from 900 ms on");
    assert!((frames[1].drawing.as_ref().unwrap().pose_age_s - 0.045).abs() < 1e-9);
}

#[test]
fn a_plan_in_another_frame_needs_a_transform() {
    let map_to_odom = SpatialPose::on_ground(0.4, -0.3, 0.2);
    let without = drive(1, "map");
    let (frames, skips) = read(&without, SceneRules::default());
    assert_eq!(frames.len(), 10);
    assert_eq!(skips.of(SkipReason::Drawing(Issue::PlanWithoutTransform)), skips.total());
    assert_eq!(skips.total(), 10);
    for (turn, recorded) in frames.iter().enumerate() {
        let ms = turn as i64 * 100;
        assert!(matches!(recorded.drawing.as_ref().unwrap().plan, PlanLayer::WithoutTransform(_)));
        let scene = Scene { scan: beams(ms), laser_mount: None, robot: robot(ms), path: Vec::new() };
        assert_drawn(recorded, &scene);
    }

    let assumed = read(&without, SceneRules { assume_same_frame: true, ..SceneRules::default() });
    assert!(assumed.1.is_empty() && assumed.0[3].drawing.as_ref().unwrap().plan == PlanLayer::Drawn);

    for topic in ["/tf", "/tf_static"] {
        let mut messages = drive(1, "map");
        let stamps = if topic == "/tf" { 0..20 } else { 0..1 };
        messages.extend(stamps.map(|turn| transform(topic, turn * 50 - 2, "map", "odom", map_to_odom)));
        let (frames, skips) = read(&messages, SceneRules::default());
        assert!(skips.is_empty(), "{topic}: {skips}");
        let odom_in_map = Isometry2::new(Vector2::new(0.4, -0.3), 0.2);
        for (turn, recorded) in frames.iter().enumerate() {
            let found = recorded.drawing.as_ref().unwrap().robot;
            let expected = odom_in_map * robot(turn as i64 * 100);
            assert!((found.translation.vector - expected.translation.vector).norm() < 1e-12);
            assert!(found.rotation.angle_to(&expected.rotation).abs() < 1e-12);
            let scene = Scene { scan: beams(turn as i64 * 100), laser_mount: None, robot: found, path: path() };
            assert_drawn(recorded, &scene);
        }
    }
}

#[test]
fn the_lasers_mount_is_applied_where_that_is_asked_for() {
    let rules = SceneRules { apply_laser_mount: true, ..SceneRules::default() };
    let (frames, skips) = read(&drive(1, "odom"), rules);
    assert_eq!((frames.len(), skips.of(SkipReason::Drawing(Issue::NoLaserMount))), (0, 10));

    // Mounted upside down, 0.2 m ahead: left and right change places.
    let mount = SpatialPose { position: [0.2, 0.0, 0.3], orientation: [1.0, 0.0, 0.0, 0.0] };
    let mut messages = drive(1, "odom");
    messages.push(transform("/tf_static", -2, "base_link", "laser", mount));
    let one_wall = LaserScan { ranges: vec![1.0], angle_min: std::f32::consts::FRAC_PI_2, ..beams(0) };
    messages.push(scan(955, &one_wall));
    let (frames, skips) = read(&messages, rules);
    assert!(skips.is_empty(), "{skips}");
    let last = frames.last().unwrap().frame.frame.rgb();
    let pixel = |column: usize, row: usize| &last[(row * 600 + column) * 3..][..3];
    assert_eq!(pixel(220, 299), [255, 0, 0], "1 m to the right, 0.2 m ahead");
    assert_ne!(pixel(220, 101), [255, 0, 0]);
}

#[test]
fn bad_messages_are_counted_and_the_others_drawn() {
    let reason = |issue| SkipReason::Drawing(issue);
    let mut messages = drive(3, "odom");
    let odd = |mend: &dyn Fn(&mut LaserScan)| {
        let mut odd = beams(0);
        mend(&mut odd);
        odd
    };
    messages.push(scan(10, &odd(&|scan| scan.angle_increment = 0.0)));
    messages.push(scan(20, &odd(&|scan| (scan.angle_min, scan.angle_increment) = (2.356, -0.006_545))));
    messages.push(scan(30, &odd(&|scan| scan.angle_increment = f32::NAN)));
    messages.push(scan(40, &odd(&|scan| scan.ranges[..9].fill(f32::NAN))));
    messages.push(scan(60, &odd(&|scan| scan.ranges = vec![-1.0, f32::NEG_INFINITY, f32::MAX, 0.0])));
    messages.push(scan(70, &odd(&|scan| scan.ranges = vec![1.0; 1_000_000])));
    messages.push(Recorded { payload: Cdr::new(false).u32(7).finish(), ..scan(80, &beams(0)) });
    messages.push(odometry_with(90, SpatialPose { position: [f64::NAN; 3], orientation: [0.0, 0.0, 0.0, 1.0] }));
    messages.push(odometry_with(91, SpatialPose { position: [0.0; 3], orientation: [0.0; 4] }));
    messages.push(plan(1004, "odom", &[(0.0, 0.0), (f64::NAN, 0.0), (1e30, 0.0), (1.0, 1.0)]));
    messages.push(plan(1104, "odom", &[]));
    messages.push(plan(1204, "odom", &(0..10_000).map(|n| (f64::from(n) * 1e-3, 0.5)).collect::<Vec<_>>()));
    messages.push(Recorded { payload: Cdr::new(false).u32(7).finish(), ..plan(1304, "odom", &[]) });
    messages.push(transform("/tf", 5, "odom", "odom", SpatialPose::on_ground(0.0, 0.0, 0.0)));
    messages.push(Recorded {
        payload: Cdr::new(false).u32(u32::MAX).finish(),
        ..transform("/tf", 6, "a", "b", SpatialPose::on_ground(0.0, 0.0, 0.0))
    });
    let (frames, skips) = read(&messages, SceneRules::default());
    let expected = [
        (SkipReason::UnreadableMessage, 2),
        (SkipReason::UnreadablePlan, 1),
        (SkipReason::UnreadableTransforms, 1),
        (reason(Issue::BlindScan), 1),
        (reason(Issue::UndrawableScene), 2),
        (reason(Issue::InvalidPose), 2),
        (reason(Issue::InvalidTransform), 1),
        (reason(Issue::NanRanges), 1),
        (reason(Issue::UnusablePathPoints), 1),
    ];
    assert_eq!(skips.iter().collect::<Vec<_>>(), expected, "{skips}");
    assert_eq!(frames.len(), 32);
    let at = |ms| frames.iter().find(|frame| frame.frame.stamp.nanos() == nanos(ms)).unwrap().drawing.clone().unwrap();
    assert_eq!((at(1100).plan.name(), at(1200).plan.name(), at(1300).plan.name()), ("drawn", "empty", "drawn"));
    assert_eq!((at(1100).report.unusable_path_points, at(1300).path_points), (2, 10_000));
}

#[test]
fn what_is_too_old_or_of_another_time_is_not_drawn() {
    let mut messages: Vec<Recorded> = drive(2, "odom");
    // No odometry from 1 s on, and no plan for as long as the second drive, whose clock began anew.
    messages.retain(|message| message.topic != "/odom" || message.log_ms < 1000);
    messages.retain(|message| message.topic != "/plan" || message.log_ms < 500);
    let (frames, skips) = read(&messages, SceneRules::default());
    // 950 ms and 0.2 s later: the velocity is as old as the pose.
    assert_eq!((frames.len(), skips.of(SkipReason::StaleVelocity)), (12, 8), "{skips}");

    let rules = SceneRules { max_plan_age: Some(std::time::Duration::from_millis(800)), ..SceneRules::default() };
    let (frames, skips) = read(&messages, rules);
    assert_eq!(
        (skips.of(SkipReason::StaleVelocity), skips.of(SkipReason::Drawing(Issue::StalePlan))),
        (8, 3),
        "{skips}"
    );
    let plans: Vec<_> = frames.iter().map(|frame| frame.drawing.as_ref().unwrap().plan.name()).collect();
    assert_eq!(plans.iter().filter(|plan| **plan == "drawn").count(), 9);
    assert_eq!(plans.iter().filter(|plan| **plan == "stale").count(), 3);

    // The clock is set back by 100 s while the recorder's runs on: nothing of before is drawn with what follows.
    let mut messages = drive(1, "odom");
    for turn in 0..10 {
        let ms = 2000 + turn * 50;
        let at = |mut message: Recorded| {
            message.log_ms += 100_000;
            message
        };
        messages.push(at(odometry(ms - 100_000, &robot(turn * 50))));
        messages.push(at(scan(ms - 100_000, &beams(0))));
    }
    let (frames, skips) = read(&messages, SceneRules::default());
    assert!(skips.is_empty(), "{skips}");
    let plans: Vec<_> = frames.iter().map(|frame| frame.drawing.as_ref().unwrap().plan.name()).collect();
    assert_eq!((&plans[..10], &plans[10..]), (&["drawn"; 10][..], &["none"; 10][..]));
}

#[test]
fn topics_are_found_or_asked_for() {
    let refused = |messages: &[Recorded], scan_topic: Option<&str>, plan_topic: Option<&str>| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("drive.mcap");
        write_mcap(&file, messages, mcap::WriteOptions::new());
        let mut options = options(SceneRules::default());
        let drawing = options.drawing.as_mut().unwrap();
        (drawing.scan_topic, drawing.plan_topic) = (scan_topic.map(Into::into), plan_topic.map(Into::into));
        Recording::open(&file, &options).err().map(|error| error.to_string())
    };
    let mut messages = drive(1, "odom");
    assert_eq!(refused(&messages, None, None), None);
    messages.push(plan_on("/local_plan", 5, "odom", &PLAN));
    assert_eq!(refused(&messages, None, None), None, "the plan of the usual name");
    assert!(refused(&messages, None, Some("/nowhere")).unwrap().contains("there is no topic /nowhere"));
    messages.push(Recorded { topic: "/rear/scan", ..scan(5, &beams(0)) });
    assert!(refused(&messages, None, None).unwrap().contains("several laser scan topics (/scan, /rear/scan)"));
    assert_eq!(refused(&messages, Some("/scan"), Some("/local_plan")), None);
    messages.retain(|message| message.topic != "/plan");
    messages.push(plan_on("/transformed_plan", 5, "odom", &PLAN));
    let several = refused(&messages, Some("/scan"), None).unwrap();
    assert!(several.contains("several plan topics") && several.contains("--plan-topic"), "{several}");
    messages.retain(|message| message.topic != "/scan" && message.topic != "/rear/scan");
    assert!(refused(&messages, None, None).unwrap().contains("no laser scan topic"));
}

#[test]
fn a_real_bag_without_scans_says_so() {
    let Some(bags) = support::shared_data("bags") else { return };
    let error = Recording::open(bags.join("jackal_run"), &options(SceneRules::default())).err().unwrap().to_string();
    assert!(error.contains("no laser scan topic (of type sensor_msgs/msg/LaserScan)"), "{error}");
}
