//! Obstacles: a red disc where a laser beam ended.

use nalgebra::{Isometry3, Point2, Point3};

use super::LaserScan;
use super::canvas::{Canvas, Colour, SIDE, pixel};

const HIT: Colour = [255, 0, 0];
/// 0.05 m.
const RADIUS: i64 = 5;

/// Draws the beams and returns how many ranges were NaN.
///
/// The angle is summed up beam by beam as the reference does, so that its rounding errors are the same. Without a mount,
/// beams are drawn from the robot's centre. A hit outside the canvas is left out even where its disc would reach in.
pub(super) fn draw(canvas: &mut Canvas<'_>, scan: &LaserScan, mount: Option<&Isometry3<f64>>) -> usize {
    let on_canvas = 0..SIDE;
    let mut nan_ranges = 0;
    let mut angle = f64::from(scan.angle_min);
    for &range in &scan.ranges {
        if range.is_nan() {
            nan_ranges += 1;
        } else if LaserScan::is_return(range, scan.range_min, scan.range_max) {
            let (range, (sin, cos)) = (f64::from(range), angle.sin_cos());
            let hit = Point2::new(range * cos, range * sin);
            let hit = pixel(&mount.map_or(hit, |mount| mount.transform_point(&Point3::new(hit.x, hit.y, 0.0)).xy()));
            if on_canvas.contains(&hit.x) && on_canvas.contains(&hit.y) {
                canvas.disc(hit, RADIUS, HIT);
            }
        }
        angle += f64::from(scan.angle_increment);
    }
    nan_ranges
}
