//! Draws the costmap picture that the model was trained on: laser scan, pose and path in, pixels out.
//!
//! Training pictures were drawn with OpenCV on a canvas of 800x800 pixels of 1 cm around the robot, of which 600x400
//! were kept: 2 m behind the robot, 4 m ahead, 2 m to each side. This module gives the same bytes without OpenCV.
//! A layer is a file, and they are drawn in this order, later ones on top:
//!
//! | layer | file | what |
//! | --- | --- | --- |
//! | grid | `grid` | grey ground with a line every metre |
//! | laser | `laser` | a red disc where a beam ended |
//! | path | `path`, `antialiased_line` | the global plan, a thin black line in OpenCV's fixed-point arithmetic |
//! | overlay | `overlay` | green axis ahead, blue axis to the left, the yellow robot |
//!
//! Beams start at the robot's centre, wherever the laser is mounted, as in the training pictures, unless
//! [`Scene::laser_mount`] says otherwise.
//!
//! `canvas` holds the geometry and cuts away what lies outside the kept part while drawing; nothing is drawn twice.
//!
//! What happens to bad input:
//! - A NaN range is skipped and counted in [`RenderReport::nan_ranges`]; ranges that are infinite, zero, or outside the
//!   scanner's limits are no obstacle and skipped. Zero and negative angle increments are drawn as they are. Whether a
//!   scan sees anything at all is asked where scenes are composed ([`crate::scene`]): here an empty one is an empty picture.
//! - A scan that cannot be placed (angles or limits that are not finite, more than [`LaserScan::MAX_RANGES`] beams)
//!   refuses the frame: a picture without its obstacles would look like free space. The same goes for a pose that is not
//!   finite and a path of more than [`Scene::MAX_PATH_POINTS`] points.
//! - A path point that is not finite, or so far away that its pixel has no 32-bit number (OpenCV's limit; some 21,000 km),
//!   is left out together with the segments that touch it, and counted in [`RenderReport::unusable_path_points`].

mod antialiased_line;
mod canvas;
mod error;
mod grid;
mod laser;
mod overlay;
mod path;
mod scene;
mod scene_file;

pub use error::RenderError;
pub use scene::{LaserScan, Scene};

use canvas::Canvas;

use super::Frame;

/// What was left out of a picture that was drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RenderReport {
    /// Beams whose range is NaN.
    pub nan_ranges: usize,
    /// Path points that are not finite or out of reach.
    pub unusable_path_points: usize,
}

/// Draws scenes. Holds the empty grid, which every picture starts from.
#[derive(Debug, Clone)]
pub struct Renderer {
    grid: Vec<u8>,
}

impl Renderer {
    /// Width of the picture, pixels.
    pub const WIDTH: u32 = canvas::WIDTH as u32;
    /// Height of the picture, pixels.
    pub const HEIGHT: u32 = canvas::HEIGHT as u32;
    /// Bytes of a picture, three a pixel.
    pub const RGB_LEN: usize = canvas::WIDTH * canvas::HEIGHT * 3;

    /// Draws the grid once for all pictures.
    pub fn new() -> Self {
        let mut grid = vec![0; Self::RGB_LEN];
        grid::draw(&mut Canvas::on(&mut grid));
        Self { grid }
    }

    /// Draws a scene as a new frame of [`Self::WIDTH`] x [`Self::HEIGHT`] pixels.
    ///
    /// # Errors
    /// As [`Self::draw_into`].
    pub fn draw(&self, scene: &Scene) -> Result<(Frame, RenderReport), RenderError> {
        self.draw_reusing(Vec::new(), scene)
    }

    /// As [`Self::draw`], on the buffer of a frame that is no longer needed ([`Frame::into_rgb`]). One that is large
    /// enough is not allocated again.
    ///
    /// # Errors
    /// As [`Self::draw_into`]; the buffer is lost then.
    pub fn draw_reusing(&self, mut rgb: Vec<u8>, scene: &Scene) -> Result<(Frame, RenderReport), RenderError> {
        rgb.resize(Self::RGB_LEN, 0);
        let report = self.draw_into(scene, &mut rgb)?;
        Ok((Frame::from_rgb8(Self::WIDTH, Self::HEIGHT, rgb)?, report))
    }

    /// Draws a scene over a buffer of [`Self::RGB_LEN`] bytes (rows from top to bottom, red first) and allocates nothing.
    ///
    /// # Errors
    /// [`RenderError`] when the scene cannot be drawn (see the [module](self)) or the buffer has another length; the
    /// buffer is untouched then.
    pub fn draw_into(&self, scene: &Scene, rgb: &mut [u8]) -> Result<RenderReport, RenderError> {
        scene.check()?;
        if rgb.len() != self.grid.len() {
            return Err(RenderError::Buffer { expected: self.grid.len(), found: rgb.len() });
        }
        rgb.copy_from_slice(&self.grid);
        let mut canvas = Canvas::on(rgb);
        let nan_ranges = laser::draw(&mut canvas, &scene.scan, scene.laser_mount.as_ref());
        let unusable_path_points = path::draw(&mut canvas, &scene.robot, &scene.path);
        overlay::draw(&mut canvas);
        Ok(RenderReport { nan_ranges, unusable_path_points })
    }
}

impl Default for Renderer {
    fn default() -> Self {
        Self::new()
    }
}
