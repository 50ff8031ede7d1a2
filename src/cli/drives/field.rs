//! Worlds and ways as pages and pictures show them: the start on the left, ahead to the right.

use crate::page::{Track, TrackMap};
use crate::simulation::drive::TrackPoint;
use crate::simulation::world::{Cylinder, World};
use planner_tuner_core::pose::Position;

/// Of the track's points every how many-th is drawn: two a second.
const EVERY: usize = 10;

/// Ahead of the robot at its start is y, to its left is -x.
pub fn seen_from_start(Position { x, y }: Position) -> [f64; 2] {
    [y, -x]
}

/// Ahead, left and radius of every obstacle.
pub fn obstacles(world: &World) -> Vec<[f64; 3]> {
    let seen = |Cylinder { centre, radius }: &Cylinder| {
        let [ahead, left] = seen_from_start(*centre);
        [ahead, left, *radius]
    };
    world.cylinders().iter().map(seen).collect()
}

/// A drive's way, as far as a page needs it.
pub fn way(track: &[TrackPoint]) -> Vec<[f64; 2]> {
    let last = track.len().checked_sub(1).into_iter();
    let places = (0..track.len()).step_by(EVERY).chain(last);
    places.filter_map(|place| track.get(place)).map(|point| seen_from_start(point.pose.position)).collect()
}

/// A world and the ways through it.
pub fn map_of(world: &World, tracks: Vec<Track>) -> TrackMap {
    TrackMap {
        heading: world.name().to_owned(),
        obstacles: obstacles(world),
        goal: seen_from_start(world.goal().position),
        tracks,
    }
}
