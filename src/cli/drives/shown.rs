//! A simulated drive as viewers are shown it: `drive --mcap`, `drive --live`.

use std::time::Duration;

use serde_json::json;

use crate::cli::viewers::Viewers;
use crate::frame::{Frame, PngEffort, Stamp};
use crate::planner::PlannerSpec;
use crate::simulated::value_of;
use crate::simulation::costmap::LaserMount;
use crate::simulation::drive::Moment;
use crate::simulation::world::{Cylinder, World};
use crate::viewer::{Field, Seen, decision_messages, field_message};
use planner_tuner_core::pose::Position;

/// Messages of a drive begin here: a stamp of zero means that there is none.
const BEGIN: Duration = Duration::from_secs(1);
/// Edge of a cell of the field, m.
const RESOLUTION_M: f32 = 0.05;
/// How far beyond the obstacles the field reaches, m.
const MARGIN_M: f64 = 0.5;

/// Shows the field, before the drive begins.
///
/// # Errors
/// A file that cannot be written.
pub fn show_field(viewers: &mut Viewers, world: &World) -> anyhow::Result<()> {
    let message = field_message(stamp_of(0.0), &field_of(world))?;
    viewers.show(&message)
}

/// Shows a moment: what the robot sees, where it is, and the parameters in use.
///
/// # Errors
/// A file that cannot be written.
pub fn show_moment(
    viewers: &mut Viewers,
    moment: &Moment<'_>,
    frame: &Frame,
    planner: &PlannerSpec,
) -> anyhow::Result<()> {
    let stamp = stamp_of(moment.time_s);
    let plan: Vec<[f64; 3]> = moment.plan.iter().map(|pose| [pose.x, pose.y, pose.yaw]).collect();
    let laser_ahead_m = LaserMount::JACKAL.ahead;
    let seen = Seen { stamp, scan: moment.scan, laser_ahead_m, plan: &plan, pose: moment.pose };
    let names = planner.parameters().iter().map(|parameter| parameter.name());
    let parameters: serde_json::Map<_, _> =
        names.filter_map(|name| Some((name.to_owned(), json!(value_of(&moment.tuning, name)?)))).collect();
    let decision = json!({
        "parameters": parameters,
        "linear_vel": moment.velocity.linear,
        "angular_vel": moment.velocity.angular,
    });
    let messages = seen.messages()?;
    for message in messages.iter().chain(&decision_messages(stamp, &frame.to_png(PngEffort::Quick)?, &decision)?) {
        viewers.show(message)?;
    }
    Ok(())
}

fn stamp_of(time_s: f64) -> Stamp {
    let since = BEGIN + Duration::try_from_secs_f64(time_s).unwrap_or_default();
    Stamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// The world's obstacles as a grid.
fn field_of(world: &World) -> Field {
    let goal = world.goal().position;
    let places = || {
        let obstacles = world.cylinders().iter().map(|obstacle| obstacle.centre);
        obstacles.chain([goal, world.start().position])
    };
    // Where the cells begin along an axis, and how many there are.
    let resolution = f64::from(RESOLUTION_M);
    let cells = |axis: fn(Position) -> f64| {
        let least = places().map(axis).fold(f64::INFINITY, f64::min) - MARGIN_M;
        let most = places().map(axis).fold(f64::NEG_INFINITY, f64::max) + MARGIN_M;
        (least, ((most - least) / resolution).ceil().clamp(1.0, 2000.0) as u32)
    };
    let ((left, width), (bottom, height)) = (cells(|place| place.x), cells(|place| place.y));
    let origin = [left, bottom];
    let mut field =
        Field { resolution_m: RESOLUTION_M, width, origin, cells: vec![false; width as usize * height as usize] };
    for Cylinder { centre, radius } in world.cylinders() {
        // The cells within the square around it.
        let around = |at: f64, from: f64, count: u32| {
            let cell = |place: f64| ((place - from) / resolution).floor().clamp(0.0, f64::from(count - 1)) as u32;
            cell(at - radius)..=cell(at + radius)
        };
        for row in around(centre.y, bottom, height) {
            for column in around(centre.x, left, width) {
                let middle = |cell: u32, from: f64| from + (f64::from(cell) + 0.5) * resolution;
                let apart = (middle(column, left) - centre.x).hypot(middle(row, bottom) - centre.y);
                if let Some(cell) = field.cells.get_mut(row as usize * width as usize + column as usize) {
                    *cell |= apart <= *radius;
                }
            }
        }
    }
    field
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::simulation::world::GeneratedWorld;

    #[test]
    fn the_field_has_the_worlds_obstacles_and_its_start_is_free() {
        let world = GeneratedWorld::of_seed(3, 10.0).unwrap().world;
        let field = field_of(&world);
        let at = |x: f64, y: f64| {
            let [column, row] = [x - field.origin[0], y - field.origin[1]].map(|metres| (metres / 0.05) as usize);
            field.cells.get(row * field.width as usize + column).copied()
        };
        assert_eq!(field.cells.len() % field.width as usize, 0);
        assert!(world.cylinders().iter().all(|obstacle| at(obstacle.centre.x, obstacle.centre.y) == Some(true)));
        assert_eq!(at(0.0, 0.0), Some(false));
        let share = field.cells.iter().filter(|cell| **cell).count() as f64 / field.cells.len() as f64;
        assert!((0.01..0.4).contains(&share), "{share}");
    }
}
