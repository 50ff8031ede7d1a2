//! What the planner remembers from one cycle to the next. New plans and new parameters do not change it.

use planner_tuner_core::pose::{Pose, Position};

use super::settings::Settings;
use crate::angle::shortest_turn;

/// Keeps the robot from turning to and fro on the spot. The names are the original's, whose `stuck_left` forbids turns to the
/// right.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Oscillation {
    /// It turned left twice without moving on: turning right is forbidden.
    pub stuck_left: bool,
    /// It turned right twice without moving on: turning left is forbidden.
    pub stuck_right: bool,
    /// It turned left since it last moved on.
    pub rotating_left: bool,
    /// It turned right since it last moved on.
    pub rotating_right: bool,
    /// Where it last turned.
    pub turned_at: [f64; 2],
}

/// Backing out of a place from which nothing leads.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Escape {
    /// Whether it is going on: nothing is sampled ahead meanwhile.
    pub escaping: bool,
    /// Where it began.
    pub from: [f64; 2],
    /// Heading at its beginning, rad.
    pub heading: f64,
}

/// All of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Memory {
    /// Turning to and fro.
    pub oscillation: Oscillation,
    /// Backing out.
    pub escape: Escape,
}

impl Oscillation {
    /// Whether a turn with this yaw rate is allowed.
    pub(super) fn allows(&self, yaw_rate: f64) -> bool {
        (yaw_rate < 0.0 && !self.stuck_left) || (yaw_rate > 0.0 && !self.stuck_right)
    }

    /// Notes a turn on the spot.
    pub(super) fn turned(&mut self, yaw_rate: f64, at: Position) {
        if yaw_rate < 0.0 {
            self.stuck_right |= self.rotating_right;
            self.rotating_right = true;
        } else if yaw_rate > 0.0 {
            self.stuck_left |= self.rotating_left;
            self.rotating_left = true;
        }
        self.turned_at = [at.x, at.y];
    }

    /// Forgets turns once the robot has moved on.
    pub(super) fn moved_to(&mut self, at: Position, settings: &Settings) {
        let [x, y] = self.turned_at;
        if (at.x - x).hypot(at.y - y) > settings.oscillation_reset_dist {
            *self = Self { turned_at: self.turned_at, ..Self::default() };
        }
    }
}

impl Escape {
    /// Begins here, unless one is going on.
    pub(super) fn begin(&mut self, at: Pose) {
        if !self.escaping {
            *self = Self { escaping: true, from: [at.position.x, at.position.y], heading: at.yaw };
        }
    }

    /// Ends once the robot is out.
    pub(super) fn moved_to(&mut self, at: Pose, settings: &Settings) {
        let [x, y] = self.from;
        let way = (at.position.x - x).hypot(at.position.y - y);
        let turn = shortest_turn(self.heading, at.yaw).abs();
        if way > settings.escape_reset_dist || turn > settings.escape_reset_theta {
            self.escaping = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Position = Position { x: 1.0, y: 1.0 };

    #[test]
    fn two_turns_to_one_side_forbid_the_other_until_the_robot_moves_on() {
        let settings = Settings::default();
        let mut memory = Oscillation::default();
        memory.turned(0.5, HERE);
        assert!(memory.allows(-0.5));
        memory.turned(0.5, HERE);
        assert!(!memory.allows(-0.5) && memory.allows(0.5));
        memory.moved_to(Position { x: 1.04, y: 1.0 }, &settings);
        assert!(!memory.allows(-0.5));
        memory.moved_to(Position { x: 1.06, y: 1.0 }, &settings);
        assert!(memory.allows(-0.5));
    }

    #[test]
    fn an_escape_ends_by_way_or_by_turn() {
        let settings = Settings::default();
        let at = |x, yaw| Pose { position: Position { x, y: 0.0 }, yaw };
        let mut escape = Escape::default();
        escape.begin(at(0.0, 3.1));
        escape.moved_to(at(-0.1, 3.1), &settings);
        assert!(escape.escaping);
        escape.moved_to(at(0.0, -3.1), &settings);
        assert!(escape.escaping, "a turn by 0.083 rad");
        escape.moved_to(at(0.0, -3.0), &settings);
        assert!(!escape.escaping);
    }
}
