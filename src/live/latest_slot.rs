//! Images come in faster than decisions are made: only the newest waits.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::frame::Stamp;

/// A place for one message. What is not taken before the next one comes is dropped and counted.
///
/// The thread that receives puts, and never waits; the one that decides takes.
#[derive(Debug)]
pub struct LatestSlot<T> {
    content: Mutex<Content<T>>,
}

#[derive(Debug)]
struct Content<T> {
    newest: Option<Arrived<T>>,
    counts: ArrivalCounts,
    last_stamp: Option<Stamp>,
    /// Seconds between stamps, of the last messages.
    steps: VecDeque<f64>,
}

/// A message with the time it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrived<T> {
    /// The message.
    pub message: T,
    /// When it came.
    pub at: Instant,
}

/// What has become of the messages so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ArrivalCounts {
    /// Messages that came.
    pub received: u64,
    /// Messages that were replaced by a newer one before they were taken.
    pub replaced: u64,
    /// Mean time between messages over the last ones, seconds; `None` before the second.
    pub period: Option<f64>,
    /// When the last one came.
    pub last: Option<Instant>,
    /// Messages a second that the publisher sends, by their stamps, lost ones included; `None` before there are enough.
    pub sent_rate: Option<f64>,
}

impl<T> Default for LatestSlot<T> {
    fn default() -> Self {
        let content =
            Content { newest: None, counts: ArrivalCounts::default(), last_stamp: None, steps: VecDeque::new() };
        Self { content: Mutex::new(content) }
    }
}

/// Weight of a new interval in the mean period.
const SMOOTHING: f64 = 0.1;
/// Steps that the publisher's rate is taken from.
const STEPS: usize = 64;

impl<T> Content<T> {
    /// Where every other message is lost at random, half of the steps are still one period long, and jitter spreads
    /// them: a low quantile is the period.
    fn note_step(&mut self, stamp: Stamp) {
        let step = self.last_stamp.replace(stamp).map(|last| stamp.seconds_since(last)).filter(|step| *step > 0.0);
        let Some(step) = step else { return };
        self.steps.push_back(step);
        if self.steps.len() > STEPS {
            self.steps.pop_front();
        }
        let mut sorted: Vec<f64> = self.steps.iter().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let enough = sorted.len() >= STEPS / 4;
        self.counts.sent_rate = sorted.get(sorted.len() / 4).filter(|_| enough).map(|period| 1.0 / period);
    }
}

impl<T> LatestSlot<T> {
    /// Puts a message in the place of whatever is there.
    pub fn put(&self, message: T, stamp: Stamp, at: Instant) {
        let replaced = {
            let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
            let counts = &mut content.counts;
            if let Some(last) = counts.last {
                let interval = at.saturating_duration_since(last).as_secs_f64();
                counts.period = Some(counts.period.map_or(interval, |mean| mean + (interval - mean) * SMOOTHING));
            }
            counts.received += 1;
            counts.last = Some(at);
            content.note_step(stamp);
            let replaced = content.newest.replace(Arrived { message, at });
            content.counts.replaced += u64::from(replaced.is_some());
            replaced
        };
        // Dropped without the lock: an image is large.
        drop(replaced);
    }

    /// Takes the newest message, unless it has been taken already.
    pub fn take(&self) -> Option<Arrived<T>> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner).newest.take()
    }

    /// Puts a taken message back, unless a newer one has come.
    pub fn put_back(&self, arrived: Arrived<T>) {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        match content.newest {
            Some(_) => content.counts.replaced += 1,
            None => content.newest = Some(arrived),
        }
    }

    /// The counts so far.
    pub fn counts(&self) -> ArrivalCounts {
        self.content.lock().unwrap_or_else(PoisonError::into_inner).counts
    }
}

impl ArrivalCounts {
    /// Messages a second; zero when none has come for `silence`.
    pub fn rate(&self, now: Instant, silence: Duration) -> f64 {
        let quiet = self.last.is_none_or(|last| now.saturating_duration_since(last) > silence);
        self.period.filter(|period| !quiet && *period > 0.0).map_or(0.0, |period| 1.0 / period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publishers_rate_shows_through_losses_and_jitter() {
        let slot = LatestSlot::default();
        let at = Instant::now();
        // 20 Hz with 5 ms of jitter, of which two in five are lost.
        for i in (0..200_i64).filter(|i| i * 7 % 10 >= 4) {
            let jitter = i * 31 % 11 - 5;
            slot.put(i, Stamp::from_nanos((i * 50 + jitter) * 1_000_000), at);
        }
        let rate = slot.counts().sent_rate.unwrap_or_default();
        assert!((17.0..24.0).contains(&rate), "{rate}");
    }

    #[test]
    fn only_the_newest_waits() {
        let slot = LatestSlot::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let stamp = |i: u64| Stamp::from_nanos(i as i64 * 50_000_000);
        assert_eq!(slot.take(), None);
        (0..10).for_each(|i| slot.put(i, stamp(i), at(i * 100)));
        let newest = slot.take();
        assert_eq!(newest.as_ref().map(|newest| newest.message), Some(9));
        assert_eq!(slot.take(), None);
        assert_eq!((slot.counts().received, slot.counts().replaced), (10, 9));
        assert!((slot.counts().rate(at(950), Duration::from_secs(1)) - 10.0).abs() < 1e-9);
        assert_eq!(slot.counts().sent_rate, None, "too early to tell");
        assert_eq!(slot.counts().rate(at(2000), Duration::from_secs(1)), 0.0);

        newest.into_iter().for_each(|newest| slot.put_back(newest));
        assert_eq!(slot.take().map(|newest| newest.message), Some(9), "nothing newer had come");
        slot.put(10, stamp(10), at(1000));
        slot.put_back(Arrived { message: 9, at: at(900) });
        assert_eq!(slot.take().map(|newest| newest.message), Some(10));
    }
}
