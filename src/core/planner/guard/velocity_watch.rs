//! Which velocity goes with a frame.

use std::collections::VecDeque;
use std::time::Duration;

use super::{GuardLimits, Reason};
use crate::frame::{BodyVelocity, Stamp};

/// Recent odometry by stamp, usable or not.
///
/// The rule is that of recordings: the latest usable velocity at or before the frame's stamp, not too old; before the
/// first odometry message of all, that one, if it is near.
#[derive(Debug, Clone, Default)]
pub(super) struct VelocityWatch {
    readings: VecDeque<(Stamp, Option<BodyVelocity>)>,
}

/// More than a second of the fastest odometry.
const KEPT: usize = 512;

/// A step back by less than this is messages overtaking one another.
const CLOCK_SET_BACK_S: f64 = 1.0;

/// Slower than this is standing still: odometry never reads exactly zero.
const MOVING: f64 = 0.05;

impl VelocityWatch {
    /// Takes an odometry message as it came.
    pub(super) fn take(&mut self, linear: f64, angular: f64, stamp: Stamp) {
        if self.readings.back().is_some_and(|(newest, _)| newest.seconds_since(stamp) >= CLOCK_SET_BACK_S) {
            self.readings.clear();
        }
        let place = self.readings.partition_point(|(at, _)| *at <= stamp);
        self.readings.insert(place, (stamp, BodyVelocity::new(linear, angular).ok()));
        if self.readings.len() > KEPT {
            self.readings.pop_front();
        }
    }

    /// Forgets everything: stamps restart.
    pub(super) fn clear(&mut self) {
        self.readings.clear();
    }

    /// Whether the newest usable reading is one of a moving robot.
    pub(super) fn is_moving(&self) -> bool {
        let newest = self.readings.iter().rev().find_map(|(_, velocity)| *velocity);
        newest.is_some_and(|velocity| velocity.linear().abs() > MOVING || velocity.angular().abs() > MOVING)
    }

    /// The velocity for a frame.
    pub(super) fn at(&self, stamp: Stamp, limits: &GuardLimits) -> Result<BodyVelocity, Reason> {
        let before = self.readings.partition_point(|(at, _)| *at <= stamp);
        let usable = self.readings.iter().take(before).rev().find_map(|(at, velocity)| Some((*at, (*velocity)?)));
        if let Some((at, velocity)) = usable {
            let age = span(at, stamp);
            return if age <= limits.velocity_max_age { Ok(velocity) } else { Err(self.stale(before, age)) };
        }
        match self.readings.front() {
            Some(&(at, Some(velocity))) if before == 0 && span(stamp, at) <= limits.velocity_max_age => Ok(velocity),
            Some((_, None)) => Err(Reason::VelocityInvalid),
            _ => Err(Reason::VelocityMissing),
        }
    }

    /// Odometry that stopped, or that still comes and is of no use.
    fn stale(&self, before: usize, age: Duration) -> Reason {
        match before.checked_sub(1).and_then(|newest| self.readings.get(newest)) {
            Some((_, None)) => Reason::VelocityInvalid,
            _ => Reason::VelocityStale(age),
        }
    }
}

/// Time from `earlier` to `later`; zero when it is the other way round.
pub(super) fn span(earlier: Stamp, later: Stamp) -> Duration {
    Duration::from_nanos(u64::try_from(later.nanos().saturating_sub(earlier.nanos())).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ms(ms: i64) -> Stamp {
        Stamp::from_nanos(ms * 1_000_000)
    }

    fn watch(readings: &[(i64, f64)]) -> VelocityWatch {
        let mut watch = VelocityWatch::default();
        readings.iter().for_each(|&(at, linear)| watch.take(linear, 0.0, ms(at)));
        watch
    }

    fn at(watch: &VelocityWatch, stamp: i64) -> Result<f64, Reason> {
        watch.at(ms(stamp), &GuardLimits::default()).map(BodyVelocity::linear)
    }

    #[test]
    fn the_latest_at_or_before_the_frame() {
        let watch = watch(&[(0, 1.0), (100, 3.0), (50, 2.0)]);
        assert_eq!(at(&watch, 99), Ok(2.0));
        assert_eq!(at(&watch, 300), Ok(3.0));
        assert_eq!(at(&watch, 301), Err(Reason::VelocityStale(Duration::from_millis(201))));
    }

    #[test]
    fn before_the_first_odometry_only_a_near_one_counts() {
        let watch = watch(&[(1000, 1.0)]);
        assert_eq!(at(&watch, 900), Ok(1.0));
        assert_eq!(at(&watch, 799), Err(Reason::VelocityMissing));
        assert_eq!(at(&VelocityWatch::default(), 0), Err(Reason::VelocityMissing));
    }

    #[test]
    fn nan_is_bridged_by_a_fresh_older_one_and_named_otherwise() {
        let watch = watch(&[(0, 1.0), (100, f64::NAN), (400, f64::NAN)]);
        assert_eq!(at(&watch, 150), Ok(1.0));
        assert_eq!(at(&watch, 450), Err(Reason::VelocityInvalid));
        assert_eq!(at(&super::tests::watch(&[(0, f64::INFINITY)]), 10), Err(Reason::VelocityInvalid));
    }

    #[test]
    fn memory_is_bounded_and_a_clock_set_back_starts_anew() {
        let mut watch = VelocityWatch::default();
        (0..10_000).for_each(|i| watch.take(1.0, 0.0, ms(i)));
        assert_eq!(watch.readings.len(), KEPT);
        watch.take(0.5, 0.0, ms(10));
        assert_eq!((watch.readings.len(), at(&watch, 20)), (1, Ok(0.5)));
    }
}
