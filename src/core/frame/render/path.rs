//! The global plan: a thin black line through its points.

use nalgebra::{Isometry2, Point2};

use super::antialiased_line;
use super::canvas::{Canvas, Colour, Pixel, pixel};

const PATH: Colour = [0, 0, 0];

/// Draws the path (points and robot pose in the same frame, m and rad) and returns how many points were unusable.
///
/// Every segment is blended on its own, so joints get darker than the middle of a line, as in the training pictures.
/// A single point draws nothing, two equal ones draw a dot.
pub(super) fn draw(canvas: &mut Canvas<'_>, robot: &Isometry2<f64>, path: &[Point2<f64>]) -> usize {
    let mut unusable = 0;
    let mut previous = None;
    for point in path {
        let here = usable(&robot.inverse_transform_point(point));
        if here.is_none() {
            unusable += 1;
        }
        if let (Some(from), Some(to)) = (previous, here) {
            antialiased_line::draw(canvas, from, to, PATH);
        }
        previous = here;
    }
    unusable
}

/// The pixel under a point in the robot's frame, where the reference has one: OpenCV counts pixels with 32 bits.
fn usable(point: &Point2<f64>) -> Option<Pixel> {
    let pixel = pixel(point);
    let countable = |coordinate: f64, pixel: i64| coordinate.is_finite() && i32::try_from(pixel).is_ok();
    (countable(point.x, pixel.x) && countable(point.y, pixel.y)).then_some(pixel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_without_a_pixel_are_counted_with_their_segments_left_out() {
        let mut rgb = vec![255; super::super::Renderer::RGB_LEN];
        let path = [(f64::NAN, 0.0), (1.0, 1.0), (1e30, 0.0), (2.0, 1.0), (0.0, f64::INFINITY), (0.0, -3e7)]
            .map(|(x, y)| Point2::new(x, y));
        assert_eq!(draw(&mut Canvas::on(&mut rgb), &Isometry2::identity(), &path), 4);
        assert!(rgb.iter().all(|byte| *byte == 255), "no two usable points are neighbours");
    }
}
