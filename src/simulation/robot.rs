//! How the robot moves: a differential drive with limits.

use std::collections::VecDeque;

use planner_tuner_core::pose::{Pose, Position};
use planner_tuner_core::random::Random;

use crate::contact;
use crate::velocity::Velocity;
use crate::world::Cylinder;

/// What moves it, and what disturbs it. The default is the original's simulated Jackal, undisturbed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RobotSettings {
    /// Fastest, m/s and rad/s.
    pub fastest: Velocity,
    /// Hardest acceleration, m/s² and rad/s².
    pub hardest: Velocity,
    /// A command acts after this many steps of [`Robot::STEP_S`].
    pub delay_steps: usize,
    /// Share of a turn that is lost to slip, 0 for none.
    pub slip: f64,
    /// Standard deviation of the odometry's drift, per square root of a metre: m/√m.
    pub odometry_noise: f64,
}

impl Default for RobotSettings {
    fn default() -> Self {
        Self {
            fastest: Velocity { linear: 2.0, angular: 4.0 },
            hardest: Velocity { linear: 20.0, angular: 25.0 },
            delay_steps: 0,
            slip: 0.0,
            odometry_noise: 0.0,
        }
    }
}

/// A robot in a world.
#[derive(Debug, Clone)]
pub struct Robot {
    settings: RobotSettings,
    pose: Pose,
    odometry: Pose,
    velocity: Velocity,
    /// Commands that do not act yet, oldest first.
    coming: VecDeque<Velocity>,
    random: Random,
}

impl Robot {
    /// Length of a step, s.
    pub const STEP_S: f64 = 0.01;

    /// A robot that stands; the seed is for what disturbs it.
    pub fn new(settings: RobotSettings, start: Pose, seed: u64) -> Self {
        Self {
            settings,
            pose: start,
            odometry: start,
            velocity: Velocity::ZERO,
            coming: VecDeque::new(),
            random: Random::new(seed),
        }
    }

    /// Where it is.
    pub fn pose(&self) -> Pose {
        self.pose
    }

    /// Where it believes it is.
    pub fn odometry(&self) -> Pose {
        self.odometry
    }

    /// How fast it moves.
    pub fn velocity(&self) -> Velocity {
        self.velocity
    }

    /// Moves by a step under a command; whether it touches something. A cylinder stands firm: a move into it does not happen.
    pub fn step(&mut self, command: Velocity, cylinders: &[Cylinder]) -> bool {
        self.coming.push_back(command);
        let command = match self.coming.len() > self.settings.delay_steps {
            true => self.coming.pop_front().unwrap_or(Velocity::ZERO),
            false => Velocity::ZERO,
        };
        let RobotSettings { fastest, hardest, slip, .. } = self.settings;
        self.velocity = Velocity {
            linear: approach(
                self.velocity.linear,
                command.linear.clamp(-fastest.linear, fastest.linear),
                hardest.linear,
            ),
            angular: approach(
                self.velocity.angular,
                command.angular.clamp(-fastest.angular, fastest.angular),
                hardest.angular,
            ),
        };
        let true_motion = Velocity { angular: self.velocity.angular * (1.0 - slip), ..self.velocity };
        let before = contact::depth(cylinders, self.pose).unwrap_or(f64::NEG_INFINITY);
        // The whole move, the turn alone, or nothing: the first that goes no deeper.
        let turn = Velocity { linear: 0.0, ..true_motion };
        let mut touches = before > 0.0;
        for motion in [true_motion, turn] {
            let to = moved(self.pose, motion);
            let depth = contact::depth(cylinders, to).unwrap_or(f64::NEG_INFINITY);
            if depth <= before.max(0.0) {
                self.count(motion);
                self.pose = to;
                return touches;
            }
            touches = true;
        }
        self.velocity = Velocity::ZERO;
        true
    }

    /// Brings the odometry along, before the pose: wheels tell the way, an inertial sensor the heading.
    fn count(&mut self, motion: Velocity) {
        let Position { x, y } = self.odometry.position;
        self.odometry = moved(Pose { position: Position { x, y }, yaw: self.pose.yaw }, motion);
        let way = (motion.linear * Self::STEP_S).abs();
        if self.settings.odometry_noise > 0.0 && way > 0.0 {
            let drift = self.settings.odometry_noise * way.sqrt();
            self.odometry.position.x += drift * f64::from(self.random.normal());
            self.odometry.position.y += drift * f64::from(self.random.normal());
        }
    }
}

