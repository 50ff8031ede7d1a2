//! The drawn costmap picture: the reference's scenes in every pixel, and random scenes against a slow painter.

use std::path::{Path, PathBuf};

use crate::support;
use crate::support::slow_painter;
use nalgebra::{Isometry2, Point2, Vector2};
use proptest::prelude::*;
use vlm_planner_tuner::frame::render::{LaserScan, RenderError, Renderer, Scene};
use vlm_planner_tuner::frame::{Frame, odd_appearance};

fn picture(path: &Path) -> image::RgbaImage {
    image::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into_rgba8()
}

/// Scenes among the named fixture sets, or those of the reference data.
fn scenes() -> Option<PathBuf> {
    let named = std::env::var_os("PLANNER_TUNER_FIXTURES").and_then(|_| support::fixture_set("render"));
    named.or_else(|| support::shared_data("render"))
}

#[test]
fn fixture_scenes_are_equal_in_every_pixel() {
    let Some(folder) = scenes() else { return };
    let renderer = Renderer::new();
    let mut compared = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.display().to_string();
        let scene = Scene::from_json(&std::fs::read_to_string(&path).unwrap(), &name).unwrap();
        let (frame, report) = renderer.draw(&scene).unwrap();
        let expected = picture(&path.with_extension("png"));
        assert_eq!((frame.width(), frame.height()), expected.dimensions(), "{name}");
        let wrong =
            frame.rgb().chunks(3).zip(expected.pixels()).filter(|(ours, theirs)| **ours != theirs.0[..3]).count();
        assert_eq!(wrong, 0, "{name}: pixels that differ");
        assert_eq!((report.nan_ranges, report.unusable_path_points), (0, 0), "{name}");
        compared += 1;
    }
    assert!(compared > 0, "no scenes in {}", folder.display());
    println!("render: {compared} scenes equal in every pixel");
}

#[test]
fn fixture_background_and_overlay_are_equal_in_every_pixel() {
    let Some(folder) = scenes() else { return };
    if !folder.join("overlay.png").is_file() {
        eprintln!("skipped: no overlay.png in {}", folder.display());
        return;
    }
    let (overlay, background) = (picture(&folder.join("overlay.png")), picture(&folder.join("background.png")));
    let (frame, _) = Renderer::new().draw(&empty_scene()).unwrap();
    for ((ours, over), under) in frame.rgb().chunks(3).zip(overlay.pixels()).zip(background.pixels()) {
        let expected = if over.0[3] == 255 { over } else { under };
        assert_eq!(*ours, expected.0[..3]);
    }
}

fn empty_scene() -> Scene {
    let scan = LaserScan { angle_min: 0.0, angle_increment: 0.0, range_min: 0.1, range_max: 30.0, ranges: Vec::new() };
    Scene { scan, laser_mount: None, robot: Isometry2::identity(), path: Vec::new() }
}

fn range() -> impl Strategy<Value = f32> {
    prop_oneof![
        20 => 0.05f32..6.0,
        2 => 3.9f32..4.1,
        1 => -2.0f32..0.1,
        1 => prop_oneof![Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(f32::NAN), Just(f32::MAX), Just(0.0)],
    ]
}

fn coordinate() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => -5.0f64..5.0,
        // Whole pixels and the canvas' borders.
        5 => (-450i32..=450).prop_map(|pixel| f64::from(pixel) * 0.01),
        2 => -200.0f64..200.0,
        1 => -1e7f64..1e7,
        1 => prop_oneof![Just(f64::NAN), Just(1e30), Just(f64::NEG_INFINITY), Just(2.2e7), Just(0.0)],
    ]
}

