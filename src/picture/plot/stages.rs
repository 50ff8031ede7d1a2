//! Where the time of a decision goes: a bar for every stage.

use std::path::Path;

use plotters::prelude::*;

use super::style::{
    self, DEFAULT, DrawError, GRID, GROUND, LEFT, MUTED, PARAMETER, RIGHT, SECOND_VELOCITY, TEXT, fill, letters, place,
    text,
};
use super::{Page, finished};
use crate::picture::{PictureError, save_png};

/// How long a stage took, milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct StageBar {
    /// Its name.
    pub name: String,
    /// Least, median and 99th percentile.
    pub milliseconds: [f64; 3],
    /// What its arithmetic would take at the machine's peak, where that is known.
    pub ideal: Option<f64>,
}

/// Bars under a headline.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StageChart {
    /// Headline.
    pub title: String,
    /// One line under it: what was measured, on what.
    pub subtitle: String,
    /// In the order of the road.
    pub stages: Vec<StageBar>,
}

// Pixels of the finished picture.
const WIDTH: i32 = 1100;
const BARS: (i32, i32) = (240, 960);
const HEADER: i32 = 96;
const ROW: i32 = 38;
const BAR: i32 = 22;
const LEGEND: i32 = 44;

/// Draws the chart as a PNG of 1100 pixels width. The file is replaced as a whole.
///
/// # Errors
/// [`PictureError::NothingToPlot`] without a stage, [`PictureError::Draw`], [`PictureError::Encode`] and
/// [`PictureError::Write`] when the picture cannot be made or written.
pub fn plot_stages(path: &Path, chart: &StageChart) -> Result<(), PictureError> {
    if chart.stages.is_empty() {
        return Err(PictureError::NothingToPlot);
    }
    let rows = i32::try_from(chart.stages.len()).unwrap_or(i32::MAX);
    let height = HEADER + rows.saturating_mul(ROW) + LEGEND;
    save_png(path, &finished((WIDTH, height), |page| draw(page, chart, height))?)
}

fn draw(page: &Page<'_>, chart: &StageChart, height: i32) -> Result<(), DrawError> {
    style::register_fonts()?;
    text(page, &chart.title, (24, 26), letters(27, TEXT), LEFT)?;
    text(page, &chart.subtitle, (24, 60), letters(16, MUTED), LEFT)?;
    let longest = chart.stages.iter().flat_map(|stage| stage.milliseconds).fold(1e-9, f64::max);
    let column = |milliseconds: f64| {
        let share = (milliseconds / longest).clamp(0.0, 1.0);
        place(BARS.0) + (f64::from(place(BARS.1 - BARS.0)) * share).round() as i32
    };
    let mut top = HEADER;
    for stage in &chart.stages {
        draw_bar(page, stage, top, column)?;
        top += ROW;
    }
    let keys = "bar: median · line: least to 99th percentile · orange: its arithmetic at the machine's measured peak";
    text(page, keys, (24, height - 22), letters(14, MUTED), LEFT)
}

fn draw_bar(page: &Page<'_>, stage: &StageBar, top: i32, column: impl Fn(f64) -> i32) -> Result<(), DrawError> {
    let [least, median, p99] = stage.milliseconds;
    let (from, to, middle) = (place(top), place(top + BAR), place(top + BAR / 2));
    text(page, &stage.name, (BARS.0 - 12, top + BAR / 2), letters(16, TEXT), RIGHT)?;
    fill(page, [(place(BARS.0), from), (place(BARS.1), to)], GROUND.filled())?;
    fill(page, [(place(BARS.0), from), (column(median), to)], PARAMETER.filled())?;
    if let Some(ideal) = stage.ideal {
        let under = to - (to - from) / 4;
        fill(page, [(place(BARS.0), under), (column(ideal), to)], SECOND_VELOCITY.filled())?;
    }
    let whisker = DEFAULT.stroke_width(style::FINE as u32);
    page.draw(&PathElement::new(vec![(column(least), middle), (column(p99), middle)], whisker))?;
    for end in [least, p99] {
        page.draw(&PathElement::new(vec![(column(end), middle - 8), (column(end), middle + 8)], GRID.stroke_width(2)))?;
    }
    text(page, &format!("{median:.2} ms"), (BARS.1 + 12, top + BAR / 2), letters(16, TEXT), LEFT)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_longer_stage_has_a_longer_bar() {
        let stage =
            |name: &str, median| StageBar { name: name.into(), milliseconds: [0.0, median, median], ideal: None };
        let chart = StageChart { stages: vec![stage("short", 10.0), stage("long", 40.0)], ..StageChart::default() };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stages.png");
        plot_stages(&path, &chart).unwrap();
        let picture = image::open(&path).unwrap().into_rgb8();
        let filled = |row: i32| {
            let y = (HEADER + row * ROW + 3) as u32;
            (0..picture.width()).filter(|x| picture.get_pixel(*x, y).0 == [29, 95, 168]).count() as i32
        };
        let width = BARS.1 - BARS.0;
        assert!((filled(1) - width).abs() <= 2, "{}", filled(1));
        assert!((filled(0) - width / 4).abs() <= 2, "{}", filled(0));
        assert!(plot_stages(&path, &StageChart::default()).is_err());
    }
}
