//! How a training went: a panel for every curve, all over the same updates.

use std::path::Path;

use plotters::prelude::*;

use super::style::{
    self, CENTRE, DrawError, FINE, GRID, GROUND, LEFT, MUTED, PARAMETER, RIGHT, TEXT, fill, letters, place, text,
};
use super::time_axis::round_step;
use super::{Page, finished};
use crate::frame::Frame;
use crate::picture::{PictureError, save_png};

/// A quantity over the updates of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What it is.
    pub name: String,
    /// Update and value, in order.
    pub points: Vec<(f64, f64)>,
    /// The range to show, where there is a natural one.
    pub range: Option<(f64, f64)>,
}

/// The curves of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct CurveSheet {
    /// Headline.
    pub title: String,
    /// One line under it.
    pub subtitle: String,
    /// The curves, from the top.
    pub curves: Vec<Curve>,
}

// Pixels of the finished picture.
const WIDTH: i32 = 1400;
const PLOT: (i32, i32) = (340, 1372);
const HEADER: i32 = 92;
const PANEL: i32 = 84;
const GAP: i32 = 16;
const LABELS: i32 = 40;

/// Plots curves as a PNG of 1400 pixels width. The file is replaced as a whole.
///
/// # Errors
/// [`PictureError::NothingToPlot`] when no curve has a point; those of drawing and writing.
pub fn plot_curves(path: &Path, sheet: &CurveSheet) -> Result<(), PictureError> {
    save_png(path, &draw_curves(sheet)?)
}

fn draw_curves(sheet: &CurveSheet) -> Result<Frame, PictureError> {
    let curves: Vec<&Curve> = sheet.curves.iter().filter(|curve| !curve.points.is_empty()).collect();
    if curves.is_empty() {
        return Err(PictureError::NothingToPlot);
    }
    let panels = i32::try_from(curves.len()).unwrap_or(i32::MAX);
    let height = HEADER + panels.saturating_mul(PANEL + GAP) + LABELS;
    finished((WIDTH, height), |page| draw_page(page, sheet, &curves))
}

fn draw_page(page: &Page<'_>, sheet: &CurveSheet, curves: &[&Curve]) -> Result<(), DrawError> {
    style::register_fonts()?;
    text(page, &sheet.title, (24, 24), letters(27, TEXT), LEFT)?;
    text(page, &sheet.subtitle, (24, 59), letters(16, MUTED), LEFT)?;
    let steps = || curves.iter().flat_map(|curve| &curve.points).map(|(step, _)| *step);
    let updates = Range::of(0.0, steps().fold(1.0, f64::max));
    let ticks = updates.ticks(10.0);
    let mut top = HEADER;
    for curve in curves {
        draw_panel(page, curve, updates, &ticks, (top, top + PANEL))?;
        top += PANEL + GAP;
    }
    for tick in &ticks {
        text(page, &tick.to_string(), (updates.at(*tick, PLOT) / FINE, top), letters(14, MUTED), CENTRE)?;
    }
    text(page, "updates", (PLOT.1, top + 20), letters(14, MUTED), RIGHT)
}

fn draw_panel(
    page: &Page<'_>,
    curve: &Curve,
    updates: Range,
    ticks: &[f64],
    (top, bottom): (i32, i32),
) -> Result<(), DrawError> {
    fill(page, [(place(PLOT.0), place(top)), (place(PLOT.1), place(bottom))], GROUND.filled())?;
    for tick in ticks {
        let column = updates.at(*tick, PLOT);
        fill(page, [(column, place(top)), (column + FINE - 1, place(bottom))], GRID.filled())?;
    }
    let values = || curve.points.iter().map(|(_, value)| *value);
    let shown = match curve.range {
        Some((low, high)) => Range::of(low, high),
        None => Range::of(values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max)),
    };
    // Half a line's width stays free at both ends; larger values are higher up.
    let rows = (bottom - 2, top + 2);
    let points: Vec<(i32, i32)> =
        curve.points.iter().map(|(step, value)| (updates.at(*step, PLOT), shown.at(*value, rows))).collect();
    match points.as_slice() {
        [point] => page.draw(&Circle::new(*point, 2 * FINE + 1, PARAMETER.filled()))?,
        _ => page.draw(&PathElement::new(points, PARAMETER.stroke_width(FINE as u32)))?,
    }
    let middle = i32::midpoint(top, bottom);
    text(page, &curve.name, (24, middle - 10), letters(17, TEXT), LEFT)?;
    let last = values().next_back().unwrap_or_default();
    text(page, &format!("last {}", short(last)), (24, middle + 12), letters(14, MUTED), LEFT)?;
    for (value, row) in [(shown.high, top + 6), (shown.low, bottom - 7)] {
        text(page, &short(value), (PLOT.0 - 8, row), letters(13, MUTED), RIGHT)?;
    }
    Ok(())
}