/// A velocity that moves towards another as fast as a step allows.
fn approach(now: f64, wanted: f64, hardest: f64) -> f64 {
    let most = hardest * Robot::STEP_S;
    now + (wanted - now).clamp(-most, most)
}

/// Where a step at a constant velocity leads: along an arc.
fn moved(from: Pose, Velocity { linear, angular }: Velocity) -> Pose {
    let turn = angular * Robot::STEP_S;
    let way = linear * Robot::STEP_S;
    // The chord of the arc, and its direction. sin(x)/x, for small x by its series.
    let half = turn / 2.0;
    let chord = if half.abs() < 1e-6 { way } else { way * half.sin() / half };
    let (sin, cos) = (from.yaw + half).sin_cos();
    let Position { x, y } = from.position;
    Pose { position: Position { x: x + chord * cos, y: y + chord * sin }, yaw: from.yaw + turn }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Pose = Pose { position: Position { x: 0.0, y: 0.0 }, yaw: 0.0 };

    fn drive(robot: &mut Robot, command: Velocity, steps: usize, cylinders: &[Cylinder]) -> usize {
        (0..steps).filter(|_| robot.step(command, cylinders)).count()
    }

    #[test]
    fn a_circle_closes() {
        let settings = RobotSettings { hardest: Velocity { linear: 1e9, angular: 1e9 }, ..RobotSettings::default() };
        let mut robot = Robot::new(settings, ORIGIN, 0);
        let turn = std::f64::consts::TAU / 4.0;
        drive(&mut robot, Velocity { linear: 1.0, angular: turn }, 400, &[]);
        let Pose { position, yaw } = robot.pose();
        assert!(position.x.abs() < 1e-9 && position.y.abs() < 1e-9 && (yaw - std::f64::consts::TAU).abs() < 1e-9);
        assert_eq!(robot.odometry(), robot.pose());
    }

    #[test]
    fn limits_hold() {
        let mut robot = Robot::new(RobotSettings::default(), ORIGIN, 0);
        drive(&mut robot, Velocity { linear: 9.0, angular: -9.0 }, 5, &[]);
        assert_eq!(robot.velocity().linear, 1.0);
        drive(&mut robot, Velocity { linear: 9.0, angular: -9.0 }, 50, &[]);
        assert_eq!(robot.velocity(), Velocity { linear: 2.0, angular: -4.0 });
    }

    #[test]
    fn a_delayed_command_acts_later() {
        let mut robot = Robot::new(RobotSettings { delay_steps: 3, ..RobotSettings::default() }, ORIGIN, 0);
        drive(&mut robot, Velocity { linear: 1.0, angular: 0.0 }, 3, &[]);
        assert_eq!(robot.velocity(), Velocity::ZERO);
        drive(&mut robot, Velocity { linear: 1.0, angular: 0.0 }, 1, &[]);
        assert!((robot.velocity().linear - 0.2).abs() < 1e-12);
    }

    #[test]
    fn a_cylinder_stops_the_robot_and_lets_it_go_again() {
        let cylinder = [Cylinder { centre: Position { x: 1.0, y: 0.0 }, radius: 0.1 }];
        let mut robot = Robot::new(RobotSettings::default(), ORIGIN, 0);
        let touches = drive(&mut robot, Velocity { linear: 1.0, angular: 0.0 }, 200, &cylinder);
        let x = robot.pose().position.x;
        assert!(touches > 50 && x < 1.0 - 0.1 - 0.254 + 1e-9 && x > 0.6, "{touches} touches, {x} m");
        drive(&mut robot, Velocity { linear: -1.0, angular: 0.0 }, 100, &cylinder);
        assert!(robot.pose().position.x < 0.0);
    }

    #[test]
    fn slip_turns_less_and_noise_drifts() {
        let settings = RobotSettings { slip: 0.5, odometry_noise: 0.05, ..RobotSettings::default() };
        let mut robot = Robot::new(settings, ORIGIN, 3);
        drive(&mut robot, Velocity { linear: 0.0, angular: 1.0 }, 100, &[]);
        assert!((robot.pose().yaw - 0.49).abs() < 0.02, "{}", robot.pose().yaw);
        drive(&mut robot, Velocity { linear: 1.0, angular: 0.0 }, 100, &[]);
        assert_ne!(robot.pose().position, robot.odometry().position);
    }
}
