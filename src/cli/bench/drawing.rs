//! What a frame costs that is drawn: from messages to pixels.

use std::time::Instant;

use nalgebra::Point2;

use super::Row;
use crate::frame::Stamp;
use crate::frame::render::{LaserScan, Renderer};
use crate::scene::{OdometryMessage, PlanMessage, ScanMessage, SpatialPose, Surroundings};

const BEAMS: u16 = 720;
const PATH_POINTS: u16 = 200;

/// Times of composing and drawing, after a frame that is not counted.
pub(super) fn bench(runs: u32) -> anyhow::Result<Vec<Row>> {
    let renderer = Renderer::new();
    let mut surroundings = surroundings()?;
    let (mut composing, mut drawing, mut total) = (Vec::new(), Vec::new(), Vec::new());
    let mut buffer = Vec::new();
    for run in 0..=runs {
        let scan = scan();
        let start = Instant::now();
        let composed = surroundings.compose(scan)?;
        let composed_after = start.elapsed();
        let (frame, _) = renderer.draw_reusing(std::mem::take(&mut buffer), &composed.scene)?;
        let drawn_after = start.elapsed();
        buffer = frame.into_rgb();
        if run > 0 {
            composing.push(composed_after);
            drawing.push(drawn_after.saturating_sub(composed_after));
            total.push(drawn_after);
        }
    }
    Ok(vec![Row::new("compose", composing), Row::new("draw", drawing), Row::new("total", total)])
}

/// A room with pillars: every beam ends within the picture.
fn scan() -> ScanMessage {
    let ranges = (0..BEAMS).map(|beam| if beam % 90 < 12 { 1.0 } else { 1.7 + (f32::from(beam) * 0.05).sin() * 0.2 });
    let scan = LaserScan {
        angle_min: -2.356,
        angle_increment: 0.006_545,
        range_min: 0.1,
        range_max: 30.0,
        ranges: ranges.collect(),
    };
    ScanMessage { stamp: Stamp::from_nanos(0), frame: "laser".into(), angle_max: 0.0, scan }
}

/// A plan that winds through the picture to its far edge.
fn surroundings() -> anyhow::Result<Surroundings> {
    let mut surroundings = Surroundings::default();
    let points = (0..PATH_POINTS).map(|point| {
        let ahead = f64::from(point) * 0.02;
        Point2::new(ahead, (ahead * 2.0).sin())
    });
    let (stamp, frame) = (Stamp::from_nanos(0), "odom".to_owned());
    surroundings.take_plan(PlanMessage { stamp, frame: frame.clone(), points: points.collect() });
    let pose = SpatialPose::on_ground(0.0, 0.0, 0.1);
    surroundings.take_odometry(&OdometryMessage { stamp, frame, child_frame: "base_link".into(), pose })?;
    Ok(surroundings)
}
