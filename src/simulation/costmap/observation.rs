//! A scan as points in the costmap's frame (laser_geometry's `projectLaser_`, observation_buffer.cpp).

use planner_tuner_core::frame::render::LaserScan;
use planner_tuner_core::pose::Pose;

/// Where the laser is in the robot's frame: ahead and up, m. It looks ahead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LaserMount {
    /// Ahead of the robot's centre, m.
    pub ahead: f64,
    /// Above the ground, m.
    pub height: f64,
}

impl LaserMount {
    /// The original's Jackal.
    pub const JACKAL: Self = Self { ahead: 0.12, height: 0.333 };
}

/// What a scan saw.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    /// Where the laser was, m.
    sensor: [f64; 3],
    /// Where beams ended, m, in single precision as there.
    points: Vec<[f32; 2]>,
    /// Height of all points, m.
    height: f32,
}

impl Observation {
    /// Where the laser was, m.
    pub fn sensor(&self) -> [f64; 3] {
        self.sensor
    }

    /// Where beams ended, m.
    pub fn points(&self) -> &[[f32; 2]] {
        &self.points
    }

    /// Height of all points, m.
    pub fn height(&self) -> f32 {
        self.height
    }

    /// Replaces what was seen by a scan. Beams that hit nothing are left out, unless `inf_is_valid`: they then end just before
    /// the scanner's limit.
    pub fn see(&mut self, scan: &LaserScan, robot: Pose, mount: LaserMount, inf_is_valid: bool) {
        let (z, w) = (robot.yaw * 0.5).sin_cos();
        self.sensor = sensor_origin(robot, z, w, mount);
        self.height = self.sensor[2] as f32;
        // The rotation in single precision, as pcl and sensor_msgs' transform have it.
        let (z, w) = (z as f32, w as f32);
        let twice_z = 2.0 * z;
        let (cos, sin) = (1.0 - twice_z * z, twice_z * w);
        let [x, y] = [self.sensor[0] as f32, self.sensor[1] as f32];
        self.points.clear();
        for (beam, range) in scan.ranges.iter().enumerate() {
            let mut range = *range;
            if inf_is_valid && range == f32::INFINITY {
                range = scan.range_max - 0.0001;
            }
            if !(range < scan.range_max && range >= scan.range_min) {
                continue;
            }
            let angle = f64::from(scan.angle_min) + beam as f64 * f64::from(scan.angle_increment);
            let (ahead_sin, ahead_cos) = angle.sin_cos();
            let point = [(f64::from(range) * ahead_cos) as f32, (f64::from(range) * ahead_sin) as f32];
            self.points.push([(cos * point[0] + -sin * point[1]) + x, (sin * point[0] + cos * point[1]) + y]);
        }
    }
}

/// The laser's place: the mount turned by the robot's quaternion (`tf2::quatRotate`), from the robot's place.
fn sensor_origin(robot: Pose, z: f64, w: f64, mount: LaserMount) -> [f64; 3] {
    let turned = [w * mount.ahead, z * mount.ahead, w * mount.height, -z * mount.height];
    [
        robot.position.x + (turned[0] * w - turned[1] * z),
        robot.position.y + (turned[1] * w + turned[0] * z),
        turned[2] * w - turned[3] * z,
    ]
}
