//! Scenes from what a robot publishes, and every bad input that can come.

use std::time::Duration;

use nalgebra::Point2;
use proptest::prelude::*;
use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::frame::render::{LaserScan, Renderer};
use vlm_planner_tuner::scene::{
    ComposedScene, GoalChange, Issue, NoScene, OdometryMessage, PlanLayer, PlanMessage, ScanMessage, SceneRules,
    SpatialPose, Surroundings, TransformMessage,
};

fn stamp(ms: i64) -> Stamp {
    Stamp::from_nanos(1_700_000_000_000_000_000 + ms * 1_000_000)
}

fn scan(ms: i64) -> ScanMessage {
    let scan =
        LaserScan { angle_min: 0.0, angle_increment: 0.1, range_min: 0.1, range_max: 30.0, ranges: vec![1.0, 2.0] };
    ScanMessage { stamp: stamp(ms), frame: "laser".into(), angle_max: 0.1, scan }
}

fn odometry(ms: i64, x: f64) -> OdometryMessage {
    OdometryMessage {
        stamp: stamp(ms),
        frame: "odom".into(),
        child_frame: "base_link".into(),
        pose: SpatialPose::on_ground(x, 0.0, 0.0),
    }
}

fn plan(ms: i64, frame: &str, points: usize) -> PlanMessage {
    let points = (0..points).map(|number| Point2::new(number as f64 * 1e-3, 0.5)).collect();
    PlanMessage { stamp: stamp(ms), frame: frame.into(), points }
}

fn transform(ms: i64, frame: &str, child: &str) -> TransformMessage {
    TransformMessage {
        stamp: stamp(ms),
        frame: frame.into(),
        child_frame: child.into(),
        pose: SpatialPose::on_ground(5.0, 0.0, 0.0),
        is_static: false,
    }
}

/// Odometry at 0 ms, 1 m ahead.
fn surroundings() -> Surroundings {
    let mut surroundings = Surroundings::default();
    surroundings.take_odometry(&odometry(0, 1.0)).unwrap();
    surroundings
}

fn plan_of(composed: Result<ComposedScene, NoScene>) -> &'static str {
    composed.unwrap().plan.name()
}

#[test]
fn no_odometry_yet() {
    let mut surroundings = Surroundings::default();
    assert!(matches!(surroundings.compose(scan(0)), Err(NoScene::NoPose)));
    assert_eq!(surroundings.counts().to_string(), "no_pose 1");
    surroundings.take_odometry(&odometry(0, 1.0)).unwrap();
    assert_eq!(surroundings.compose(scan(0)).unwrap().scene.robot.translation.x, 1.0);
}

#[test]
fn odometry_that_has_stopped() {
    let mut surroundings = surroundings();
    assert!(surroundings.compose(scan(200)).is_ok());
    let message = surroundings.compose(scan(300)).unwrap_err().to_string();
    assert!(message.contains("0.300 s off, at most 0.2 s is accepted (max_pose_age)"), "{message}");
    surroundings.set_rules(SceneRules { max_pose_age: Duration::from_secs(1), ..SceneRules::default() });
    assert!(surroundings.compose(scan(300)).is_ok());
    assert_eq!(surroundings.counts().of(Issue::StalePose), 1);
}

#[test]
fn poses_that_are_none_leave_the_others() {
    let mut surroundings = surroundings();
    for bad in [f64::NAN, f64::INFINITY] {
        assert!(surroundings.take_odometry(&odometry(50, bad)).is_err());
    }
    let zero = SpatialPose { position: [0.0; 3], orientation: [0.0; 4] };
    assert!(surroundings.take_odometry(&OdometryMessage { pose: zero, ..odometry(50, 0.0) }).is_err());
    assert_eq!(surroundings.counts().to_string(), "invalid_pose 3");
    assert_eq!(surroundings.compose(scan(50)).unwrap().scene.robot.translation.x, 1.0);
}

