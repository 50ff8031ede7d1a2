//! A unicycle that follows the course by pure pursuit and slows down where it is tight.

use nalgebra::{Isometry2, Point2, Vector2};

use super::world::World;

/// Simulation step, s.
const STEP: f64 = 0.02;
/// Distance of the point that is steered at, m.
const LOOKAHEAD: f64 = 0.9;
/// Limits of the drive, m/s, rad/s, m/s², rad/s².
const FASTEST: f64 = 1.8;
const SLOWEST: f64 = 0.5;
const FASTEST_TURN: f64 = 1.4;
const ACCELERATION: f64 = 1.2;
const TURN_ACCELERATION: f64 = 4.0;

/// Pose and velocity of the robot, and how far along the course it is.
pub struct Robot {
    /// Pose in the world, m and rad.
    pub pose: Isometry2<f64>,
    /// Forward velocity, m/s.
    pub linear_vel: f64,
    /// Yaw rate, rad/s.
    pub angular_vel: f64,
    /// Index of the nearest course point.
    pub progress: usize,
}

impl Robot {
    /// At rest on the first course point, looking along the x axis.
    pub fn at_the_start_of(course: &[Point2<f64>]) -> Self {
        let start = course.first().copied().unwrap_or_else(Point2::origin);
        Self { pose: Isometry2::new(start.coords, 0.0), linear_vel: 0.0, angular_vel: 0.0, progress: 0 }
    }

    /// Position of the robot's centre, m.
    pub fn position(&self) -> Point2<f64> {
        self.pose.translation.vector.into()
    }

    /// Drives on for some seconds.
    pub fn drive(&mut self, world: &World, seconds: f64) {
        for _ in 0..(seconds / STEP).round() as usize {
            self.step(world);
        }
    }

    fn step(&mut self, world: &World) {
        let position = self.position();
        let distance = |index: &usize| world.course.get(*index).map_or(f64::MAX, |point| (point - position).norm());
        let nearby = self.progress..(self.progress + 40).min(world.course.len());
        self.progress = nearby.min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(self.progress);
        let target = (self.progress..world.course.len()).find(|index| distance(index) >= LOOKAHEAD);
        let Some(target) = target.and_then(|index| world.course.get(index)) else { return };

        let seen = self.pose.inverse_transform_point(target);
        let curvature = 2.0 * seen.y / seen.coords.norm_squared();
        // As fast as the tightest place within the next metre and the bend allow.
        let ahead = [0.0, 0.5, 1.0].map(|distance| self.pose * Point2::new(distance, 0.0));
        let clearance = ahead.iter().map(|point| world.clearance(point)).fold(f64::MAX, f64::min);
        let speed = (3.0 * (clearance - 0.25)).min(FASTEST / (1.0 + 1.5 * curvature.abs())).clamp(SLOWEST, FASTEST);
        let turn = (curvature * self.linear_vel).clamp(-FASTEST_TURN, FASTEST_TURN);
        self.linear_vel += (speed - self.linear_vel).clamp(-2.0 * ACCELERATION * STEP, ACCELERATION * STEP);
        self.angular_vel += (turn - self.angular_vel).clamp(-TURN_ACCELERATION * STEP, TURN_ACCELERATION * STEP);
        self.pose *= Isometry2::new(Vector2::new(self.linear_vel * STEP, 0.0), self.angular_vel * STEP);
    }
}
