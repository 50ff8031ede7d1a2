//! Plots and overlays of the demo drive: sizes, determinism, and that each part is where it should be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::drive;
use vlm_planner_tuner::feature::AttentionMap;
use vlm_planner_tuner::frame::{BodyVelocity, Frame, Stamp, StampedFrame};
use vlm_planner_tuner::picture::{
    DecisionSeries, FrameStrip, PictureError, PlottedDecision, attention_overlay, plot_decisions, save_png,
};
use vlm_planner_tuner::planner::PlannerSpec;

/// A made-up policy: slow waves, one phase a parameter.
fn decision(planner: &PlannerSpec, index: usize, seconds: f64, linear: f64, angular: f64) -> PlottedDecision {
    let wave = |parameter: usize| (index as f32 * 0.35 + parameter as f32 * 1.3).sin() * 0.9;
    let action: Vec<f32> = (0..planner.parameters().len()).map(wave).collect();
    PlottedDecision {
        stamp: Stamp::from_nanos((seconds * 1e9) as i64),
        velocity: BodyVelocity::new(linear, angular).unwrap(),
        parameters: planner.from_action(&action).unwrap(),
    }
}

/// The demo drive, as decided by the made-up policy.
fn demo(planner: &str) -> DecisionSeries {
    let planner = PlannerSpec::builtin(planner).unwrap();
    let mut series = DecisionSeries {
        title: format!("{} parameters over the demo drive", planner.name()),
        subtitle: "a made-up policy · 30 decisions · 2 Hz".to_owned(),
        ..DecisionSeries::default()
    };
    for (index, moment) in drive::record().unwrap().into_iter().enumerate() {
        let made = decision(&planner, index, moment.stamp, moment.linear_vel, moment.angular_vel);
        series.frames.push(StampedFrame { stamp: made.stamp, frame: Arc::new(moment.frame) });
        series.decisions.push(made);
    }
    series
}

/// Copies a picture to the folder in `PLANNER_TUNER_KEEP_PICTURES`, for being looked at.
fn keep(picture: &Path, title: &str) {
    if let Some(folder) = std::env::var_os("PLANNER_TUNER_KEEP_PICTURES").map(PathBuf::from) {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(picture, folder.join(title.replace(' ', "_") + ".png")).unwrap();
    }
}

fn plotted(series: &DecisionSeries) -> image::RgbImage {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plot.png");
    plot_decisions(&path, series).unwrap();
    keep(&path, &series.title);
    image::open(path).unwrap().into_rgb8()
}

fn count(picture: &image::RgbImage, colour: [u8; 3]) -> usize {
    picture.pixels().filter(|pixel| pixel.0 == colour).count()
}

#[test]
fn a_drive_is_plotted_with_its_lines_and_frames() {
    let picture = plotted(&demo("dwa"));
    assert_eq!(picture.width(), 1400);
    assert!(count(&picture, [29, 95, 168]) > 5000, "parameter lines");
    assert!(count(&picture, [18, 133, 113]) > 500 && count(&picture, [214, 98, 28]) > 500, "velocity lines");
    assert!(count(&picture, [255, 255, 0]) > 8 * 20, "the robot on eight frames");
    assert!(picture == plotted(&demo("dwa")), "the same drive gives the same picture");
}

#[test]
fn every_planner_has_a_panel_for_every_parameter() {
    let heights = ["ddp", "teb", "mppi"].map(|planner| plotted(&demo(planner)).height());
    assert_eq!((heights[1] - heights[0], heights[2] - heights[1]), (84, 84), "six, seven and eight panels");
}

#[test]
fn one_decision_and_ten_thousand_are_plotted() {
    let dwa = PlannerSpec::builtin("dwa").unwrap();
    let one = DecisionSeries {
        title: "one decision".to_owned(),
        decisions: vec![decision(&dwa, 0, 12.5, 0.4, -0.1)],
        ..DecisionSeries::default()
    };
    assert!(count(&plotted(&one), [29, 95, 168]) > 5000);

    let frame = Arc::new(Frame::from_rgb8(600, 400, vec![90; 720_000]).unwrap());
    let seconds = |index: usize| index as f64 * 0.5;
    let strip = (0..10_000)
        .map(|index| StampedFrame { stamp: Stamp::from_nanos((seconds(index) * 1e9) as i64), frame: frame.clone() });
    let many = DecisionSeries {
        title: "ten thousand decisions".to_owned(),
        subtitle: "constant frames".to_owned(),
        decisions: (0..10_000)
            .map(|index| {
                decision(&dwa, index / 40, seconds(index), (index as f64 * 0.003).sin(), (index as f64 * 0.01).cos())
            })
            .collect(),
        frames: strip.collect::<FrameStrip>(),
    };
    assert!(count(&plotted(&many), [90; 3]) > 7 * 130 * 85, "eight frames");
}

#[test]
fn what_cannot_be_plotted_is_refused() {
    let nowhere = Path::new("/nowhere/plot.png");
    assert!(matches!(plot_decisions(nowhere, &DecisionSeries::default()), Err(PictureError::NothingToPlot)));
    let mut mixed = demo("dwa");
    mixed.decisions.push(demo("teb").decisions[0].clone());
    let error = plot_decisions(nowhere, &mixed).unwrap_err().to_string();
    assert_eq!(error, "a plot shows one planner, found decisions for DWA and TEB");
    let error = plot_decisions(nowhere, &demo("dwa")).unwrap_err().to_string();
    assert!(error.starts_with("cannot write picture /nowhere/plot.png"), "{error}");
}

#[test]
fn attention_glows_where_it_is_and_the_drawing_stays_visible() {
    let frame = drive::record().unwrap().swap_remove(10).frame;
    // Attention on the obstacles ahead, a little on the path, next to none elsewhere.
    let spot =
        |row: f32, col: f32, at: (f32, f32), width: f32| (-((row - at.0).powi(2) + (col - at.1).powi(2)) / width).exp();
    let weight = |index: usize| {
        let (row, col) = ((index / 21) as f32, (index % 21) as f32);
        0.002 + 0.03 * spot(row, col, (5.3, 12.0), 3.0) + 0.012 * spot(row, col, (10.0, 14.0), 4.0)
    };
    let attention = AttentionMap::new(14, 21, (0..14 * 21).map(weight).collect()).unwrap();
    let overlay = attention_overlay(&frame, &attention).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("overlay.png");
    save_png(&path, &overlay).unwrap();
    keep(&path, "attention");

    let pixel = |frame: &Frame, x: usize, y: usize| {
        let start = (y * 600 + x) * 3;
        <[u8; 3]>::try_from(&frame.rgb()[start..start + 3]).unwrap()
    };
    let change = |x, y| -> i32 {
        pixel(&overlay, x, y)
            .iter()
            .zip(pixel(&frame, x, y))
            .map(|(new, old)| (i32::from(*new) - i32::from(old)).abs())
            .sum()
    };
    assert!(change(357, 165) > 100, "on the peak");
    assert!(change(50, 350) < 60, "far from it");
    assert_eq!(pixel(&frame, 200, 200), [255, 255, 0]);
    let [red, green, blue] = pixel(&overlay, 200, 200);
    assert!(red > 180 && green > 180 && blue < 100, "the robot stays yellow");
}