#[test]
fn a_pose_is_final_once_odometry_has_passed_it() {
    let mut surroundings = surroundings();
    assert!(surroundings.has_pose_for(stamp(0)) && !surroundings.has_pose_for(stamp(25)));
    surroundings.take_odometry(&odometry(50, 2.0)).unwrap();
    assert!(surroundings.has_pose_for(stamp(25)));
    assert_eq!(surroundings.compose(scan(25)).unwrap().scene.robot.translation.x, 1.5);
}

type Spoil = fn(&mut LaserScan);

#[test]
fn scans_that_cannot_be_placed() {
    let cases: [(&str, Spoil); 5] = [
        ("1000000 ranges", |scan| scan.ranges = vec![1.0; 1_000_000]),
        ("angle_min is NaN", |scan| scan.angle_min = f32::NAN),
        ("angle_increment is inf", |scan| scan.angle_increment = f32::INFINITY),
        ("range_min is NaN", |scan| scan.range_min = f32::NAN),
        ("range_max is NaN", |scan| scan.range_max = f32::NAN),
    ];
    let mut surroundings = surroundings();
    for (words, spoil) in cases {
        let mut message = scan(0);
        spoil(&mut message.scan);
        let said = surroundings.compose(message).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(surroundings.counts().to_string(), "blind_scan 2, undrawable_scene 3");
}

#[test]
fn scans_that_are_odd_are_drawn() {
    let cases: [Spoil; 4] = [
        |scan| (scan.angle_min, scan.angle_increment) = (3.0, -0.1),
        |scan| scan.ranges = vec![f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -1.0, f32::MAX, 0.0, 1.0],
        |scan| scan.ranges = vec![f32::INFINITY; 9],
        |scan| scan.range_max = f32::INFINITY,
    ];
    let mut surroundings = surroundings();
    for spoil in cases {
        let mut message = ScanMessage { angle_max: 0.0, ..scan(0) };
        spoil(&mut message.scan);
        let composed = surroundings.compose(message).unwrap();
        let (_, report) = Renderer::new().draw(&composed.scene).unwrap();
        assert_eq!(report.nan_ranges, composed.scene.scan.ranges.iter().filter(|range| range.is_nan()).count());
    }
}

#[test]
fn plans_of_every_kind() {
    let mut surroundings = surroundings();
    assert_eq!(plan_of(surroundings.compose(scan(0))), "none");
    surroundings.take_plan(plan(0, "odom", 0));
    assert_eq!(plan_of(surroundings.compose(scan(0))), "empty");
    surroundings.take_plan(plan(0, "/odom", 10_000));
    let composed = surroundings.compose(scan(0)).unwrap();
    assert_eq!((composed.plan, composed.scene.path.len()), (PlanLayer::Drawn, 10_000));
    surroundings.take_plan(plan(0, "odom", 100_001));
    assert!(surroundings.compose(scan(0)).unwrap_err().to_string().contains("path has 100001 points"));
    surroundings.take_plan(PlanMessage {
        points: [f64::NAN, 1e30, 1.0, 2.0].map(|x| Point2::new(x, 0.0)).into(),
        ..plan(0, "odom", 0)
    });
    let composed = surroundings.compose(scan(0)).unwrap();
    assert_eq!(Renderer::new().draw(&composed.scene).unwrap().1.unusable_path_points, 2);
}

#[test]
fn a_plan_grows_old() {
    let mut surroundings = surroundings();
    let rules = SceneRules { max_plan_age: Some(Duration::from_secs(5)), ..SceneRules::default() };
    surroundings.set_rules(rules);
    for ms in [-5001, 5001] {
        surroundings.take_plan(plan(ms, "odom", 2));
        assert_eq!(plan_of(surroundings.compose(scan(0))), "stale", "{ms}");
    }
    surroundings.take_plan(plan(-4999, "odom", 2));
    assert_eq!(plan_of(surroundings.compose(scan(0))), "drawn");
    surroundings.set_rules(SceneRules::default());
    surroundings.take_plan(plan(-1_000_000, "odom", 2));
    assert_eq!(plan_of(surroundings.compose(scan(0))), "drawn");
    assert_eq!(surroundings.counts().to_string(), "stale_plan 2");
}

#[test]
fn a_plan_is_good_until_its_goal_is_over() {
    let mut surroundings = surroundings();
    let after = |surroundings: &mut Surroundings, change| {
        surroundings.take_goal(change);
        plan_of(surroundings.compose(scan(100)))
    };
    surroundings.take_plan(plan(0, "odom", 2));
    assert_eq!(after(&mut surroundings, GoalChange::Began(stamp(-20))), "drawn", "it came before the news of its goal");
    assert_eq!(after(&mut surroundings, GoalChange::Ended), "goal_over");
    surroundings.take_plan(plan(0, "odom", 2));
    assert_eq!(plan_of(surroundings.compose(scan(100))), "goal_over", "told again");
    surroundings.take_plan(plan(50, "odom", 2));
    assert_eq!(plan_of(surroundings.compose(scan(100))), "drawn", "of the next goal");
    assert_eq!(
        after(&mut surroundings, GoalChange::Began(stamp(60))),
        "goal_over",
        "a new goal, whose plan is to come"
    );
    surroundings.take_plan(plan(90, "odom", 2));
    assert_eq!(after(&mut surroundings, GoalChange::Began(Stamp::from_nanos(0))), "goal_over", "accepted at no time");
    assert!(
        surroundings.counts().is_empty(),
        "where the goal is over, a plan is not missing: {}",
        surroundings.counts()
    );

    // A latched plan that is heard after the news that its goal is over.
    let mut late = self::surroundings();
    late.take_goal(GoalChange::Ended);
    late.take_plan(plan(-5000, "odom", 2));
    assert_eq!(plan_of(late.compose(scan(0))), "goal_over");
}

#[test]
fn a_robot_whose_frame_is_not_named_has_no_mount() {
    for child in ["", "odom", "/odom"] {
        let mut surroundings = Surroundings::new(SceneRules { apply_laser_mount: true, ..SceneRules::default() });
        surroundings.take_odometry(&OdometryMessage { child_frame: child.into(), ..odometry(0, 1.0) }).unwrap();
        let mount = TransformMessage { is_static: true, ..transform(0, "odom", "laser") };
        surroundings.take_transform(&mount).unwrap();
        let said = surroundings.compose(scan(0)).unwrap_err().to_string();
        assert!(said.contains("odometry does not name the robot's frame"), "{said}");
    }
}

#[test]
fn a_plan_in_another_frame() {
    let mut surroundings = surroundings();
    surroundings.take_plan(plan(0, "map", 2));
    let composed = surroundings.compose(scan(0)).unwrap();
    let PlanLayer::WithoutTransform(why) = &composed.plan else { panic!("{:?}", composed.plan) };
    assert_eq!(why.to_string(), "there is no transform from 'odom' to 'map'");
    assert!(composed.scene.path.is_empty());

    surroundings.take_transform(&transform(0, "map", "odom")).unwrap();
    let composed = surroundings.compose(scan(0)).unwrap();
    assert_eq!((composed.plan, composed.scene.robot.translation.x), (PlanLayer::Drawn, 6.0));
    for (ms, plan) in [(2000, "drawn"), (2001, "without_transform")] {
        surroundings.take_odometry(&odometry(ms, 1.0)).unwrap();
        assert_eq!(plan_of(surroundings.compose(scan(ms))), plan, "the transform is {ms} ms old");
    }

    surroundings.set_rules(SceneRules { assume_same_frame: true, ..SceneRules::default() });
    assert_eq!(surroundings.compose(scan(0)).unwrap().scene.robot.translation.x, 1.0);
    assert_eq!(surroundings.counts().of(Issue::PlanWithoutTransform), 2);
}

#[test]
fn a_plan_without_a_frame_is_in_another_one() {
    let mut surroundings = surroundings();
    surroundings.take_plan(plan(0, "", 2));
    assert_eq!(plan_of(surroundings.compose(scan(0))), "without_transform");
}

#[test]
fn the_mount_of_the_laser() {
    let mut surroundings = surroundings();
    surroundings.set_rules(SceneRules { apply_laser_mount: true, ..SceneRules::default() });
    let said = surroundings.compose(scan(0)).unwrap_err().to_string();
    assert!(said.contains("there is no transform from 'laser' to 'base_link'"), "{said}");
    let mount = TransformMessage { is_static: true, ..transform(-9_000_000, "base_link", "laser") };
    surroundings.take_transform(&mount).unwrap();
    let scene = surroundings.compose(scan(0)).unwrap().scene;
    assert_eq!(scene.laser_mount.unwrap().translation.x, 5.0);
}

#[test]
fn a_clock_that_is_set_back_begins_anew() {
    for by_transform in [false, true] {
        let mut surroundings = surroundings();
        surroundings.take_transform(&transform(0, "map", "odom")).unwrap();
        surroundings.take_plan(plan(0, "odom", 2));
        if by_transform {
            surroundings.take_transform(&transform(-10_000, "map", "odom")).unwrap();
        } else {
            surroundings.take_odometry(&odometry(-10_000, 3.0)).unwrap();
        }
        assert_eq!(surroundings.counts().to_string(), "clock_set_back 1");
        assert!(surroundings.compose(scan(0)).is_err(), "what was known of then is forgotten");
        surroundings.take_odometry(&odometry(-10_000, 3.0)).unwrap();
        assert_eq!(plan_of(surroundings.compose(scan(-10_000))), "none");
    }
}

#[test]
fn odometry_in_another_frame_begins_anew() {
    let mut surroundings = surroundings();
    surroundings.take_odometry(&OdometryMessage { frame: "map".into(), ..odometry(100, 7.0) }).unwrap();
    assert_eq!(surroundings.compose(scan(50)).unwrap().scene.robot.translation.x, 7.0, "nothing lies between frames");
}

proptest! {
    #[test]
    fn whatever_comes_is_a_scene_or_a_reason(
        messages in prop::collection::vec((0u8..5, any::<i64>(), any::<[u64; 7]>(), 0usize..3, 0usize..3), 0..60),
        shift in any::<bool>(),
    ) {
        const FRAMES: [&str; 3] = ["odom", "map", ""];
        let mut surroundings = Surroundings::new(SceneRules { apply_laser_mount: shift, ..SceneRules::default() });
        let renderer = Renderer::new();
        for (kind, nanos, bits, frame, child) in messages {
            // Half of the stamps close together, so that some of them meet.
            let at = Stamp::from_nanos(if kind % 2 == 0 { nanos } else { nanos % 1_000_000_000 });
            let n = bits.map(f64::from_bits);
            let pose = SpatialPose { position: [n[0], n[1], n[2]], orientation: [n[3], n[4], n[5], n[6]] };
            let (frame, child) = (FRAMES[frame].to_owned(), FRAMES[child].to_owned());
            match kind {
                0 => drop(surroundings.take_odometry(&OdometryMessage { stamp: at, frame, child_frame: child, pose })),
                1 => drop(surroundings.take_odometry(&odometry(nanos % 500, n[0]))),
                2 => drop(surroundings.take_transform(&TransformMessage {
                    stamp: at, frame, child_frame: child, pose, is_static: nanos % 2 == 0,
                })),
                3 => surroundings.take_plan(PlanMessage { stamp: at, frame, points: vec![Point2::new(n[0], n[1]); 3] }),
                _ => {
                    if let Ok(composed) = surroundings.compose(scan(nanos % 500)) {
                        prop_assert!(renderer.draw(&composed.scene).is_ok(), "what is composed can be drawn");
                    }
                }
            }
        }
    }
}
