//! Where something was over the last seconds.

use std::collections::VecDeque;
use std::time::Duration;

use nalgebra::Isometry3;

use crate::frame::Stamp;

/// Poses by stamp. Bounded: old ones are dropped.
#[derive(Debug, Clone, Default)]
pub(super) struct PoseTrack {
    samples: VecDeque<(Stamp, Isometry3<f64>)>,
}

/// A pose at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PoseAt {
    pub(super) pose: Isometry3<f64>,
    /// Seconds from the nearest sample that it was made of to the moment; negative for a later sample alone.
    pub(super) age_s: f64,
}

/// Why there is no pose at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum NoPoseAt {
    /// There are no samples at all.
    Empty,
    /// The nearest sample is this far off, seconds.
    Stale(f64),
}

/// The clock was set back before this sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SetBack;

impl PoseTrack {
    /// How far back it reaches, nanoseconds.
    pub(super) const REACH: i64 = 20_000_000_000;
    /// Most samples: 20 s at 200 Hz.
    const MAX_SAMPLES: usize = 4000;
    /// A step back by less than this is messages overtaking one another, nanoseconds.
    const CLOCK_SET_BACK: i64 = 1_000_000_000;

    /// Takes a sample. Another one of the same stamp replaces it.
    ///
    /// # Errors
    /// [`SetBack`] when the stamp lies a second or more before the newest one; it is not taken then.
    pub(super) fn push(&mut self, stamp: Stamp, pose: Isometry3<f64>) -> Result<(), SetBack> {
        if self.is_set_back_by(stamp) {
            return Err(SetBack);
        }
        let newest = self.newest().unwrap_or(stamp).max(stamp);
        let place = self.samples.partition_point(|(at, _)| *at < stamp);
        match self.samples.get_mut(place) {
            Some(sample) if sample.0 == stamp => sample.1 = pose,
            _ => self.samples.insert(place, (stamp, pose)),
        }
        let is_old = |at: Stamp| newest.nanos().saturating_sub(at.nanos()) > Self::REACH;
        while self.samples.len() > Self::MAX_SAMPLES || self.samples.front().is_some_and(|(at, _)| is_old(*at)) {
            self.samples.pop_front();
        }
        Ok(())
    }

    /// Whether this stamp lies a second or more before the newest one.
    pub(super) fn is_set_back_by(&self, stamp: Stamp) -> bool {
        let newest = self.newest().unwrap_or(stamp);
        newest.nanos().saturating_sub(stamp.nanos()) >= Self::CLOCK_SET_BACK
    }

    /// The stamp of the newest sample.
    pub(super) fn newest(&self) -> Option<Stamp> {
        self.samples.back().map(|(newest, _)| *newest)
    }

    /// The stamp of the oldest sample.
    pub(super) fn oldest(&self) -> Option<Stamp> {
        self.samples.front().map(|(oldest, _)| *oldest)
    }

    /// The pose at a stamp that lies within the samples, however far they are apart.
    pub(super) fn within(&self, stamp: Stamp) -> Option<Isometry3<f64>> {
        let behind = self.samples.partition_point(|(at, _)| *at <= stamp);
        let neighbour =
            |sample: &(Stamp, Isometry3<f64>)| PoseAt { pose: sample.1, age_s: stamp.seconds_since(sample.0) };
        let before = self.samples.get(behind.checked_sub(1)?).map(neighbour)?;
        if before.age_s == 0.0 {
            return Some(before.pose);
        }
        self.samples.get(behind).map(|after| between(before, neighbour(after)).pose)
    }

    /// Whether the pose at this stamp is final: there is a sample at it or behind it.
    pub(super) fn reaches(&self, stamp: Stamp) -> bool {
        self.samples.back().is_some_and(|(newest, _)| *newest >= stamp)
    }

