//! A Jackal drives through an invented obstacle field and a corridor; every half second its picture is taken.

mod robot;
mod world;

use nalgebra::Point2;
use vlm_planner_tuner::frame::Frame;
use vlm_planner_tuner::frame::render::{RenderError, Renderer, Scene};

use robot::Robot;
use world::World;

/// Pictures in the recording, one every [`PERIOD`].
const MOMENTS: usize = 30;
/// Time between two pictures, s: the decision rate of the original system.
pub const PERIOD: f64 = 0.5;
/// Simulation time of the first picture, s.
const START: f64 = 100.0;

/// One row of the recording.
pub struct Moment {
    /// Path of the picture below the recording's folder.
    pub file: String,
    /// Simulation time, s.
    pub stamp: f64,
    /// Forward velocity, m/s.
    pub linear_vel: f64,
    /// Yaw rate, rad/s.
    pub angular_vel: f64,
    /// Distance from the robot's centre to the nearest obstacle, m.
    pub clearance: f64,
    /// The picture.
    pub frame: Frame,
}

/// Drives the course.
pub fn record() -> Result<Vec<Moment>, RenderError> {
    let world = World::new();
    let renderer = Renderer::new();
    let mut robot = Robot::at_the_start_of(&world.course);
    let mut moments = Vec::with_capacity(MOMENTS);
    for index in 0..MOMENTS {
        let scene = Scene {
            scan: world.scan(&robot.pose, index as u64),
            laser_mount: None,
            robot: robot.pose,
            path: plan(&world, &robot),
        };
        let (frame, _) = renderer.draw(&scene)?;
        moments.push(Moment {
            file: format!("frames/{index:03}.png"),
            stamp: START + index as f64 * PERIOD,
            linear_vel: robot.linear_vel,
            angular_vel: robot.angular_vel,
            clearance: world.clearance(&robot.position()),
            frame,
        });
        robot.drive(&world, PERIOD);
    }
    Ok(moments)
}

/// The recording's table: file, time_s (s), linear_vel (m/s), angular_vel (rad/s).
pub fn table(moments: &[Moment]) -> String {
    let mut table = "file,time_s,linear_vel,angular_vel\n".to_owned();
    for Moment { file, stamp, linear_vel, angular_vel, .. } in moments {
        table += &format!("{file},{stamp:.3},{linear_vel:.4},{angular_vel:.4}\n");
    }
    table
}

/// What a global planner that starts at the robot would give: on to the course, then along it.
fn plan(world: &World, robot: &Robot) -> Vec<Point2<f64>> {
    const MERGE: usize = 24;
    let ahead = world.course.get(robot.progress..).unwrap_or_default();
    let offset = ahead.first().map_or_else(Default::default, |start| robot.position() - start);
    let merged = |(step, point): (usize, &Point2<f64>)| {
        let share = 1.0 - (step as f64 / MERGE as f64).min(1.0);
        point + offset * (share * share * (3.0 - 2.0 * share))
    };
    ahead.iter().enumerate().map(merged).collect()
}
