//! How a replay went.

use std::time::Duration;

use crate::recording::SkipCounts;
use crate::tuner::Decision;

/// Counts and times of a replay.
#[derive(Debug, Default)]
pub struct Summary {
    times: Vec<Duration>,
    failures: u64,
}

impl Summary {
    /// Counts a decision.
    pub fn add(&mut self, decision: &Decision) {
        self.times.push(decision.times.total());
    }

    /// A frame that was due for a decision and did not get one.
    pub fn count_failure(&mut self) {
        self.failures += 1;
    }

    /// Whether a frame that was due did not get a decision.
    pub fn has_failures(&self) -> bool {
        self.failures > 0
    }

    /// Decisions.
    pub fn decisions(&self) -> usize {
        self.times.len()
    }

    /// Frames that were due for a decision and did not get one.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// One line: decisions, skipped frames by reason, median and 99th percentile of the time.
    pub fn describe(&self, skips: &SkipCounts) -> String {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let milliseconds = |percent: usize| percentile(&sorted, percent).as_secs_f64() * 1e3;
        let mut parts = vec![format!("{} decisions", sorted.len())];
        if !sorted.is_empty() {
            parts.push(format!("{:.1} ms at the median, {:.1} ms at p99", milliseconds(50), milliseconds(99)));
        }
        parts.push(if skips.is_empty() { "nothing skipped".into() } else { format!("skipped: {skips}") });
        if self.has_failures() {
            parts.push(format!("{} frames without a decision", self.failures));
        }
        parts.join("; ")
    }
}

/// Nearest-rank percentile of sorted times; zero for none.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(100));
        assert_eq!(percentile(&times, 99), Duration::from_millis(198));
        assert_eq!(percentile(&times[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
