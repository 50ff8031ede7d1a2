//! Whether an image looks like the costmap pictures that the model was trained on.

use std::fmt;

use super::Frame;
use super::render::Renderer;

/// Why an image does not look like a costmap picture of the robot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddAppearance {
    /// One colour all over.
    Uniform,
    /// No yellow robot in its place.
    NoRobot,
    /// Hardly any grey ground.
    NoGround,
}

/// How far a channel may be off: JPEG smears edges, and some publishers scale colours a little.
const TOLERANCE: i32 = 60;
/// Inside the robot's box, away from its outline: column and row.
const ROBOT: [(u32, u32); 5] = [(190, 195), (210, 205), (200, 208), (183, 185), (217, 215)];
const YELLOW: [u8; 3] = [255, 255, 0];
const GREY: [u8; 3] = [205, 205, 205];
/// Every so many-th pixel is looked at for the ground; prime, so that grid lines are not met again and again.
const STRIDE: usize = 61;
/// Least share of ground. Real drives have 90 %.
const LEAST_GROUND: f64 = 0.25;

/// Looks at an image of the trained size; `None` for one that looks right, and for other sizes, of which nothing is known.
///
/// All 949 recorded pictures at hand pass, drawn by several versions of the original's renderer.
pub fn odd_appearance(frame: &Frame) -> Option<OddAppearance> {
    if (frame.width(), frame.height()) != (Renderer::WIDTH, Renderer::HEIGHT) {
        return None;
    }
    let pixels = frame.rgb().as_chunks::<3>().0;
    let at = |(column, row): (u32, u32)| pixels.get((row * frame.width() + column) as usize);
    let first = pixels.first()?;
    if pixels.iter().all(|pixel| pixel == first) {
        return Some(OddAppearance::Uniform);
    }
    if !ROBOT.into_iter().all(|place| at(place).is_some_and(|pixel| near(pixel, YELLOW))) {
        return Some(OddAppearance::NoRobot);
    }
    let looked_at = pixels.iter().step_by(STRIDE);
    let ground = looked_at.clone().filter(|pixel| near(pixel, GREY)).count();
    ((ground as f64) < LEAST_GROUND * looked_at.count() as f64).then_some(OddAppearance::NoGround)
}

fn near(pixel: &[u8; 3], colour: [u8; 3]) -> bool {
    pixel.iter().zip(colour).all(|(&found, wanted)| (i32::from(found) - i32::from(wanted)).abs() <= TOLERANCE)
}

impl fmt::Display for OddAppearance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OddAppearance::Uniform => "it has one colour all over",
            OddAppearance::NoRobot => "there is no yellow robot at column 200, row 200",
            OddAppearance::NoGround => "there is hardly any grey ground",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::frame::render::{LaserScan, Scene};

    fn drawn() -> Frame {
        let (robot, path) = (nalgebra::Isometry2::identity(), Vec::new());
        let scan = LaserScan {
            angle_min: 0.0,
            angle_increment: 0.01,
            range_min: 0.1,
            range_max: 30.0,
            ranges: vec![1.5; 700],
        };
        Renderer::new().draw(&Scene { scan, laser_mount: None, robot, path }).unwrap().0
    }

    fn painted(change: impl Fn(usize, &mut [u8; 3])) -> Option<OddAppearance> {
        let mut rgb = drawn().rgb().to_vec();
        rgb.as_chunks_mut::<3>().0.iter_mut().enumerate().for_each(|(index, pixel)| change(index, pixel));
        odd_appearance(&Frame::from_rgb8(600, 400, rgb).unwrap())
    }

    #[test]
    fn fault_7_an_image_that_is_no_costmap_picture_is_told_apart() {
        assert_eq!(odd_appearance(&drawn()), None);
        for colour in [[0; 3], [255; 3], [205; 3], YELLOW] {
            assert_eq!(painted(|_, pixel| *pixel = colour), Some(OddAppearance::Uniform), "{colour:?}");
        }
        // Red and blue exchanged, as by a publisher that calls bgr8 rgb8: the robot is cyan.
        assert_eq!(painted(|_, pixel| pixel.reverse()), Some(OddAppearance::NoRobot));
        // The robot elsewhere.
        let shifted = |index: usize, pixel: &mut [u8; 3]| {
            if index / 600 < 230 {
                *pixel = GREY;
            }
        };
        assert_eq!(painted(shifted), Some(OddAppearance::NoRobot));
        let saturated = |_: usize, pixel: &mut [u8; 3]| *pixel = pixel.map(|value| if value > 100 { 255 } else { 0 });
        assert_eq!(painted(saturated), None, "white ground is within the tolerance");
        let inverted = |index: usize, pixel: &mut [u8; 3]| {
            if index / 600 > 230 || index / 600 < 170 || index % 600 > 230 {
                *pixel = [0, 0, 0];
            }
        };
        assert_eq!(painted(inverted), Some(OddAppearance::NoGround));
        // A little noise, as JPEG leaves it, changes nothing.
        assert_eq!(
            painted(|index, pixel| *pixel = pixel.map(|value| value.saturating_add((index % 13) as u8 * 4))),
            None
        );
    }

    #[test]
    fn nothing_is_known_of_other_sizes() {
        assert_eq!(odd_appearance(&Frame::from_rgb8(4, 4, vec![0; 48]).unwrap()), None);
    }
}
