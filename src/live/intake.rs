//! Images come in faster than decisions are made: only the newest waits.

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
    /// Shortest time between two stamps of late, seconds: the publisher's period, also when messages are lost.
    pub shortest_step: Option<f64>,
    last_stamp: Option<Stamp>,
}

impl<T> Default for LatestSlot<T> {
    fn default() -> Self {
        Self { content: Mutex::new(Content { newest: None, counts: ArrivalCounts::default() }) }
    }
}

/// Weight of a new interval in the mean period.
const SMOOTHING: f64 = 0.1;
/// How fast the shortest step is forgotten, a message.
const FORGETTING: f64 = 1.01;

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
            let step = counts.last_stamp.map(|last| stamp.seconds_since(last)).filter(|step| *step > 0.0);
            if let Some(step) = step {
                // A publisher that has become slower shows after some messages.
                counts.shortest_step = Some(counts.shortest_step.map_or(step, |short| step.min(short * FORGETTING)));
            }
            counts.last_stamp = Some(stamp);
            counts.received += 1;
            counts.last = Some(at);
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
    /// Messages a second that the publisher seems to send, by their stamps.
    pub fn sent_rate(&self) -> Option<f64> {
        self.shortest_step.map(|step| 1.0 / step)
    }

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
        assert_eq!(slot.counts().sent_rate().map(f64::round), Some(20.0), "every other one was lost");
        assert_eq!(slot.counts().rate(at(2000), Duration::from_secs(1)), 0.0);

        newest.into_iter().for_each(|newest| slot.put_back(newest));
        assert_eq!(slot.take().map(|newest| newest.message), Some(9), "nothing newer had come");
        slot.put(10, stamp(10), at(1000));
        slot.put_back(Arrived { message: 9, at: at(900) });
        assert_eq!(slot.take().map(|newest| newest.message), Some(10));
    }
}