    /// The pose at a stamp: a sample of that very stamp, or what lies between its two neighbours, or the only neighbour
    /// there is. None of them may be further off than `max_age`.
    pub(super) fn at(&self, stamp: Stamp, max_age: Duration) -> Result<PoseAt, NoPoseAt> {
        let behind = self.samples.partition_point(|(at, _)| *at <= stamp);
        let before = behind.checked_sub(1).and_then(|place| self.samples.get(place));
        let after = self.samples.get(behind);
        let is_near = |age_s: f64| age_s.abs() <= max_age.as_secs_f64();
        let neighbour =
            |sample: &(Stamp, Isometry3<f64>)| PoseAt { pose: sample.1, age_s: stamp.seconds_since(sample.0) };
        let (before, after) = (before.map(neighbour), after.map(neighbour));
        match (before.filter(|pose| is_near(pose.age_s)), after.filter(|pose| is_near(pose.age_s))) {
            (Some(before), Some(after)) if before.age_s > 0.0 => Ok(between(before, after)),
            (Some(only), _) | (None, Some(only)) => Ok(only),
            (None, None) => {
                let ages = [before, after].into_iter().flatten().map(|pose| pose.age_s);
                let nearest = ages.min_by(|a, b| a.abs().total_cmp(&b.abs()));
                Err(nearest.map_or(NoPoseAt::Empty, NoPoseAt::Stale))
            }
        }
    }
}

