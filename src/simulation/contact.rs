//! When the robot touches something.

use planner_tuner_core::pose::Pose;

use crate::world::Cylinder;

/// Half of the Jackal's length and width, m. Its own outline, not the padded one that the planner keeps free.
pub const HALF_SIZE: [f64; 2] = [0.254, 0.215];

/// How deep the robot's outline is in the deepest cylinder, m; negative, as a distance, where it touches none. `None` in an
/// empty world.
pub fn depth(cylinders: &[Cylinder], robot: Pose) -> Option<f64> {
    let (sin, cos) = robot.yaw.sin_cos();
    let depths = cylinders.iter().map(|Cylinder { centre, radius }| {
        let (dx, dy) = (centre.x - robot.position.x, centre.y - robot.position.y);
        // In the robot's frame, in the quadrant ahead to the left.
        let beyond = [(dx * cos + dy * sin).abs() - HALF_SIZE[0], (dy * cos - dx * sin).abs() - HALF_SIZE[1]];
        let outside = beyond[0].max(0.0).hypot(beyond[1].max(0.0));
        let inside = beyond[0].max(beyond[1]).min(0.0);
        radius - (outside + inside)
    });
    depths.max_by(f64::total_cmp)
}

/// Notes contacts as the original's environment does: a contact goes on until nothing was touched for more than a quarter of a
/// second, and only one that lasts a second ends the drive.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ContactWatch {
    /// When the present contact began, and when something was last touched.
    present: Option<(f64, f64)>,
    contacts: usize,
}

impl ContactWatch {
    /// A contact is over after this, s.
    const GAP_S: f64 = 0.25;
    /// A contact of this length ends the drive, s.
    const LONG_S: f64 = 1.0;

    /// Notes whether something is touched at this time, s.
    pub fn note(&mut self, now: f64, touches: bool) {
        if touches {
            let began = match self.present {
                Some((began, last)) if now - last <= Self::GAP_S => began,
                _ => {
                    self.contacts += 1;
                    now
                }
            };
            self.present = Some((began, now));
        } else if self.present.is_some_and(|(_, last)| now - last > Self::GAP_S) {
            self.present = None;
        }
    }

    /// How many contacts there were.
    pub fn contacts(&self) -> usize {
        self.contacts
    }

    /// Whether one is going on.
    pub fn is_touching(&self) -> bool {
        self.present.is_some()
    }

    /// Whether the present one has lasted long enough to end the drive.
    pub fn ends_drive(&self) -> bool {
        self.present.is_some_and(|(began, last)| last - began >= Self::LONG_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use planner_tuner_core::pose::Position;
    use proptest::prelude::*;

    fn cylinder(x: f64, y: f64) -> Cylinder {
        Cylinder { centre: Position { x, y }, radius: 0.1 }
    }

    #[test]
    fn sides_and_corners() {
        let robot = Pose { position: Position { x: 1.0, y: 1.0 }, yaw: 0.0 };
        let at = |x: f64, y: f64| depth(&[cylinder(1.0 + x, 1.0 + y)], robot).unwrap_or(f64::NAN);
        assert!((at(0.454, 0.0) + 0.1).abs() < 1e-12);
        assert!((at(0.0, -0.215) - 0.1).abs() < 1e-12);
        assert!((at(-0.284, 0.255) - 0.05).abs() < 1e-12, "3, 4, 5 at the corner");
        assert_eq!(depth(&[], robot), None);
    }

    #[test]
    fn short_touches_are_one_contact_and_a_long_one_ends_the_drive() {
        let mut watch = ContactWatch::default();
        for (now, touches) in [(0.0, true), (0.1, false), (0.2, true), (0.5, false)] {
            watch.note(now, touches);
        }
        assert_eq!((watch.contacts(), watch.is_touching(), watch.ends_drive()), (1, false, false));
        for step in 0..=10 {
            assert!(!watch.ends_drive(), "{step}");
            watch.note(1.0 + 0.1 * f64::from(step), true);
        }
        assert_eq!((watch.contacts(), watch.ends_drive()), (2, true));
    }

    proptest! {
        #[test]
        fn a_touch_is_a_point_of_the_outline_in_the_cylinder(x in -0.6..0.6_f64, y in -0.6..0.6_f64, yaw in -4.0..4.0_f64) {
            let robot = Pose { position: Position { x: 0.0, y: 0.0 }, yaw };
            let (sin, cos) = yaw.sin_cos();
            // Points all over the robot, 4 mm apart.
            let along = |half: f64| (0..=128).map(move |step| half * (f64::from(step) / 64.0 - 1.0));
            let nearest = along(HALF_SIZE[0])
                .flat_map(|ahead| along(HALF_SIZE[1]).map(move |left| (ahead, left)))
                .map(|(ahead, left)| (ahead * cos - left * sin - x).hypot(ahead * sin + left * cos - y))
                .fold(f64::INFINITY, f64::min);
            let depth = depth(&[cylinder(x, y)], robot).unwrap_or(f64::NAN);
            let expected = 0.1 - nearest;
            // Inside the robot, the depth goes on where the nearest point does not.
            prop_assert!((depth - expected).abs() < 0.005 || (nearest < 0.004 && depth >= 0.1 - 0.005), "{depth} {expected}");
        }
    }
}
