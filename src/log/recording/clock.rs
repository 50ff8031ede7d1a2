//! Whether two topics of a recording are stamped by the same clock.
//!
//! Stamps come from the publishers' clocks, the time of recording from the recorder's. How far the two lie apart differs
//! from topic to topic by what a message is on its way, unless the publishers' clocks differ: then an image is paired
//! with the velocity of another moment, or with none.

use super::{SkipReason, Skipped, Topic};
use planner_tuner_core::frame::Stamp;

/// Nobody's messages are on their way so much longer than others', nanoseconds.
const MOST: i64 = 5_000_000_000;
/// From here on the user is told, nanoseconds.
const SUSPICIOUS: i64 = 1_000_000_000;

/// The clock of an odometry topic, and what has been said about it.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    odometry: String,
    /// By time of recording: how far a message was stamped behind it, nanoseconds.
    behind: Vec<(Stamp, i64)>,
    warned: bool,
}

/// When a message was, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// When it was recorded.
    pub(crate) log_time: Stamp,
    /// Its stamp, as it is used.
    pub(crate) stamp: Stamp,
    /// The stamp was zero, the time of recording stands in for it.
    pub(crate) was_zero: bool,
}

impl ClockWatch {
    /// From the times of recording and the stamps of a topic's messages.
    pub(super) fn of(odometry: &Topic, messages: impl Iterator<Item = (Stamp, Stamp)>) -> Self {
        let mut behind: Vec<_> = messages.map(|(log_time, stamp)| (log_time, difference(log_time, stamp))).collect();
        behind.sort();
        Self { odometry: odometry.name.clone(), behind, warned: false }
    }

    /// Refuses a message whose clock is another one than the odometry's, and warns once of one that may be.
    pub(super) fn check(&mut self, topic: &Topic, times: Times) -> Result<(), Skipped> {
        let Times { log_time, stamp, was_zero } = times;
        let ours = difference(log_time, stamp);
        let next = self.behind.partition_point(|(at, _)| *at <= log_time);
        let near = [next.checked_sub(1).and_then(|before| self.behind.get(before)), self.behind.get(next)];
        // The clocks may be set while the recorder runs: whichever neighbour agrees, counts.
        let nearest =
            near.into_iter().flatten().min_by_key(|(_, theirs)| ours.saturating_sub(*theirs).saturating_abs());
        let Some(&(_, theirs)) = nearest else { return Ok(()) };
        let apart = ours.saturating_sub(theirs).saturating_abs();
        if apart < SUSPICIOUS {
            return Ok(());
        }
        let ours = if was_zero {
            "stamped zero, so that the time of recording is taken".to_owned()
        } else {
            format!("stamped {} the time of recording", distance(ours))
        };
        let what = format!(
            "{}: {ours}; {}: stamped {} the time of recording. The two clocks disagree by {:.3} s",
            topic.name,
            self.odometry,
            distance(theirs),
            seconds(apart)
        );
        let remedy =
            "synchronise the clocks (chrony, use_sim_time), or go by the time of recording with --stamps recorded";
        if apart > MOST {
            let message = format!("{what}, at most {} s are accepted; {remedy}", seconds(MOST));
            return Err(Skipped::new(SkipReason::ClocksDisagree, Some(stamp), message));
        }
        if !std::mem::replace(&mut self.warned, true) {
            log::warn!("{what}: velocities may be those of another moment; {remedy}");
        }
        Ok(())
    }
}

fn difference(log_time: Stamp, stamp: Stamp) -> i64 {
    log_time.nanos().saturating_sub(stamp.nanos())
}

fn seconds(nanos: i64) -> f64 {
    nanos as f64 * 1e-9
}

fn distance(behind: i64) -> String {
    let direction = if behind < 0 { "ahead of" } else { "behind" };
    format!("{:.3} s {direction}", seconds(behind).abs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn topic(name: &str) -> Topic {
        Topic { name: name.to_owned(), type_name: String::new(), encoding: String::new() }
    }

    fn times(log_ms: i64, ms: i64) -> Times {
        let stamp = |ms: i64| Stamp::from_nanos(ms * 1_000_000);
        Times { log_time: stamp(log_ms), stamp: stamp(ms), was_zero: false }
    }

    /// Odometry of (recorded, measured) in milliseconds.
    fn watch(messages: &[(i64, i64)]) -> ClockWatch {
        let messages =
            messages.iter().map(|(log_ms, ms)| times(*log_ms, *ms)).map(|times| (times.log_time, times.stamp));
        ClockWatch::of(&topic("/odom"), messages)
    }

    #[test]
    fn one_clock_for_both_is_accepted_whatever_it_says() {
        let hours = 3 * 3_600_000;
        let mut off = watch(&[(1000, 1000 - hours), (2000, 2000 - hours)]);
        assert!(off.check(&topic("/image"), times(1500, 1500 - hours)).is_ok());
        assert!(watch(&[]).check(&topic("/image"), times(1500, 0)).is_ok(), "nothing to compare with");
        let mut slow = watch(&[(10_000, 9_990)]);
        assert!(slow.check(&topic("/image"), times(10_000, 6_000)).is_ok(), "four seconds on its way");
        assert!(slow.warned);
    }

    #[test]
    fn a_clock_of_its_own_is_named_with_the_offset() {
        let hours = 3 * 3_600_000;
        let mut watch = watch(&[(1000, 999), (2000, 1999)]);
        let message = watch.check(&topic("/image"), times(1500, 1500 - hours)).unwrap_err().message;
        for part in
            ["/image: stamped 10800.000 s behind", "/odom: stamped 0.001 s behind", "by 10799.999 s", "--stamps"]
        {
            assert!(message.contains(part), "{message}");
        }
        let ahead = watch.check(&topic("/image"), times(1500, 61_500)).unwrap_err().message;
        assert!(ahead.contains("/image: stamped 60.000 s ahead of"), "{ahead}");
        let zero = watch.check(&topic("/image"), Times { was_zero: true, ..times(100_000, 100_000) });
        assert!(zero.is_ok());
    }

    #[test]
    fn a_clock_that_is_set_is_followed() {
        let mut watch = watch(&[(1000, 50_000), (2000, 2000)]);
        assert!(watch.check(&topic("/image"), times(1500, 50_500)).is_ok());
        assert!(watch.check(&topic("/image"), times(1500, 1500)).is_ok());
        assert!(watch.check(&topic("/image"), times(2500, 51_500)).is_err());
    }
}
