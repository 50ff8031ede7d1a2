//! Which frames of a recording are decided on.

use std::time::Duration;

use planner_tuner_core::frame::Stamp;

/// Decides by stamp alone which frames are decision frames; the others are skipped over and never become history,
/// whose frames are one decision step apart.
///
/// The first frame is one, then the first frame at or after each due time, which lies one period after the last due
/// time, so that the mean rate holds where frames do not fall on the grid (5 Hz frames at 2 Hz are taken at 0, 0.6,
/// 1.0, 1.6, 2.0 s). After a gap, or when time jumps back, the grid restarts at the current frame.
///
/// A frame may come 5 % of a period early (25 ms at 2 Hz): stamps jitter, and a 2 Hz recording must be taken whole at
/// 2 Hz.
#[derive(Debug, Clone)]
pub struct DecisionSchedule {
    /// Nanoseconds; `None` takes every frame.
    period: Option<i64>,
    previous: Option<Stamp>,
    due: i64,
}

impl DecisionSchedule {
    /// The original system's decision rate.
    pub const DEFAULT_RATE_HZ: f64 = 2.0;

    /// Takes frames at `rate_hz`; `None` unless it lies within 0.001 to 1000 Hz.
    pub fn at_rate(rate_hz: f64) -> Option<Self> {
        let period = (0.001..=1000.0).contains(&rate_hz).then(|| (1e9 / rate_hz).round() as i64)?;
        Some(Self { period: Some(period), previous: None, due: 0 })
    }

    /// Takes every frame.
    pub fn every_frame() -> Self {
        Self { period: None, previous: None, due: 0 }
    }

    /// The longest time between two decisions that still belong together: two periods and the jitter of both ends,
    /// and for [`Self::every_frame`] two periods of the original's rate.
    pub fn max_gap(&self) -> Duration {
        let period = self.period.unwrap_or((1e9 / Self::DEFAULT_RATE_HZ) as i64).unsigned_abs();
        Duration::from_nanos(2 * period + period / 10)
    }

    /// Whether the frame of this stamp is a decision frame. Ask once for every usable frame, in the order they come.
    pub fn is_due(&mut self, stamp: Stamp) -> bool {
        let Some(period) = self.period else { return true };
        let now = stamp.nanos();
        let first_or_back = self.previous.is_none_or(|previous| stamp < previous);
        self.previous = Some(stamp);
        if !first_or_back && now.saturating_add(period / 20) < self.due {
            return false;
        }
        let next = self.due.saturating_add(period);
        let on_grid = !first_or_back && next > now.saturating_add(period / 20);
        self.due = if on_grid { next } else { now.saturating_add(period) };
        true
    }

    /// Restarts the grid at the next frame, as at the start of an episode.
    pub fn restart(&mut self) {
        self.previous = None;
    }
}

impl Default for DecisionSchedule {
    /// At [`Self::DEFAULT_RATE_HZ`].
    fn default() -> Self {
        Self { period: Some((1e9 / Self::DEFAULT_RATE_HZ) as i64), previous: None, due: 0 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MS: i64 = 1_000_000;

    fn taken(rate_hz: f64, stamps_ms: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let mut schedule = DecisionSchedule::at_rate(rate_hz).unwrap();
        stamps_ms
            .into_iter()
            .filter(|ms| schedule.is_due(Stamp::from_nanos(1_700_000_000_000 * MS + ms * MS)))
            .collect()
    }

    #[test]
    fn mean_rate_holds_off_the_grid() {
        assert_eq!(taken(2.0, (0..12).map(|k| k * 200)), [0, 600, 1000, 1600, 2000]);
        assert_eq!(taken(2.0, (0..60).map(|k| k * 33)), [0, 495, 990, 1485]);
    }

    #[test]
    fn frames_on_the_grid_are_all_taken_in_spite_of_jitter() {
        let jittered = [0, 490, 1010, 1480, 2020, 2485];
        assert_eq!(taken(2.0, jittered), jittered);
        assert_eq!(taken(2.0, [0, 470, 500]), [0, 500], "too early is not jitter");
    }

    #[test]
    fn a_gap_starts_the_grid_anew() {
        assert_eq!(taken(2.0, [0, 500, 3300, 3500, 3700, 3800, 4300]), [0, 500, 3300, 3800, 4300]);
    }

    #[test]
    fn a_jump_back_starts_the_grid_anew() {
        assert_eq!(taken(2.0, [5000, 5500, 100, 300, 600, 900]), [5000, 5500, 100, 600]);
    }

    #[test]
    fn one_stamp_is_decided_once() {
        assert_eq!(taken(2.0, [0, 0, 0, 500, 500]), [0, 500]);
    }

    #[test]
    fn every_frame_and_odd_rates() {
        let mut every = DecisionSchedule::every_frame();
        assert!((0..5).all(|_| every.is_due(Stamp::from_nanos(7))));
        for bad in [0.0, -2.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(DecisionSchedule::at_rate(bad).is_none(), "{bad}");
        }
        let mut extreme = DecisionSchedule::at_rate(0.001).unwrap();
        assert!(extreme.is_due(Stamp::from_nanos(i64::MAX)));
        assert!(extreme.is_due(Stamp::from_nanos(i64::MIN)));
        assert!(!extreme.is_due(Stamp::from_nanos(i64::MIN)));
    }
}
