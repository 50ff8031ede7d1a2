//! One panel: a quantity over time in its range.

use plotters::prelude::*;

use super::Page;
use super::style::{DEFAULT, DrawError, FINE, GRID, GROUND, LEFT, MUTED, RIGHT, TEXT, fill, letters, place, text};
use super::time_axis::{TimeAxis, round_step};
use crate::planner::{ParameterSpec, Unit};

/// More decisions than this are drawn without markers.
const MOST_MARKERS: usize = 80;

/// A value for every decision.
pub(super) struct Line {
    pub(crate) values: Vec<f64>,
    pub(crate) colour: RGBColor,
    /// Whether a value holds until the next decision (a step) or changes gradually (a slope).
    pub(crate) held: bool,
}

/// A rectangle with a value range as its height. Rows in pixels of the finished picture.
struct Panel<'a, 'b> {
    page: &'a Page<'b>,
    time: &'a TimeAxis,
    rows: (i32, i32),
    range: (f64, f64),
}

/// A parameter over its whole range, with its safe default as a dashed line.
pub(super) fn draw_parameter(
    page: &Page<'_>,
    time: &TimeAxis,
    rows: (i32, i32),
    parameter: &ParameterSpec,
    line: &Line,
) -> Result<(), DrawError> {
    let panel = Panel { page, time, rows, range: (parameter.min(), parameter.max()) };
    panel.ground()?;
    panel.limits()?;
    panel.dashes(parameter.safe_default(), DEFAULT)?;
    panel.line(line)?;

    let middle = i32::midpoint(rows.0, rows.1);
    text(page, parameter.name(), (24, middle - 10), letters(17, TEXT), LEFT)?;
    let unit = match parameter.unit() {
        Unit::Dimensionless => String::new(),
        unit => format!("{} · ", unit.symbol()),
    };
    text(page, &format!("{unit}default {}", parameter.safe_default()), (24, middle + 12), letters(14, MUTED), LEFT)
}

/// Both velocities on one scale of numbers, with a line at zero.
pub(super) fn draw_velocities(
    page: &Page<'_>,
    time: &TimeAxis,
    rows: (i32, i32),
    linear: &Line,
    angular: &Line,
) -> Result<(), DrawError> {
    let values = || linear.values.iter().chain(&angular.values);
    let (low, high) = values().fold((0.0f64, 0.0f64), |(low, high), value| (low.min(*value), high.max(*value)));
    let step = round_step(((high - low) / 4.0).max(0.125));
    let (low, high) = ((low / step).floor() * step, ((high / step).ceil() * step).max(step));
    let panel = Panel { page, time, rows, range: (low, high) };
    panel.ground()?;
    panel.limits()?;
    panel.dashes(0.0, DEFAULT)?;
    panel.line(angular)?;
    panel.line(linear)?;

    let middle = i32::midpoint(rows.0, rows.1);
    for (name, unit, line, row) in
        [("linear velocity", "m/s", linear, middle - 27), ("angular velocity", "rad/s", angular, middle + 21)]
    {
        text(page, name, (24, row - 8), letters(17, line.colour), LEFT)?;
        text(page, unit, (24, row + 12), letters(14, MUTED), LEFT)?;
    }
    Ok(())
}

impl Panel<'_, '_> {
    /// Row of a value in fine pixels. Half a line's width stays free at both ends.
    fn row(&self, value: f64) -> i32 {
        let (top, bottom) = (f64::from(place(self.rows.0 + 2)), f64::from(place(self.rows.1 - 2)));
        let share = ((value - self.range.0) / (self.range.1 - self.range.0)).clamp(0.0, 1.0);
        (bottom + (top - bottom) * share).round() as i32
    }

    fn ground(&self) -> Result<(), DrawError> {
        let (left, right) = self.time.columns();
        let (top, bottom) = (place(self.rows.0), place(self.rows.1));
        fill(self.page, [(place(left), top), (place(right), bottom)], GROUND.filled())?;
        for tick in self.time.ticks() {
            let column = self.time.column(tick);
            fill(self.page, [(column, top), (column + FINE - 1, bottom)], GRID.filled())?;
        }
        Ok(())
    }

    /// The ends of the range beside the panel.
    fn limits(&self) -> Result<(), DrawError> {
        let beside = self.time.columns().0 - 8;
        for (value, row) in [(self.range.1, self.rows.0 + 6), (self.range.0, self.rows.1 - 7)] {
            let label = format!("{}", (value * 1e6).round() / 1e6);
            text(self.page, &label, (beside, row), letters(13, MUTED), RIGHT)?;
        }
        Ok(())
    }

    /// A thin dashed line at a value.
    fn dashes(&self, value: f64, colour: RGBColor) -> Result<(), DrawError> {
        let row = self.row(value);
        let (left, right) = (place(self.time.columns().0), place(self.time.columns().1));
        for dash in (left..right).step_by(place(8) as usize) {
            let end = (dash + place(4)).min(right);
            fill(self.page, [(dash, row - FINE / 2), (end, row - FINE / 2 + FINE - 1)], colour.filled())?;
        }
        Ok(())
    }

    fn line(&self, line: &Line) -> Result<(), DrawError> {
        let points: Vec<(i32, i32)> = self
            .time
            .seconds()
            .iter()
            .zip(&line.values)
            .map(|(seconds, value)| (self.time.column(*seconds), self.row(*value)))
            .collect();
        let last = points.last().map(|(_, row)| (self.time.column(self.time.end()), *row)).filter(|_| line.held);
        let thick = if points.len() <= 1000 { FINE } else { FINE / 2 };
        let pairs = points.iter().zip(points.iter().skip(1).chain(last.as_ref()));
        for (&(from, row), &(to, next_row)) in pairs {
            if line.held {
                fill(self.page, [(from.min(to), row - thick), (from.max(to), row + thick)], line.colour.filled())?;
                let (top, bottom) = (row.min(next_row) - thick, row.max(next_row) + thick);
                fill(self.page, [(to - thick, top), (to + thick, bottom)], line.colour.filled())?;
            } else {
                let style = line.colour.stroke_width(2 * thick as u32);
                self.page.draw(&PathElement::new(vec![(from, row), (to, next_row)], style))?;
            }
        }
        if points.len() <= MOST_MARKERS {
            for point in points {
                self.page.draw(&Circle::new(point, 2 * FINE + 1, line.colour.filled()))?;
            }
        }
        Ok(())
    }
}
