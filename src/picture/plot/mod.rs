//! What was decided over a drive: a panel for every parameter, one for the velocities, a strip of frames under them.
//! And where the time of a decision goes.

mod curves;
mod drive_map;
mod panel;
mod stages;
mod strip;
mod style;
mod time_axis;

use std::path::Path;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use plotters::prelude::*;

pub use curves::{Curve, CurveSheet, plot_curves};
pub use drive_map::{ColourScale, DriveMap, MapPoint, MapTrack, plot_drive};
pub use stages::{StageBar, StageChart, plot_stages};
pub use strip::FrameStrip;

use super::{PictureError, save_png};
use crate::frame::{BodyVelocity, Frame, Stamp};
use crate::planner::{PlannerParameters, PlannerSpec};
use panel::Line;
use style::{FIRST_VELOCITY, MUTED, PARAMETER, SECOND_VELOCITY, TEXT, letters, place, text};
use time_axis::TimeAxis;

/// The drawing area that everything is drawn on, addressed in fine pixels.
type Page<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

/// One decision of a drive.
#[derive(Debug, Clone)]
pub struct PlottedDecision {
    /// Time of capture of the frame it was made from.
    pub stamp: Stamp,
    /// Velocity the robot had.
    pub velocity: BodyVelocity,
    /// What was decided.
    pub parameters: PlannerParameters,
}

/// A drive to be plotted.
#[derive(Debug, Clone, Default)]
pub struct DecisionSeries {
    /// Headline.
    pub title: String,
    /// One line under it, such as model and recording.
    pub subtitle: String,
    /// The decisions in order of time, all for one planner.
    pub decisions: Vec<PlottedDecision>,
    /// Frames of the drive, from which a strip is chosen.
    pub frames: FrameStrip,
}

// Pixels of the finished picture. Everything is drawn finer by `style::FINE` and scaled down, which smooths it.
const WIDTH: i32 = 1400;
const PLOT: (i32, i32) = (232, 1372);
const HEADER: i32 = 92;
const PANEL: i32 = 68;
const VELOCITY_PANEL: i32 = 104;
const GAP: i32 = 16;
const TIME_LABELS: i32 = 30;

/// Plots a drive as a PNG of 1400 pixels width. The file is replaced as a whole.
///
/// # Errors
/// [`PictureError::NothingToPlot`] without a decision, [`PictureError::SeveralPlanners`] for a mixed series,
/// [`PictureError::Draw`], [`PictureError::Encode`] and [`PictureError::Write`] when the picture cannot be made or written.
pub fn plot_decisions(path: &Path, series: &DecisionSeries) -> Result<(), PictureError> {
    save_png(path, &draw_decisions(series)?)
}

/// The plot as a frame.
fn draw_decisions(series: &DecisionSeries) -> Result<Frame, PictureError> {
    let planner = the_planner(series)?;
    let panels = i32::try_from(planner.parameters().len()).unwrap_or(i32::MAX);
    let frames = !series.frames.is_empty();
    let strip_top = HEADER + panels.saturating_mul(PANEL + GAP) + VELOCITY_PANEL + TIME_LABELS;
    let height = if frames { strip_top + strip::HEIGHT } else { strip_top + GAP };

    finished((WIDTH, height), |page| draw_page(page, series, &planner, strip_top))
}

/// What `draw` puts on a white page, scaled down to this size.
fn finished(
    (width, height): (i32, i32),
    draw: impl FnOnce(&Page<'_>) -> Result<(), style::DrawError>,
) -> Result<Frame, PictureError> {
    let (fine_width, fine_height) = (place(width) as u32, place(height) as u32);
    let mut rgb = vec![255; Frame::checked_len(fine_width, fine_height)?];
    {
        let page = BitMapBackend::with_buffer(&mut rgb, (fine_width, fine_height)).into_drawing_area();
        draw(&page).map_err(|error| PictureError::Draw(error.to_string()))?;
    }
    scaled_down(&rgb, (fine_width, fine_height), (width as u32, height as u32))
}

fn the_planner(series: &DecisionSeries) -> Result<PlannerSpec, PictureError> {
    let planner = series.decisions.first().ok_or(PictureError::NothingToPlot)?.parameters.spec();
    if let Some(other) = series.decisions.iter().find(|decision| decision.parameters.spec() != planner) {
        let (first, other) = (planner.name().to_owned(), other.parameters.spec().name().to_owned());
        return Err(PictureError::SeveralPlanners { first, other });
    }
    Ok(planner.clone())
}

fn draw_page(
    page: &Page<'_>,
    series: &DecisionSeries,
    planner: &PlannerSpec,
    strip_top: i32,
) -> Result<(), style::DrawError> {
    style::register_fonts()?;
    text(page, &series.title, (24, 24), letters(27, TEXT), style::LEFT)?;
    text(page, &series.subtitle, (24, 59), letters(16, MUTED), style::LEFT)?;

    let time = TimeAxis::of(&series.decisions, PLOT);
    let mut top = HEADER;
    for (index, parameter) in planner.parameters().iter().enumerate() {
        let values = series.decisions.iter().filter_map(|decision| decision.parameters.iter().nth(index));
        let line = Line { values: values.map(|(_, value)| value).collect(), colour: PARAMETER, held: true };
        panel::draw_parameter(page, &time, (top, top + PANEL), parameter, &line)?;
        top += PANEL + GAP;
    }
    let velocities = |of: fn(BodyVelocity) -> f64| series.decisions.iter().map(|it| of(it.velocity)).collect();
    let linear = Line { values: velocities(BodyVelocity::linear), colour: FIRST_VELOCITY, held: false };
    let angular = Line { values: velocities(BodyVelocity::angular), colour: SECOND_VELOCITY, held: false };
    panel::draw_velocities(page, &time, (top, top + VELOCITY_PANEL), &linear, &angular)?;
    time.draw_labels(page, top + VELOCITY_PANEL)?;
    strip::draw(page, &time, strip_top, &series.frames)
}

fn scaled_down(rgb: &[u8], (from_w, from_h): (u32, u32), (w, h): (u32, u32)) -> Result<Frame, PictureError> {
    let draw = |error: &dyn std::fmt::Display| PictureError::Draw(error.to_string());
    let fine = ImageRef::new(from_w, from_h, rgb, PixelType::U8x3).map_err(|error| draw(&error))?;
    let mut picture = Image::new(w, h, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Box));
    Resizer::new().resize(&fine, &mut picture, &options).map_err(|error| draw(&error))?;
    Ok(Frame::from_rgb8(w, h, picture.into_vec())?)
}
