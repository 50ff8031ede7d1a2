//! Whether a scan sees anything, and where its beams point.
//!
//! A picture without obstacles looks like free space, so a scan from which nothing can be seen must never become one.
//! What a range says is told by REP 117: `+inf`, nothing within reach; `-inf`, something too close; NaN, no measurement.
//! Zeros and ranges outside the scanner's limits stand for no measurement, too. A scan sees when one of its beams came
//! back, or when at least half of them say `+inf`.

use std::f64::consts::TAU;

use super::ScanMessage;
use crate::frame::render::{LaserScan, RenderError};

/// Why a scan cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadScan {
    /// Limits between which no range lies.
    #[error(
        "scan {field} is {value} m, expected {expected}: nothing can be seen between range_min {range_min} m and \
         range_max {range_max} m; set the sensor's limits in its driver"
    )]
    Limits {
        /// `range_min` or `range_max`.
        field: &'static str,
        /// What was found, m.
        value: f32,
        /// What is accepted.
        expected: &'static str,
        /// As sent, m.
        range_min: f32,
        /// As sent, m.
        range_max: f32,
    },
    /// Nothing was measured.
    #[error(
        "scan ranges are empty, expected one range a beam: nothing was measured; check the lidar and its driver \
         (intensities alone say nothing)"
    )]
    NoRanges,
    /// No beam came back, and too few say that their way is free.
    #[error("scan ranges see nothing: {0}; check the lidar and its driver")]
    NothingSeen(Unseen),
    /// Beams that point nowhere in particular.
    #[error("scan {field} is {value} rad, expected {expected}; check the LaserScan publisher")]
    Angle {
        /// `angle_min`, `angle_max` or `angle_increment`.
        field: &'static str,
        /// What was found, rad.
        value: f32,
        /// What is accepted.
        expected: &'static str,
    },
    /// The number of beams and the angles tell of different scanners.
    #[error(
        "scan has {beams} ranges, which end at {end:.3} rad (from angle_min {angle_min} in steps of angle_increment \
         {angle_increment}), but angle_max is {angle_max}: it is not known where the beams point; check the LaserScan \
         publisher"
    )]
    BeamsDisagree {
        /// Number of ranges.
        beams: usize,
        /// Where the last of them points, rad.
        end: f64,
        /// As sent, rad.
        angle_min: f32,
        /// As sent, rad.
        angle_increment: f32,
        /// As sent, rad.
        angle_max: f32,
    },
    /// The scan cannot be placed.
    #[error(transparent)]
    Unplaceable(#[from] RenderError),
}

/// What the ranges of a blind scan are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unseen {
    /// `+inf`: the way is free.
    pub free: usize,
    /// Zeros.
    pub zero: usize,
    /// NaN.
    pub nan: usize,
    /// Below `range_min`, negative and `-inf`.
    pub too_close: usize,
    /// Above `range_max`.
    pub beyond: usize,
}

impl std::fmt::Display for Unseen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { free, zero, nan, too_close, beyond } = self;
        let total = free + zero + nan + too_close + beyond;
        write!(
            f,
            "of {total} ranges none lies within range_min and range_max; {zero} are zero, {nan} NaN, {too_close} below \
             range_min, {beyond} above range_max, {free} infinite (expected a return, or half of them infinite, which \
             says that nothing is within reach)"
        )
    }
}

impl BadScan {
    /// Whether the sensor is blind. It is the scan that makes no sense otherwise.
    pub fn is_blind(&self) -> bool {
        matches!(self, Self::Limits { .. } | Self::NoRanges | Self::NothingSeen(_))
    }
}

impl ScanMessage {
    /// Refuses a scan that sees nothing, and one whose beams point nowhere.
    ///
    /// # Errors
    /// [`BadScan`] with the field, what was found and what was expected.
    pub fn check(&self) -> Result<(), BadScan> {
        check_limits(&self.scan)?;
        self.scan.check()?;
        check_angles(&self.scan, self.angle_max)?;
        check_ranges(&self.scan)
    }
}