/// The pose between two neighbours of the moment.
fn between(before: PoseAt, after: PoseAt) -> PoseAt {
    let share = before.age_s / (before.age_s - after.age_s);
    let position = before.pose.translation.vector.lerp(&after.pose.translation.vector, share);
    // Half a turn between two samples has no shorter way: the nearer one counts.
    let nearer = if share <= 0.5 { before } else { after };
    let turned = before.pose.rotation.try_slerp(&after.pose.rotation, share, 1e-9);
    let pose = Isometry3::from_parts(position.into(), turned.unwrap_or(nearer.pose.rotation));
    PoseAt { pose, age_s: nearer.age_s }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nalgebra::{UnitQuaternion, Vector3};
    use proptest::prelude::*;

    use super::*;

    const NEAR: Duration = Duration::from_millis(200);

    fn stamp(ms: i64) -> Stamp {
        Stamp::from_nanos(ms * 1_000_000)
    }

    fn pose(x: f64, yaw: f64) -> Isometry3<f64> {
        Isometry3::new(Vector3::new(x, 0.0, 0.0), Vector3::z() * yaw)
    }

    fn track(samples: &[(i64, f64, f64)]) -> PoseTrack {
        let mut track = PoseTrack::default();
        samples.iter().for_each(|(ms, x, yaw)| track.push(stamp(*ms), pose(*x, *yaw)).unwrap());
        track
    }

    #[test]
    fn a_sample_of_the_very_stamp_is_taken_to_the_bit() {
        let track = track(&[(0, 0.1, 0.3), (100, 0.7, -2.9), (200, 1.3, 3.0)]);
        let at = track.at(stamp(100), NEAR).unwrap();
        assert_eq!((at.pose, at.age_s), (pose(0.7, -2.9), 0.0));
    }

    #[test]
    fn between_two_samples_the_pose_is_in_proportion_and_turns_the_short_way() {
        let track = track(&[(0, 0.0, 3.0), (100, 1.0, -3.0)]);
        let at = track.at(stamp(25), NEAR).unwrap();
        assert!((at.pose.translation.x - 0.25).abs() < 1e-12);
        let short_way = 3.0 + 0.25 * (std::f64::consts::TAU - 6.0);
        let expected = UnitQuaternion::from_axis_angle(&Vector3::z_axis(), short_way);
        assert!(at.pose.rotation.angle_to(&expected) < 1e-9);
        assert!(track.reaches(stamp(100)) && !track.reaches(stamp(101)));
    }

    #[test]
    fn the_only_neighbour_counts_while_it_is_near() {
        let track = track(&[(1000, 1.0, 0.0), (2000, 2.0, 0.0)]);
        assert_eq!(track.at(stamp(900), NEAR).unwrap().age_s, -0.1);
        assert_eq!(track.at(stamp(1200), NEAR).unwrap().pose, pose(1.0, 0.0));
        assert_eq!(track.at(stamp(1900), NEAR).unwrap().pose, pose(2.0, 0.0));
        assert_eq!(track.at(stamp(1400), NEAR), Err(NoPoseAt::Stale(0.4)), "a gap is not bridged");
        assert_eq!(track.at(stamp(2500), NEAR), Err(NoPoseAt::Stale(0.5)));
        assert_eq!(PoseTrack::default().at(stamp(0), NEAR), Err(NoPoseAt::Empty));
    }

    #[test]
    fn within_the_samples_every_gap_is_bridged_and_nothing_beyond_them() {
        let track = track(&[(1000, 1.0, 0.0), (3000, 2.0, 0.4)]);
        let at = |ms| track.within(stamp(ms));
        assert_eq!((at(1000), at(3000)), (Some(pose(1.0, 0.0)), Some(pose(2.0, 0.4))));
        let between = at(1500).unwrap();
        assert!((between.translation.x - 1.25).abs() < 1e-12 && (between.rotation.angle() - 0.1).abs() < 1e-12);
        assert_eq!((at(999), at(3001), PoseTrack::default().within(stamp(0))), (None, None, None));
    }

    #[test]
    fn half_a_turn_takes_the_nearer_sample() {
        let track = track(&[(0, 0.0, 0.0), (100, 0.0, std::f64::consts::PI)]);
        let yaw = |ms| track.at(stamp(ms), NEAR).unwrap().pose.rotation.angle();
        assert!((0.0..=std::f64::consts::PI + 1e-9).contains(&yaw(40)));
    }

    #[test]
    fn stragglers_are_sorted_in_and_a_clock_that_is_set_back_is_noticed() {
        let mut track = track(&[(0, 0.0, 0.0), (100, 1.0, 0.0), (50, 9.0, 0.0)]);
        assert_eq!(track.at(stamp(50), NEAR).unwrap().pose, pose(9.0, 0.0));
        assert_eq!(track.push(stamp(-900), pose(0.0, 0.0)), Err(SetBack));
        assert_eq!(track.push(stamp(-899), pose(0.0, 0.0)), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let mut track = PoseTrack::default();
        (0..20_000).for_each(|ms| track.push(stamp(ms), pose(0.0, 0.0)).unwrap());
        assert_eq!(track.samples.len(), PoseTrack::MAX_SAMPLES);
        track.push(stamp(100_000), pose(0.0, 0.0)).unwrap();
        assert_eq!(track.samples.len(), 1, "older than the reach");
    }

    proptest! {
        #[test]
        fn any_stamps_and_numbers_are_a_pose_or_a_reason(
            samples in prop::collection::vec((any::<i64>(), any::<f64>(), -4.0f64..4.0), 0..20),
            asked in any::<i64>(),
        ) {
            let mut track = PoseTrack::default();
            let mut kept = Vec::new();
            for (nanos, x, yaw) in samples {
                if track.push(Stamp::from_nanos(nanos), pose(x, yaw)).is_ok() {
                    kept.push(nanos);
                }
            }
            prop_assert!(track.samples.iter().zip(track.samples.iter().skip(1)).all(|(a, b)| a.0 < b.0));
            let asked = Stamp::from_nanos(asked);
            match track.at(asked, NEAR) {
                Ok(found) => prop_assert!(found.age_s.abs() <= 0.2),
                Err(NoPoseAt::Stale(age_s)) => prop_assert!(age_s.abs() > 0.2),
                Err(NoPoseAt::Empty) => prop_assert!(kept.is_empty()),
            }
        }
    }
}
