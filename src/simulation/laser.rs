//! What the robot sees: a planar scan against upright cylinders, by exact ray casting.

#![expect(clippy::indexing_slicing, reason = "beams are of the scan that was made with them")]

use planner_tuner_core::frame::render::LaserScan;
use planner_tuner_core::pose::Pose;
use planner_tuner_core::random::Random;

use crate::costmap::LaserMount;
use crate::world::Cylinder;

/// What a scanner is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LaserSettings {
    /// Where it sits.
    pub mount: LaserMount,
    /// Angle of the first beam, rad.
    pub angle_min: f32,
    /// From one beam to the next, rad; positive.
    pub angle_increment: f32,
    /// Number of beams.
    pub beams: usize,
    /// Nearer obstacles are not seen, m.
    pub range_min: f32,
    /// Farther ones neither, m.
    pub range_max: f32,
    /// Standard deviation of a range, m.
    pub noise_m: f64,
}

impl LaserSettings {
    /// The SICK LMS1xx of the original's Jackal: 720 beams over 270 degrees. Without its noise, which is 1 mm.
    pub const JACKAL: Self = Self {
        mount: LaserMount::JACKAL,
        angle_min: -2.35619,
        angle_increment: 4.71238 / 719.0,
        beams: 720,
        range_min: 0.1,
        range_max: 30.0,
        noise_m: 0.0,
    };
}

/// A scanner and its newest scan.
#[derive(Debug, Clone)]
pub struct Laser {
    settings: LaserSettings,
    scan: LaserScan,
    /// Cosine and sine of every beam.
    directions: Vec<[f64; 2]>,
    random: Random,
}

impl Laser {
    /// A scanner; the seed is for its noise.
    pub fn new(settings: LaserSettings, seed: u64) -> Self {
        let LaserSettings { angle_min, angle_increment, beams, range_min, range_max, .. } = settings;
        let angle = |beam: usize| f64::from(angle_min) + beam as f64 * f64::from(angle_increment);
        Self {
            settings,
            scan: LaserScan { angle_min, angle_increment, range_min, range_max, ranges: vec![f32::INFINITY; beams] },
            directions: (0..beams).map(angle).map(|angle| [angle.cos(), angle.sin()]).collect(),
            random: Random::new(seed),
        }
    }

    /// Scans from where the robot is. Beams that hit nothing are infinite; those that end nearer than the scanner sees are 0,
    /// as drivers send them.
    pub fn scan(&mut self, cylinders: &[Cylinder], robot: Pose) -> &LaserScan {
        let LaserSettings { mount, range_min, range_max, noise_m, .. } = self.settings;
        let (sin, cos) = robot.yaw.sin_cos();
        let (x, y) = (robot.position.x + mount.ahead * cos, robot.position.y + mount.ahead * sin);
        self.scan.ranges.fill(f32::INFINITY);
        for Cylinder { centre, radius } in cylinders {
            let (dx, dy) = (centre.x - x, centre.y - y);
            let distance = dx.hypot(dy);
            if distance - radius > f64::from(range_max) {
                continue;
            }
            // In the laser's frame.
            let (ahead, left) = (dx * cos + dy * sin, dy * cos - dx * sin);
            for beam in self.beams_towards(left.atan2(ahead), distance, *radius) {
                let [beam_cos, beam_sin] = self.directions[beam];
                let (along, aside) = (ahead * beam_cos + left * beam_sin, left * beam_cos - ahead * beam_sin);
                let half_chord = radius * radius - aside * aside;
                if half_chord < 0.0 || (along < 0.0 && distance > *radius) {
                    continue;
                }
                let range = (along - half_chord.sqrt()).max(0.0) as f32;
                let nearest = &mut self.scan.ranges[beam];
                *nearest = nearest.min(range);
            }
        }
        for range in &mut self.scan.ranges {
            if *range == f32::INFINITY {
                continue;
            }
            if noise_m > 0.0 {
                *range += (noise_m * f64::from(self.random.normal())) as f32;
            }
            if *range < range_min {
                *range = 0.0;
            } else if *range > range_max {
                *range = f32::INFINITY;
            }
        }
        &self.scan
    }

    /// The newest scan.
    pub fn newest(&self) -> &LaserScan {
        &self.scan
    }

