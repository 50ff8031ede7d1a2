//! The place: cylinders left and right of a winding course, then a corridor of walls.

use std::f64::consts::PI;

use nalgebra::{Isometry2, Point2, Vector2};
use vlm_planner_tuner::frame::render::LaserScan;

/// Corners of the course, m.
const WAYPOINTS: [(f64, f64); 12] = [
    (-1.2, 0.0),
    (0.0, 0.0),
    (1.7, 0.1),
    (3.3, 1.1),
    (4.9, 1.0),
    (6.2, -0.5),
    (7.8, -1.0),
    (9.4, -0.1),
    (11.0, 0.6),
    (13.5, 0.6),
    (18.0, 0.6),
    (22.0, 0.6),
];
/// Distance of the course points, m: the resolution of a costmap.
const COURSE_STEP: f64 = 0.05;

/// Cylinders stay this far from the course, m.
const FREE: f64 = 0.62;
const CYLINDER_RADII: [f64; 3] = [0.075, 0.1, 0.15];
/// Walls of the corridor, m.
const WALLS: [[(f64, f64); 2]; 4] = [
    [(10.5, 1.3), (18.0, 1.3)],
    [(10.9, -0.1), (18.0, -0.1)],
    [(10.5, 1.3), (10.0, 2.6)],
    [(10.9, -0.1), (10.2, -1.6)],
];

const BEAMS: usize = 720;
const FIELD_OF_VIEW: f64 = 1.5 * PI;
const RANGE_MIN: f32 = 0.1;
const RANGE_MAX: f32 = 30.0;
/// Half width of the scanner's error, m.
const NOISE: f64 = 0.012;

struct Cylinder {
    centre: Point2<f64>,
    radius: f64,
}

/// Obstacles, and the course through them.
pub struct World {
    /// Points of the course, [`COURSE_STEP`] apart.
    pub course: Vec<Point2<f64>>,
    cylinders: Vec<Cylinder>,
    walls: Vec<[Point2<f64>; 2]>,
}

impl World {
    /// The same place every time.
    pub fn new() -> Self {
        let course = course();
        let walls = WALLS.map(|wall| wall.map(|(x, y)| Point2::new(x, y))).into();
        Self { cylinders: clusters(&course), course, walls }
    }

    /// Distance from a point to the nearest obstacle, m.
    pub fn clearance(&self, point: &Point2<f64>) -> f64 {
        let cylinders = self.cylinders.iter().map(|cylinder| (cylinder.centre - point).norm() - cylinder.radius);
        let walls = self.walls.iter().map(|[from, to]| {
            let along = to - from;
            let share = ((point - from).dot(&along) / along.norm_squared()).clamp(0.0, 1.0);
            (from + along * share - point).norm()
        });
        cylinders.chain(walls).fold(f64::MAX, f64::min)
    }

    /// What a scanner on the robot's centre sees: a Jackal's 270 degrees, with a little noise.
    pub fn scan(&self, robot: &Isometry2<f64>, seed: u64) -> LaserScan {
        let mut random = Random(seed);
        let increment = FIELD_OF_VIEW / (BEAMS - 1) as f64;
        let range = |beam: usize| {
            let angle = -FIELD_OF_VIEW / 2.0 + beam as f64 * increment;
            let direction = robot.rotation * Vector2::new(angle.cos(), angle.sin());
            let range = self.range(&robot.translation.vector.into(), &direction) + random.within(-NOISE, NOISE);
            if range > f64::from(RANGE_MAX) { f32::INFINITY } else { range as f32 }
        };
        LaserScan {
            angle_min: (-FIELD_OF_VIEW / 2.0) as f32,
            angle_increment: increment as f32,
            range_min: RANGE_MIN,
            range_max: RANGE_MAX,
            ranges: (0..BEAMS).map(range).collect(),
        }
    }

    /// Distance to the first obstacle along a unit vector, infinite when there is none.
    fn range(&self, origin: &Point2<f64>, direction: &Vector2<f64>) -> f64 {
        let cylinders = self.cylinders.iter().map(|cylinder| {
            let to_centre = cylinder.centre - origin;
            let along = to_centre.dot(direction);
            let inside = cylinder.radius.powi(2) - to_centre.perp(direction).powi(2);
            if along > 0.0 && inside > 0.0 { along - inside.sqrt() } else { f64::INFINITY }
        });
        let walls = self.walls.iter().map(|[from, to]| {
            let (to_wall, wall) = (from - origin, to - from);
            let parallel = direction.perp(&wall);
            let (range, share) = (to_wall.perp(&wall) / parallel, to_wall.perp(direction) / parallel);
            if range > 0.0 && (0.0..=1.0).contains(&share) { range } else { f64::INFINITY }
        });
        cylinders.chain(walls).fold(f64::INFINITY, f64::min)
    }
}

/// A Catmull-Rom curve through the waypoints but the first and the last.
fn course() -> Vec<Point2<f64>> {
    let corners = WAYPOINTS.map(|(x, y)| Vector2::new(x, y));
    let mut course: Vec<Point2<f64>> = Vec::new();
    for corner in corners.windows(4) {
        let &[before, from, to, after] = corner else { continue };
        for fine in 0..1000 {
            let t = f64::from(fine) / 1000.0;
            let (bend, swing) = (before * 2.0 - from * 5.0 + to * 4.0 - after, from * 3.0 - before - to * 3.0 + after);
            let point = Point2::from((from * 2.0 + (to - before) * t + bend * t * t + swing * t * t * t) * 0.5);
            if course.last().is_none_or(|last| (point - last).norm() >= COURSE_STEP) {
                course.push(point);
            }
        }
    }
    course
}

/// Heaps of touching cylinders on both sides of the course.
fn clusters(course: &[Point2<f64>]) -> Vec<Cylinder> {
    let mut random = Random(7);
    let mut cylinders = Vec::new();
    for _ in 0..46 {
        let mut centre = Point2::new(random.within(-2.5, 10.4), random.within(-3.3, 3.3));
        for _ in 0..1 + (random.within(0.0, 5.0) as usize) {
            let radius = CYLINDER_RADII.get(random.within(0.0, 3.0) as usize).copied().unwrap_or(0.1);
            if course.iter().all(|point| (point - centre).norm() > FREE + radius) {
                cylinders.push(Cylinder { centre, radius });
            }
            centre += Vector2::new(random.within(-0.22, 0.22), random.within(-0.22, 0.22));
        }
    }
    cylinders
}

/// SplitMix64: a few lines that give the same numbers in every version of every dependency.
struct Random(u64);

impl Random {
    fn within(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        low + (high - low) * (bits >> 11) as f64 / (1u64 << 53) as f64
    }
}
