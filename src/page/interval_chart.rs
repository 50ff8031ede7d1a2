//! Means with their intervals, one below the other.

use maud::{Markup, Render, html};

use super::number::{place, short};
use super::plot::Axis;

/// A mean and where it lies.
#[derive(Debug, Clone, PartialEq)]
pub struct IntervalRow {
    /// Whose.
    pub name: String,
    /// The mean; `None` where there is none.
    pub mean: Option<f64>,
    /// Both ends of its interval.
    pub interval: (f64, f64),
}

/// A quantity of several.
#[derive(Debug, Clone, PartialEq)]
pub struct IntervalChart {
    heading: String,
    unit: String,
    rows: Vec<IntervalRow>,
    /// What is shown at least.
    shown: (f64, f64),
}

impl IntervalChart {
    /// With its unit, which may be empty.
    pub fn new(heading: impl Into<String>, unit: impl Into<String>, rows: Vec<IntervalRow>) -> Self {
        Self { heading: heading.into(), unit: unit.into(), rows, shown: (0.0, 0.0) }
    }

    /// Shown at least up to a value.
    pub fn up_to(self, most: f64) -> Self {
        Self { shown: (0.0, most), ..self }
    }

    /// Zero is always shown: what is twice as long is twice as much.
    fn axis(&self) -> Axis {
        let there = self.rows.iter().filter(|row| row.mean.is_some());
        Axis::of(there.flat_map(|row| [row.interval.0, row.interval.1]).chain([self.shown.0, self.shown.1]))
    }

    fn told(&self, row: &IntervalRow) -> String {
        let Some(mean) = row.mean else { return "none".to_owned() };
        let (low, high) = row.interval;
        let number = |value: f64| short((value * 1e3).round() / 1e3);
        format!("{} [{}, {}] {}", number(mean), number(low), number(high), self.unit).trim_end().to_owned()
    }
}

impl Render for IntervalChart {
    fn render(&self) -> Markup {
        let axis = self.axis();
        let share = |value: f64| place(axis.share(value));
        html! {
            section.intervals {
                h2 { (self.heading) }
                @for row in &self.rows {
                    div.interval {
                        span.name { (row.name) }
                        svg viewBox="0 0 1000 10" preserveAspectRatio="none" role="img"
                            aria-label={ (row.name) ": " (self.told(row)) } {
                            title { (row.name) ": " (self.told(row)) }
                            path.grid d={ "M" (share(0.0)) " 0V10" } {}
                            @if let Some(mean) = row.mean {
                                path.whisker d={ "M" (share(row.interval.0)) " 5H" (share(row.interval.1)) } {}
                                path.mean d={ "M" (share(mean)) " 5h0" } {}
                            }
                        }
                        span.value { (self.told(row)) }
                    }
                }
            }
        }
    }
}
