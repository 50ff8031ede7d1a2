//! What lies ahead of the robot, in three numbers that a person would look for in the picture.

use crate::frame::render::LaserScan;
use crate::simulation::costmap::LaserMount;
use crate::simulation::drive::Moment;

/// The part of the plan that is looked at, m from the robot.
const AHEAD_M: f64 = 1.5;
/// Plan poses nearer than this say nothing about where the way turns, m.
const TOO_NEAR_M: f64 = 0.3;
/// Room of more than this does not matter, m.
const MOST_ROOM_M: f64 = 3.0;

/// What lies ahead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlook {
    /// From the plan ahead to the nearest obstacle: half the width of the narrowest passage, m.
    pub room_m: f64,
    /// How far the plan ahead leads away from where the robot faces, at most, rad.
    pub bend_rad: f64,
}

impl Outlook {
    /// The outlook of a moment. Without a plan the robot's own place counts as one.
    pub fn of(moment: &Moment<'_>) -> Self {
        let robot = moment.pose.position;
        let (sin, cos) = moment.pose.yaw.sin_cos();
        // In the robot's frame: ahead, left.
        let seen_from_robot = |x: f64, y: f64| {
            let (dx, dy) = (x - robot.x, y - robot.y);
            [dx * cos + dy * sin, dy * cos - dx * sin]
        };
        let plan = moment.plan.iter().map(|pose| seen_from_robot(pose.x, pose.y));
        let mut ahead: Vec<[f64; 2]> = plan.take_while(|[x, y]| x.hypot(*y) <= AHEAD_M).collect();
        if ahead.is_empty() {
            ahead.push([0.0, 0.0]);
        }
        let obstacles = obstacles(moment.scan);
        let room =
            |[x, y]: &[f64; 2]| obstacles.iter().map(|[ox, oy]| (ox - x).hypot(oy - y)).fold(MOST_ROOM_M, f64::min);
        let far = ahead.iter().filter(|[x, y]| x.hypot(*y) >= TOO_NEAR_M);
        Self {
            room_m: ahead.iter().map(room).fold(MOST_ROOM_M, f64::min),
            bend_rad: far.map(|[x, y]| y.atan2(*x).abs()).fold(0.0, f64::max),
        }
    }
}

/// Where the scan ends at something near, in the robot's frame: ahead, left.
fn obstacles(scan: &LaserScan) -> Vec<[f64; 2]> {
    let near = (AHEAD_M + MOST_ROOM_M) as f32;
    let beams = scan.ranges.iter().enumerate();
    let returns =
        beams.filter(|(_, range)| LaserScan::is_return(**range, scan.range_min, scan.range_max) && **range <= near);
    let point = |(beam, range): (usize, &f32)| {
        let angle = f64::from(scan.angle_min) + beam as f64 * f64::from(scan.angle_increment);
        let range = f64::from(*range);
        [LaserMount::JACKAL.ahead + range * angle.cos(), range * angle.sin()]
    };
    returns.map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::move_base::Tuning;
    use crate::simulation::trajectory_planner::PlanPose;
    use crate::simulation::velocity::Velocity;
    use planner_tuner_core::pose::{Pose, Position};
    use std::f64::consts::FRAC_PI_2;

    /// Sees one obstacle in each of these directions (rad, counter-clockwise from ahead), or nothing.
    fn scan(ranges: [f32; 3]) -> LaserScan {
        let [right, ahead, left] = ranges;
        LaserScan {
            angle_min: -FRAC_PI_2 as f32,
            angle_increment: FRAC_PI_2 as f32,
            range_min: 0.1,
            range_max: 30.0,
            ranges: vec![right, ahead, left],
        }
    }

    fn outlook(scan: &LaserScan, plan: &[PlanPose], yaw: f64) -> Outlook {
        let pose = Pose { position: Position { x: 5.0, y: -2.0 }, yaw };
        let velocity = Velocity::ZERO;
        Outlook::of(&Moment { time_s: 0.0, scan, plan, pose, velocity, goal: pose, tuning: Tuning::default() })
    }

    fn plan(step: [f64; 2]) -> Vec<PlanPose> {
        let pose = |k: u32| PlanPose { x: 5.0 + f64::from(k) * step[0], y: -2.0 + f64::from(k) * step[1], yaw: 0.0 };
        (0..100).map(pose).collect()
    }

    #[test]
    fn room_is_measured_from_the_plan_and_only_ahead() {
        // The robot faces +y and the plan leads straight ahead, past an obstacle to the left of the laser.
        let ahead = plan([0.0, 0.05]);
        let room = outlook(&scan([f32::INFINITY, 4.0, 0.6]), &ahead, FRAC_PI_2);
        assert!((room.room_m - 0.6).abs() < 0.02 && room.bend_rad < 1e-9, "{room:?}");
        // One on the plan itself, but farther ahead than is looked: 4.12 - 1.5 m.
        let room = outlook(&scan([f32::INFINITY, 4.0, f32::INFINITY]), &ahead, FRAC_PI_2);
        assert!((room.room_m - 2.62).abs() < 0.03, "{room:?}");
        // What is too near for the scanner to see comes as 0, and is none.
        assert_eq!(outlook(&scan([0.0; 3]), &ahead, FRAC_PI_2).room_m, 3.0);
    }

    #[test]
    fn a_bend_is_where_the_plan_leads_from_where_the_robot_faces() {
        let nothing = scan([f32::INFINITY; 3]);
        let to_the_right = plan([0.05, 0.0]);
        assert!((outlook(&nothing, &to_the_right, FRAC_PI_2).bend_rad - FRAC_PI_2).abs() < 1e-9);
        assert!(outlook(&nothing, &to_the_right, 0.0).bend_rad < 1e-9);
    }

    #[test]
    fn without_a_plan_the_robots_own_place_counts() {
        let outlook = outlook(&scan([0.5, f32::INFINITY, f32::INFINITY]), &[], 0.0);
        assert!((outlook.room_m - 0.12_f64.hypot(0.5)).abs() < 1e-6 && outlook.bend_rad == 0.0, "{outlook:?}");
    }
}