prop_compose! {
    fn scene()(
        angles in (-4.0f32..4.0, -0.1f32..0.1),
        limits in (-1.0f32..0.5, prop_oneof![3.0f32..30.0, Just(f32::INFINITY)]),
        ranges in proptest::collection::vec(range(), 0..80),
        pose in (-10.0f64..10.0, -10.0f64..10.0, -7.0f64..7.0),
        at_origin in any::<bool>(),
        path in proptest::collection::vec((coordinate(), coordinate()), 0..24),
        repeated in any::<prop::sample::Index>(),
    ) -> Scene {
        let robot = Isometry2::new(Vector2::new(pose.0, pose.1), pose.2);
        let robot = if at_origin { Isometry2::identity() } else { robot };
        let mut path: Vec<_> = path.into_iter().map(|(x, y)| Point2::new(x, y)).collect();
        if !path.is_empty() {
            let at = repeated.index(path.len());
            path.insert(at, path[at]);
        }
        let scan = LaserScan {
            angle_min: angles.0, angle_increment: angles.1, range_min: limits.0, range_max: limits.1, ranges,
        };
        Scene { scan, laser_mount: None, robot, path }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn random_scenes_equal_the_slow_painter(scene in scene()) {
        let (frame, report) = Renderer::new().draw(&scene).unwrap();
        let (pixels, nan_ranges, unusable_path_points) = slow_painter::paint(&scene);
        prop_assert_eq!(report.nan_ranges, nan_ranges);
        prop_assert_eq!(report.unusable_path_points, unusable_path_points);
        let wrong = frame.rgb().chunks(3).zip(&pixels).position(|(ours, theirs)| ours != theirs);
        prop_assert_eq!(wrong.map(|at| (at % 600, at / 600)), None, "first pixel that differs");
    }

    #[test]
    fn no_scan_and_no_path_is_too_odd(
        bits in proptest::collection::vec(any::<u32>(), 4..40),
        points in proptest::collection::vec(any::<(u64, u64)>(), 0..40),
    ) {
        let mut numbers = bits.into_iter().map(f32::from_bits);
        let mut next = || numbers.next().unwrap();
        let (angle_min, angle_increment, range_min, range_max) = (next(), next(), next(), next());
        let scan = LaserScan { angle_min, angle_increment, range_min, range_max, ranges: numbers.collect() };
        let path = points.into_iter().map(|(x, y)| Point2::new(f64::from_bits(x), f64::from_bits(y))).collect();
        let drawable = angle_min.is_finite() && angle_increment.is_finite() && !range_min.is_nan() && !range_max.is_nan();
        let drawn = Renderer::new().draw(&Scene { scan, laser_mount: None, robot: Isometry2::identity(), path });
        prop_assert_eq!(drawn.is_ok(), drawable);
    }
}

#[test]
fn a_buffer_is_drawn_over_whatever_it_held() {
    let renderer = Renderer::new();
    let mut scene = empty_scene();
    scene.scan.ranges = vec![1.0];
    scene.path = vec![Point2::new(-1.0, -1.0), Point2::new(3.0, 1.5)];
    let (frame, _) = renderer.draw(&scene).unwrap();
    let mut rgb = vec![77; Renderer::RGB_LEN];
    renderer.draw_into(&scene, &mut rgb).unwrap();
    assert!(rgb == frame.rgb());
}

#[test]
fn what_cannot_be_drawn_is_refused_and_leaves_the_buffer_alone() {
    let renderer = Renderer::new();
    let refused = |change: &dyn Fn(&mut Scene)| -> String {
        let (mut scene, mut rgb) = (empty_scene(), vec![77; Renderer::RGB_LEN]);
        change(&mut scene);
        let error = renderer.draw_into(&scene, &mut rgb).unwrap_err();
        assert!(rgb.iter().all(|byte| *byte == 77));
        error.to_string()
    };
    assert_eq!(
        refused(&|scene| scene.scan.ranges = vec![1.0; 1_000_000]),
        "scan has 1000000 ranges, expected at most 100000; check the LaserScan publisher"
    );
    assert_eq!(
        refused(&|scene| scene.scan.angle_increment = f32::NAN),
        "scan angle_increment is NaN, expected a finite angle in rad; check the LaserScan publisher"
    );
    assert!(refused(&|scene| scene.scan.range_max = f32::NAN).starts_with("scan range_max is NaN"));
    assert!(refused(&|scene| scene.robot.translation.vector.x = f64::NAN).starts_with("pose x is NaN"));
    assert!(refused(&|scene| scene.path = vec![Point2::origin(); 100_001]).starts_with("path has 100001 points"));
    let error = renderer.draw_into(&empty_scene(), &mut [0; 3]).unwrap_err();
    assert!(matches!(error, RenderError::Buffer { expected: Renderer::RGB_LEN, found: 3 }));
}

#[test]
fn the_longest_scan_and_path_that_are_accepted_are_drawn() {
    let mut scene = empty_scene();
    scene.scan.ranges = vec![1.0; LaserScan::MAX_RANGES];
    scene.path = (0..10_000).map(|n| Point2::new(-4.0 + 8.0 * f64::from(n % 2), f64::from(n) * 1e-4)).collect();
    let (frame, report) = Renderer::new().draw(&scene).unwrap();
    assert_eq!(report.unusable_path_points, 0);
    // A zero increment puts every beam on the same spot, 1 m ahead. The path is on the left, the axis covers the middle.
    assert_eq!(frame.rgb()[(204 * 600 + 300) * 3..][..3], [255, 0, 0]);
}

#[test]
fn recorded_pictures_look_like_what_they_are() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("test/fixtures/demo_drive/frames");
    let recorded = support::shared_data("jackal_frames").map(|folder| folder.join("frames"));
    let mut looked_at = 0;
    for folder in [Some(own), recorded].into_iter().flatten() {
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "png")) {
            let image = image::open(&file).unwrap().to_rgb8();
            let frame = Frame::from_rgb8(image.width(), image.height(), image.into_raw()).unwrap();
            assert_eq!(odd_appearance(&frame), None, "{}", file.display());
            looked_at += 1;
        }
    }
    assert!(looked_at > 0);
    support::say(&format!("{looked_at} recorded pictures look like costmap pictures of the robot"));
}
