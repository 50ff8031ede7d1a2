//! Which velocity the robot had when an image was taken.

use super::{SkipReason, Skipped, Topic};
use planner_tuner_core::frame::{BodyVelocity, Stamp};

/// Odometry over a recording, by stamp.
///
/// The clock that stamps come from may be set back while the recorder's own clock runs on (a simulation that is
/// reset). The track is therefore cut into stretches in which stamps advance, and an image looks only into the stretch
/// that was being recorded when it came.
#[derive(Debug, Default)]
pub(super) struct VelocityTrack {
    stretches: Vec<Stretch>,
}

#[derive(Debug)]
struct Stretch {
    began: Stamp,
    /// By stamp; `None` where the message held no usable velocity.
    samples: Vec<(Stamp, Option<BodyVelocity>)>,
}

/// One odometry message, usable or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct VelocitySample {
    /// When it was recorded.
    pub(crate) log_time: Stamp,
    /// When it was measured.
    pub(crate) stamp: Stamp,
    /// `None` when it was refused.
    pub(crate) velocity: Option<BodyVelocity>,
}

/// Why there is no velocity for an image.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NoVelocity {
    /// No usable odometry before the image, and none close enough behind it.
    Unknown,
    /// The newest usable odometry is this old, seconds.
    Stale(f64),
}

impl NoVelocity {
    /// The loss of the image of this stamp.
    pub(super) fn skipped(&self, stamp: Stamp, odometry: &Topic) -> Skipped {
        let (odometry, limit) = (&odometry.name, VelocityTrack::MAX_AGE as f64 * 1e-9);
        match self {
            Self::Unknown => {
                let message =
                    format!("{odometry}: no usable velocity at the image's stamp, nor within {limit} s of it");
                Skipped::new(SkipReason::NoVelocity, Some(stamp), message)
            }
            Self::Stale(age) => {
                let message =
                    format!("{odometry}: the last usable velocity is {age:.3} s old, at most {limit} s is accepted");
                Skipped::new(SkipReason::StaleVelocity, Some(stamp), message)
            }
        }
    }
}

impl VelocityTrack {
    /// Largest distance in time between a velocity and the image it is used for, nanoseconds.
    pub(super) const MAX_AGE: i64 = 200_000_000;

    /// A step back by less than this is messages overtaking one another, nanoseconds.
    const CLOCK_SET_BACK: i64 = 1_000_000_000;

    /// Takes the samples of a recording in any order.
    pub(super) fn new(mut samples: Vec<VelocitySample>) -> Self {
        samples.sort_by_key(|sample| sample.log_time);
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut previous = Stamp::from_nanos(i64::MIN);
        for VelocitySample { log_time, stamp, velocity } in samples {
            let set_back = previous.nanos().saturating_sub(stamp.nanos()) >= Self::CLOCK_SET_BACK;
            previous = stamp;
            match stretches.last_mut() {
                Some(stretch) if !set_back => stretch.samples.push((stamp, velocity)),
                _ => stretches.push(Stretch { began: log_time, samples: vec![(stamp, velocity)] }),
            }
        }
        for stretch in &mut stretches {
            stretch.samples.sort_by_key(|(stamp, _)| *stamp);
        }
        Self { stretches }
    }