fn check_limits(&LaserScan { range_min, range_max, .. }: &LaserScan) -> Result<(), BadScan> {
    let refuse = |field, value, expected| Err(BadScan::Limits { field, value, expected, range_min, range_max });
    if !range_min.is_finite() {
        return refuse("range_min", range_min, "a finite distance");
    }
    if range_max.is_nan() || range_max <= range_min.max(0.0) {
        return refuse("range_max", range_max, "a distance above range_min and above zero");
    }
    Ok(())
}

/// How much further than a full turn a scan may go: increments are rounded.
const OVER_A_TURN: f64 = 1.05;
/// How far the last beam may be off, beams: some publishers give the angle behind it.
const BEAMS_OFF: f64 = 2.5;
/// How far it may be off as a share of the scan: increments are rounded.
const SHARE_OFF: f64 = 0.05;

fn check_angles(scan: &LaserScan, angle_max: f32) -> Result<(), BadScan> {
    let LaserScan { angle_min, angle_increment, .. } = *scan;
    let refuse = |field, value, expected| Err(BadScan::Angle { field, value, expected });
    if f64::from(angle_min).abs() > TAU * OVER_A_TURN {
        return refuse("angle_min", angle_min, "-6.283 to 6.283 rad (is it in degrees?)");
    }
    if !angle_max.is_finite() {
        return refuse("angle_max", angle_max, "a finite angle in rad");
    }
    let beams = scan.ranges.len();
    let Some(steps) = beams.checked_sub(1).filter(|steps| *steps > 0) else { return Ok(()) };
    if angle_increment == 0.0 {
        return refuse("angle_increment", angle_increment, "the angle from one beam to the next, which is not zero");
    }
    let step = f64::from(angle_increment);
    let sweep = step * steps as f64;
    if sweep.abs() > TAU * OVER_A_TURN {
        return refuse(
            "angle_increment",
            angle_increment,
            "beams that make at most one full turn together (is it in degrees?)",
        );
    }
    // Zero is what a publisher leaves that does not set it; beams are placed without it.
    if angle_max != 0.0 {
        let end = f64::from(angle_min) + sweep;
        let turned = (end - f64::from(angle_max)).rem_euclid(TAU);
        if turned.min(TAU - turned) > (BEAMS_OFF * step.abs()).max(SHARE_OFF * sweep.abs()) {
            return Err(BadScan::BeamsDisagree { beams, end, angle_min, angle_increment, angle_max });
        }
    }
    Ok(())
}