/// Four digits are enough to read.
fn short(value: f64) -> String {
    let plain = format!("{:.4}", value).trim_end_matches('0').trim_end_matches('.').to_owned();
    if value == 0.0 || (1e-3..1e5).contains(&value.abs()) { plain } else { format!("{value:.3e}") }
}

/// What a panel shows in one direction.
#[derive(Debug, Clone, Copy)]
struct Range {
    low: f64,
    high: f64,
}

impl Range {
    /// From the least to the most; of a single value, some space around it.
    fn of(low: f64, high: f64) -> Self {
        let width = high - low;
        if width > 0.0 && width.is_finite() { Self { low, high } } else { Self { low: low - 0.5, high: low + 0.5 } }
    }

    /// Place of a value between two pixels of the finished picture, in fine pixels.
    fn at(self, value: f64, (from, to): (i32, i32)) -> i32 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        let (from, to) = (f64::from(place(from)), f64::from(place(to)));
        (from + (to - from) * share).round() as i32
    }

    /// Round values, about `count` of them.
    fn ticks(self, count: f64) -> Vec<f64> {
        let step = round_step((self.high - self.low) / count);
        let (from, to) = ((self.low / step).ceil(), (self.high / step).floor());
        (0..=(to - from).clamp(0.0, 100.0) as u32).map(|n| (from + f64::from(n)) * step).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn sheet(points: Vec<(f64, f64)>) -> CurveSheet {
        let curve = Curve { name: "q".to_owned(), points, range: None };
        CurveSheet { title: "training".to_owned(), subtitle: String::new(), curves: vec![curve] }
    }

    /// The row of the first panel, from its top, whose colour in a column is nearest to that of the curves.
    fn row_of_line(frame: &Frame, x: i32) -> i32 {
        let distance = |row: i32| {
            let start = ((HEADER + row) as usize * frame.width() as usize + x as usize) * 3;
            let wanted = [PARAMETER.0, PARAMETER.1, PARAMETER.2];
            frame.rgb()[start..start + 3].iter().zip(wanted).map(|(a, b)| i32::from(a.abs_diff(b))).sum::<i32>()
        };
        (0..PANEL).min_by_key(|row| distance(*row)).unwrap()
    }

    #[test]
    fn a_rising_curve_goes_from_the_lower_left_to_the_upper_right() {
        let frame = draw_curves(&sheet(vec![(0.0, 1.0), (100.0, 3.0)])).unwrap();
        let rows = [PLOT.0 + 4, i32::midpoint(PLOT.0, PLOT.1), PLOT.1 - 4].map(|x| row_of_line(&frame, x));
        let [left, middle, right] = rows;
        assert!(left > PANEL - 6 && (middle - PANEL / 2).abs() < 4 && right < 6, "{rows:?}");
    }

    #[test]
    fn one_value_and_no_value() {
        assert!(draw_curves(&sheet(vec![(50.0, 2.0)])).is_ok());
        assert!(draw_curves(&sheet(vec![(0.0, 2.0), (50.0, 2.0)])).is_ok());
        assert!(matches!(draw_curves(&sheet(Vec::new())), Err(PictureError::NothingToPlot)));
    }

    #[test]
    fn numbers_are_short() {
        for (value, expected) in
            [(0.0, "0"), (2.0, "2"), (0.125, "0.125"), (1e-7, "1.000e-7"), (-1234.5678, "-1234.5678")]
        {
            assert_eq!(short(value), expected);
        }
    }
}