    /// The beams that can meet a cylinder at this bearing, and one more on each side for what rounding does.
    fn beams_towards(&self, bearing: f64, distance: f64, radius: f64) -> std::ops::Range<usize> {
        let beams = self.settings.beams;
        if distance <= radius {
            return 0..beams;
        }
        let half = (radius / distance).asin();
        let place =
            |angle: f64| (angle - f64::from(self.settings.angle_min)) / f64::from(self.settings.angle_increment);
        let (from, to) = (place(bearing - half).floor() - 1.0, place(bearing + half).ceil() + 2.0);
        // A scan of less than a circle that begins behind the left shoulder does not wrap.
        from.max(0.0) as usize..(to.max(0.0) as usize).min(beams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use planner_tuner_core::pose::Position;
    use proptest::prelude::*;

    fn pose(x: f64, y: f64, yaw: f64) -> Pose {
        Pose { position: Position { x, y }, yaw }
    }

    /// The range of a beam by marching along it: another way to the same number.
    fn marched(cylinders: &[Cylinder], [x, y]: [f64; 2], angle: f64) -> f64 {
        let (sin, cos) = angle.sin_cos();
        let mut range = 0.0;
        while range < 30.0 {
            let (x, y) = (x + range * cos, y + range * sin);
            let free = cylinders
                .iter()
                .map(|other| (other.centre.x - x).hypot(other.centre.y - y) - other.radius)
                .fold(f64::INFINITY, f64::min);
            if free < 1e-9 {
                return range;
            }
            range += free;
        }
        f64::INFINITY
    }

    #[test]
    fn a_cylinder_ahead_is_seen_from_the_mount() {
        let cylinder = Cylinder { centre: Position { x: 0.0, y: 2.0 }, radius: 0.5 };
        let mut laser = Laser::new(LaserSettings::JACKAL, 0);
        let scan = laser.scan(&[cylinder], pose(0.0, 0.0, std::f64::consts::FRAC_PI_2));
        let ahead = scan.ranges[359].min(scan.ranges[360]);
        assert!((ahead - 1.38).abs() < 1e-4, "{ahead}");
        assert_eq!(scan.ranges[0], f32::INFINITY);
    }

    #[test]
    fn what_is_too_near_is_zero() {
        let cylinder = Cylinder { centre: Position { x: 0.25, y: 0.0 }, radius: 0.075 };
        let mut laser = Laser::new(LaserSettings::JACKAL, 0);
        assert_eq!(laser.scan(&[cylinder], pose(0.0, 0.0, 0.0)).ranges[360], 0.0);
    }

    #[test]
    fn noise_is_the_same_for_a_seed() {
        let cylinder = Cylinder { centre: Position { x: 2.0, y: 0.0 }, radius: 0.5 };
        let scan = |seed| {
            let mut laser = Laser::new(LaserSettings { noise_m: 0.01, ..LaserSettings::JACKAL }, seed);
            laser.scan(&[cylinder], pose(0.0, 0.0, 0.0)).ranges.clone()
        };
        assert_eq!(scan(1), scan(1));
        assert_ne!(scan(1), scan(2));
    }

    proptest! {
        #[test]
        fn every_beam_is_as_long_as_marching_says(
            places in proptest::collection::vec((-4.0..4.0_f64, -4.0..4.0_f64, 0.05..0.4_f64), 1..20),
            yaw in -4.0..4.0_f64,
        ) {
            let cylinders: Vec<Cylinder> = places
                .iter()
                .filter(|(x, y, radius)| (x - 0.12 * yaw.cos()).hypot(y - 0.12 * yaw.sin()) > radius + 0.11)
                .map(|(x, y, radius)| Cylinder { centre: Position { x: *x, y: *y }, radius: *radius })
                .collect();
            let mut laser = Laser::new(LaserSettings::JACKAL, 0);
            let scan = laser.scan(&cylinders, pose(0.0, 0.0, yaw));
            for (beam, range) in scan.ranges.iter().enumerate() {
                let angle = f64::from(scan.angle_min) + beam as f64 * f64::from(scan.angle_increment) + yaw;
                let expected = marched(&cylinders, [0.12 * yaw.cos(), 0.12 * yaw.sin()], angle);
                let error = (f64::from(*range) - expected).abs();
                // Where a beam only just touches, one of the two may miss.
                let grazes = cylinders.iter().any(|other| {
                    let (dx, dy) = (other.centre.x - 0.12 * yaw.cos(), other.centre.y - 0.12 * yaw.sin());
                    ((dy * angle.cos() - dx * angle.sin()).abs() - other.radius).abs() < 1e-4
                });
                prop_assert!(grazes || error < 1e-4 || f64::from(*range) == expected, "beam {beam}: {range}, {expected}");
            }
        }
    }
}
