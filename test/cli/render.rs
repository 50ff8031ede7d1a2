//! `planner_tuner render`, `replay` and `bench` on pictures that are drawn from a recording.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support;
use crate::support::scene_bag::{as_sent, beams, drive, path, robot};
use crate::support::small_bag;
use crate::support::small_bag::{Recorded, nanos, write_mcap};
use serde_json::Value;
use vlm_planner_tuner::frame::render::{Renderer, Scene};
use vlm_planner_tuner::picture::save_png;
use vlm_planner_tuner::recording::{DrawingOptions, RecordedFrame, Recording, RecordingOptions};

fn frames_of(bag: &Path) -> Vec<RecordedFrame> {
    let options = RecordingOptions { drawing: Some(DrawingOptions::default()), ..RecordingOptions::default() };
    Recording::open(bag, &options).unwrap().collect::<Result<_, _>>().unwrap()
}

fn planner_tuner(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_planner_tuner")).args(args).output().unwrap()
}

fn saved(folder: &Path, messages: &[Recorded]) -> PathBuf {
    let file = folder.join("drive.mcap");
    write_mcap(&file, messages, mcap::WriteOptions::new());
    file
}

#[test]
fn the_command_writes_a_picture_a_decision() {
    let folder = tempfile::tempdir().unwrap();
    let (bag, pictures) = (saved(folder.path(), &drive(2, "odom")), folder.path().join("pictures"));
    let render = |bag: &Path, rest: &[&str]| {
        let args = [&["render", bag.to_str().unwrap(), "-o", pictures.to_str().unwrap()], rest].concat();
        planner_tuner(&args)
    };
    let output = render(&bag, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stamps: Vec<i64> = lines.iter().map(|line| line["stamp_ns"].as_i64().unwrap()).collect();
    assert_eq!(stamps, [0, 500, 1000, 1500].map(nanos));
    let frames = frames_of(&bag);
    for (line, number) in lines.iter().zip([0, 5, 10, 15]) {
        assert_eq!((line["plan"].as_str(), line["ranges"].as_i64()), (Some("drawn"), Some(720)));
        let picture = image::open(pictures.join(line["file"].as_str().unwrap())).unwrap().into_rgb8();
        assert!(picture.as_raw() == frames[number].frame.frame.rgb());
    }
    assert!(pictures.join("1700000000.500000000.png").is_file());

    let lossy = folder.path().join("lossy");
    std::fs::create_dir(&lossy).unwrap();
    let output = render(&saved(&lossy, &drive(1, "map")), &["--rate", "every"]);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{talk}");
    assert!(talk.contains("10 pictures (plan: without_transform 10)") && talk.contains("plan_without_transform 10"));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 11);
}

#[test]
fn the_drawing_of_a_frame_is_measured() {
    let output = planner_tuner(&["bench", "--render", "--runs", "20", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let measured: Value = serde_json::from_slice(&output.stdout).unwrap();
    let median = |stage: &str| measured["stages"][stage]["median_ms"].as_f64().unwrap();
    support::say(&format!(
        "720 beams and 200 path points: {:.3} ms at the median, of which drawing {:.3} ms (bar 1 ms, in a release build)",
        median("total"),
        median("draw")
    ));
    assert!(median("total") >= median("draw"));
}

#[test]
fn pictures_are_compared_with_recorded_images() {
    let folder = tempfile::tempdir().unwrap();
    let mut messages = drive(2, "odom");
    for turn in 0..20 {
        let ms = turn * 100;
        // The second half was drawn without the plan.
        let path = if ms < 1000 { path() } else { Vec::new() };
        let scene = Scene { scan: beams(ms), laser_mount: None, robot: as_sent(&robot(ms)), path };
        let (frame, _) = Renderer::new().draw(&scene).unwrap();
        let payload = small_bag::image(nanos(ms), 600, 400, "rgb8", 1800, frame.rgb());
        messages.push(Recorded { topic: "/costmap_image", type_name: small_bag::IMAGE, log_ms: ms, payload });
    }
    let bag = saved(folder.path(), &messages);
    let output = planner_tuner(&[
        "render",
        bag.to_str().unwrap(),
        "-o",
        folder.path().join("pictures").to_str().unwrap(),
        "--compare",
        "--json",
    ]);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{talk}");
    assert!(talk.contains("4 compared with recorded images, 2 equal in every pixel"), "{talk}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (line, differs) in lines.iter().zip([false, false, true, true]) {
        let of = |layer: &str| line["differs"][layer].as_i64().unwrap();
        assert_eq!((of("pixels") > 300, of("laser"), of("other")), (differs, 0, 0), "{line}");
    }
}

#[test]
fn replay_decides_on_drawn_frames_as_on_the_same_pictures() {
    let Some(model) = support::fixture_set("tiny_vlm") else { return };
    let folder = tempfile::tempdir().unwrap();
    let bag = saved(folder.path(), &drive(3, "odom"));
    let mut table = String::from("file,stamp_ns,linear_vel,angular_vel\n");
    for (number, recorded) in frames_of(&bag).iter().enumerate() {
        save_png(&folder.path().join(format!("{number}.png")), &recorded.frame.frame).unwrap();
        table += &format!("{number}.png,{},0.5,0.1\n", recorded.frame.stamp.nanos());
    }
    std::fs::write(folder.path().join("frames.csv"), table).unwrap();

    let path = |part: &str| model.join(part).display().to_string();
    let (base, checkpoint, policy) = (path("base"), path("checkpoint"), path("policy"));
    let parameters = |recording: &Path, rest: &[&str]| -> Vec<(i64, Value)> {
        let model = ["--base", &base, "--checkpoint", &checkpoint, "--policy", &policy, "--json"];
        let output = planner_tuner(&[&["replay", recording.to_str().unwrap()], &model[..], rest].concat());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let line = |line| -> Value { serde_json::from_str(line).unwrap() };
        lines.lines().map(line).map(|line| (line["stamp_ns"].as_i64().unwrap(), line["parameters"].clone())).collect()
    };
    let drawn = parameters(&bag, &["--image-source", "render"]);
    assert_eq!(drawn.len(), 6);
    assert_eq!(drawn, parameters(&folder.path().join("frames.csv"), &[]));

    let table = folder.path().join("frames.csv").display().to_string();
    let output = planner_tuner(&[
        "replay",
        &table,
        "--image-source",
        "render",
        "--base",
        &base,
        "--checkpoint",
        &checkpoint,
        "--policy",
        &policy,
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be drawn from"));
}
