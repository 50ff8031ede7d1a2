//! How long decisions take beside the model.

use std::collections::VecDeque;
use std::time::Duration;

/// Times between an image and its parameters, without the model's.
#[derive(Debug, Default)]
pub struct Latencies(VecDeque<Duration>);

impl Latencies {
    const KEPT: usize = 1000;

    /// One more; the oldest of a thousand is forgotten.
    pub fn add(&mut self, latency: Duration) {
        if self.0.len() == Self::KEPT {
            self.0.pop_front();
        }
        self.0.push_back(latency);
    }

    /// The time that this share of the last thousand stayed below, milliseconds; `None` before the first.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort_unstable();
        let index = (sorted.len() as f64 * share).ceil() as usize;
        Some(sorted.get(index.saturating_sub(1))?.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_last_thousand() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile_ms(0.99), None);
        (1..=2000).for_each(|ms| latencies.add(Duration::from_millis(ms)));
        assert_eq!(latencies.quantile_ms(0.5), Some(1500.0));
        assert_eq!(latencies.quantile_ms(0.99), Some(1990.0));
        assert_eq!(latencies.quantile_ms(1.0), Some(2000.0));
    }
}