fn check_ranges(scan: &LaserScan) -> Result<(), BadScan> {
    if scan.ranges.is_empty() {
        return Err(BadScan::NoRanges);
    }
    let mut unseen = Unseen::default();
    for &range in &scan.ranges {
        if LaserScan::is_return(range, scan.range_min, scan.range_max) {
            return Ok(());
        }
        let kind = if range.is_nan() {
            &mut unseen.nan
        } else if range == f32::INFINITY {
            &mut unseen.free
        } else if range == 0.0 {
            &mut unseen.zero
        } else if range < scan.range_min.max(0.0) {
            &mut unseen.too_close
        } else {
            &mut unseen.beyond
        };
        *kind += 1;
    }
    if unseen.free * 2 < scan.ranges.len() { Err(BadScan::NothingSeen(unseen)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::frame::Stamp;

    const INF: f32 = f32::INFINITY;
    const NAN: f32 = f32::NAN;

    fn scan(change: impl Fn(&mut ScanMessage)) -> ScanMessage {
        let scan = LaserScan {
            angle_min: -2.0,
            angle_increment: 0.01,
            range_min: 0.1,
            range_max: 30.0,
            ranges: vec![4.0; 401],
        };
        let mut message = ScanMessage { stamp: Stamp::from_nanos(0), frame: "laser".into(), angle_max: 2.0, scan };
        change(&mut message);
        message
    }

    fn ranges(ranges: &[f32]) -> Result<(), BadScan> {
        scan(|message| {
            message.scan.ranges = ranges.iter().copied().cycle().take(400).collect();
        })
        .check()
    }

    #[test]
    fn free_space_that_was_seen_is_no_blindness() {
        assert!(ranges(&[INF]).is_ok(), "an open field");
        assert!(ranges(&[INF, NAN]).is_ok(), "every other beam is broken, the others are free");
        assert!(ranges(&[NAN, NAN, NAN, 1.2]).is_ok(), "something was seen");
        assert!(scan(|message| message.scan.range_max = INF).check().is_ok());
    }

    #[test]
    fn a_scan_that_sees_nothing_is_blind() {
        for blind in [&[0.0_f32][..], &[NAN], &[f32::NEG_INFINITY], &[0.05], &[30.5], &[-1.0], &[INF, NAN, 0.0]] {
            let error = ranges(blind).unwrap_err();
            assert!(error.is_blind() && error.to_string().contains("see nothing"), "{blind:?}: {error}");
        }
        let zeros = ranges(&[0.0]).unwrap_err().to_string();
        assert!(zeros.contains("of 400 ranges") && zeros.contains("400 are zero"), "{zeros}");
        let empty = scan(|message| message.scan.ranges.clear()).check().unwrap_err();
        assert!(empty.is_blind() && empty.to_string().contains("ranges are empty"), "{empty}");
    }

    #[test]
    fn wrong_limits_are_named() {
        for (min, max, words) in [
            (0.1, 0.0, "range_max is 0 m"),
            (0.0, 0.0, "range_max is 0 m"),
            (-1.0, -0.5, "range_max is -0.5 m"),
            (30.0, 0.1, "range_max is 0.1 m"),
            (0.1, NAN, "range_max is NaN m"),
            (NAN, 30.0, "range_min is NaN m"),
            (INF, INF, "range_min is inf m"),
        ] {
            let error = scan(|message| (message.scan.range_min, message.scan.range_max) = (min, max)).check();
            let error = error.unwrap_err();
            assert!(error.is_blind() && error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn a_scanner_that_turns_the_other_way_is_as_good() {
        let mirrored = |message: &mut ScanMessage| {
            (message.scan.angle_min, message.scan.angle_increment, message.angle_max) = (2.0, -0.01, -2.0);
        };
        assert!(scan(mirrored).check().is_ok());
        // A full turn, however its ends are named.
        let pi = std::f32::consts::PI;
        for (from, step, to) in [(-pi, 0.0175, 3.1241), (pi, -0.0175, -3.1241), (-pi, -0.0175, pi)] {
            let full = scan(|message| {
                message.scan.ranges = vec![1.0; 359];
                (message.scan.angle_min, message.scan.angle_increment, message.angle_max) = (from, step, to);
            });
            assert!(full.check().is_ok(), "{from} {step} {to}");
        }
        assert!(scan(|message| message.angle_max = 0.0).check().is_ok(), "left unset");
        assert!(scan(|message| message.angle_max = 2.01).check().is_ok(), "the angle behind the last beam");
    }

    #[test]
    fn beams_that_point_nowhere_are_refused_by_field() {
        type Spoil = fn(&mut ScanMessage);
        let cases: [(&str, Spoil); 7] = [
            ("angle_increment is 0 rad", |message| message.scan.angle_increment = 0.0),
            ("angle_increment is 0.5 rad", |message| message.scan.angle_increment = 0.5),
            ("angle_min is -135 rad", |message| message.scan.angle_min = -135.0),
            ("angle_min is NaN", |message| message.scan.angle_min = NAN),
            ("angle_max is NaN rad", |message| message.angle_max = NAN),
            ("has 201 ranges, which end at", |message| message.scan.ranges.truncate(201)),
            ("but angle_max is 2", |message| message.scan.angle_increment = -0.01),
        ];
        for (words, spoil) in cases {
            let error = scan(spoil).check().unwrap_err();
            assert!(!error.is_blind() && error.to_string().contains(words), "{error}");
        }
    }
}
