//! The time that all panels and the strip share.

use super::style::{self, CENTRE, DrawError, MUTED, letters, place, text};
use super::{Page, PlottedDecision};
use crate::frame::Stamp;

/// Maps stamps to columns. Zero is the first decision.
pub(super) struct TimeAxis {
    /// First and last column, pixels of the finished picture.
    columns: (i32, i32),
    zero: Stamp,
    /// First and last second shown.
    shown: (f64, f64),
    /// Seconds of every decision.
    seconds: Vec<f64>,
}

impl TimeAxis {
    /// Covers all decisions, and as long as a decision holds on average after the last.
    pub(super) fn of(decisions: &[PlottedDecision], columns: (i32, i32)) -> Self {
        let zero = decisions.first().map_or(Stamp::from_nanos(0), |decision| decision.stamp);
        let seconds: Vec<f64> = decisions.iter().map(|decision| decision.stamp.seconds_since(zero)).collect();
        let (first, last) = seconds.iter().fold((0.0, 0.0), |(low, high), t| (t.min(low), t.max(high)));
        let period = (last - first) / seconds.len().saturating_sub(1).max(1) as f64;
        let period = if period > 0.0 { period } else { 1.0 };
        Self { columns, zero, shown: (first, last + period), seconds }
    }

    /// First and last column, pixels of the finished picture.
    pub(super) fn columns(&self) -> (i32, i32) {
        self.columns
    }

    /// Seconds of every decision.
    pub(super) fn seconds(&self) -> &[f64] {
        &self.seconds
    }

    /// Column of a second in fine pixels.
    pub(super) fn column(&self, seconds: f64) -> i32 {
        let (from, to) = (f64::from(place(self.columns.0)), f64::from(place(self.columns.1)));
        let share = (seconds - self.shown.0) / (self.shown.1 - self.shown.0);
        (from + (to - from) * share.clamp(0.0, 1.0)).round() as i32
    }

    /// Seconds of a stamp.
    pub(super) fn seconds_of(&self, stamp: Stamp) -> f64 {
        stamp.seconds_since(self.zero)
    }

    /// Last second shown.
    pub(super) fn end(&self) -> f64 {
        self.shown.1
    }

    /// First and last second shown.
    pub(super) fn shown(&self) -> (f64, f64) {
        self.shown
    }

    /// Round seconds, about ten of them.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let (first, last) = self.shown;
        let step = round_step((last - first) / 10.0);
        let (from, to) = ((first / step).ceil(), (last / step).floor());
        // At most a few dozen: the span is at least ten times smaller than the step times this.
        (0..=(to - from).clamp(0.0, 100.0) as u32).map(|n| (from + f64::from(n)) * step).collect()
    }

    /// Writes the seconds under the panels.
    pub(super) fn draw_labels(&self, page: &Page<'_>, bottom: i32) -> Result<(), DrawError> {
        for tick in self.ticks() {
            // Sheds the rounding of the multiplication: 0.30000000000000004.
            let label = format!("{} s", (tick * 1e6).round() / 1e6);
            text(page, &label, (self.column(tick) / style::FINE, bottom + 14), letters(14, MUTED), CENTRE)?;
        }
        Ok(())
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not smaller.
pub(super) fn round_step(least: f64) -> f64 {
    let magnitude = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|step| step * magnitude).find(|step| *step >= least).unwrap_or(10.0 * magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (least, expected) in [(1.0, 1.0), (1.2, 2.0), (0.03, 0.05), (70.0, 100.0), (1e9, 1e9)] {
            assert!((round_step(least) / expected - 1.0).abs() < 1e-9, "{least}");
        }
    }
}