    /// The velocity for an image, and its age in seconds.
    ///
    /// It is the latest usable one at or before the image's stamp, at most [`Self::MAX_AGE`] old. Before the first
    /// odometry message of all, that one is used if it comes within the same time, and its age is negative: recorders
    /// start their topics a few milliseconds apart.
    pub(super) fn at(&self, log_time: Stamp, stamp: Stamp) -> Result<(BodyVelocity, f64), NoVelocity> {
        let behind = self.stretches.partition_point(|stretch| stretch.began <= log_time);
        let stretch = self.stretches.get(behind.saturating_sub(1)).ok_or(NoVelocity::Unknown)?;
        let (before, after) = stretch.samples.split_at(stretch.samples.partition_point(|(at, _)| *at <= stamp));
        let nearest = match before.iter().rev().find_map(|(at, velocity)| Some((*at, (*velocity)?))) {
            Some(nearest) => nearest,
            None if before.is_empty() => match after.first() {
                Some(&(at, Some(velocity))) if at.nanos().saturating_sub(stamp.nanos()) <= Self::MAX_AGE => {
                    (at, velocity)
                }
                _ => return Err(NoVelocity::Unknown),
            },
            None => return Err(NoVelocity::Unknown),
        };
        let (at, velocity) = nearest;
        let age = stamp.seconds_since(at);
        if stamp.nanos().saturating_sub(at.nanos()) > Self::MAX_AGE {
            return Err(NoVelocity::Stale(age));
        }
        Ok((velocity, age))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn stamp(ms: i64) -> Stamp {
        Stamp::from_nanos(ms * 1_000_000)
    }

    /// Samples of (recorded, measured, m/s) in milliseconds; NaN stands for a refused one.
    fn track(samples: &[(i64, i64, f64)]) -> VelocityTrack {
        let sample = |&(log_ms, ms, linear): &(i64, i64, f64)| VelocitySample {
            log_time: stamp(log_ms),
            stamp: stamp(ms),
            velocity: BodyVelocity::new(linear, 0.0).ok(),
        };
        VelocityTrack::new(samples.iter().map(sample).collect())
    }

    /// Velocity in m/s and age in milliseconds, or the age of a stale one.
    fn at(track: &VelocityTrack, log_ms: i64, ms: i64) -> Result<(f64, i64), Option<i64>> {
        let in_ms = |seconds: f64| (seconds * 1e3).round() as i64;
        match track.at(stamp(log_ms), stamp(ms)) {
            Ok((velocity, age)) => Ok((velocity.linear(), in_ms(age))),
            Err(NoVelocity::Stale(age)) => Err(Some(in_ms(age))),
            Err(NoVelocity::Unknown) => Err(None),
        }
    }

    #[test]
    fn latest_at_or_before_the_image() {
        let track = track(&[(0, 0, 1.0), (50, 50, 2.0), (100, 100, 3.0)]);
        assert_eq!(at(&track, 60, 50).unwrap(), (2.0, 0));
        assert_eq!(at(&track, 99, 99).unwrap(), (2.0, 49));
        assert_eq!(at(&track, 300, 300).unwrap(), (3.0, 200));
        assert_eq!(at(&track, 301, 301), Err(Some(201)));
    }

    #[test]
    fn before_the_first_odometry_only_a_near_one_counts() {
        let track = track(&[(1000, 1000, 1.0)]);
        assert_eq!(at(&track, 999, 999).unwrap(), (1.0, -1));
        assert_eq!(at(&track, 799, 799), Err(None));
        assert_eq!(at(&VelocityTrack::default(), 0, 0), Err(None));
    }

    #[test]
    fn a_refused_velocity_is_bridged_only_by_a_fresh_older_one() {
        let track =
            track(&[(0, 0, f64::NAN), (100, 100, 1.0), (200, 200, f64::NAN), (400, 400, f64::NAN), (500, 500, 2.0)]);
        assert_eq!(at(&track, 50, 50), Err(None), "a refused one is no start of recording");
        assert_eq!(at(&track, 250, 250).unwrap(), (1.0, 150));
        assert_eq!(at(&track, 450, 450), Err(Some(350)));
    }

    #[test]
    fn messages_that_overtake_one_another_stay_together() {
        let track = track(&[(0, 0, 1.0), (60, 60, 3.0), (61, 40, 2.0)]);
        assert_eq!(at(&track, 70, 50).unwrap(), (2.0, 10));
    }

    #[test]
    fn a_clock_that_is_set_back_begins_a_new_stretch() {
        let track = track(&[(0, 10_000, 1.0), (1000, 11_000, 2.0), (2000, 100, 3.0), (12_000, 10_100, 4.0)]);
        assert_eq!(at(&track, 1010, 11_010).unwrap(), (2.0, 10));
        assert_eq!(at(&track, 2010, 110).unwrap(), (3.0, 10));
        assert_eq!(at(&track, 12_010, 10_110).unwrap(), (4.0, 10));
        assert_eq!(at(&track, 2010, 11_010), Err(Some(910)), "the same stamp, but by the clock that was set back");
    }
}
