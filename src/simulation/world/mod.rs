//! Where the robot drives: cylinders on flat ground, a start and a goal.
//!
//! | file | what it is |
//! | --- | --- |
//! | `barn` | worlds of the BARN dataset, as published |
//! | `npy` | its arrays |
//! | `map` | maps as map_server writes them |
//! | `generator` | new worlds, from the same kind of cellular automaton |
//!
//! Positions are in the frame `odom`: the robot starts at (0, 0) and looks along y, its goal lies ahead.

mod barn;
mod generator;
mod map;
mod npy;

pub use barn::{BarnError, BarnFolder};
pub use generator::{Difficulty, GeneratedWorld, NoWorld};
pub use map::{MapError, MapPlacement};

use planner_tuner_core::pose::{Pose, Position};

/// Heading of the robot at the start, rad: along y, to two digits as in the original.
const START_YAW: f64 = 1.57;

/// An upright cylinder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cylinder {
    /// Its axis.
    pub centre: Position,
    /// Metres.
    pub radius: f64,
}

/// A world to cross.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    name: String,
    cylinders: Vec<Cylinder>,
    goal: Goal,
    reference_length: f64,
}

/// Where a drive is to end.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Goal {
    position: Position,
    reached: Reached,
}

/// When a goal counts as reached.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reached {
    /// As in the original's environment: 10 m ahead of the start, or near the goal, which is wider where it lies beyond that.
    AsInTheOriginal,
    /// This near, m.
    Within(f64),
}

impl Goal {
    /// Straight ahead of the start, m.
    fn ahead(metres: f64) -> Self {
        Self { position: Position { x: 0.0, y: metres }, reached: Reached::AsInTheOriginal }
    }
}

impl World {
    /// What it is called in tables and files.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All obstacles.
    pub fn cylinders(&self) -> &[Cylinder] {
        &self.cylinders
    }

    /// Where the robot starts.
    pub fn start(&self) -> Pose {
        Pose { position: Position { x: 0.0, y: 0.0 }, yaw: START_YAW }
    }

    /// Where it is to go.
    pub fn goal(&self) -> Pose {
        Pose { position: self.goal.position, yaw: 0.0 }
    }

    /// Whether somebody there has reached the goal.
    pub fn is_reached(&self, place: Position) -> bool {
        let goal = self.goal.position;
        let apart = (goal.x - place.x).hypot(goal.y - place.y);
        match self.goal.reached {
            Reached::AsInTheOriginal => place.y > 10.0 || apart <= if goal.y <= 10.0 { 1.0 } else { 4.0 },
            Reached::Within(metres) => apart <= metres,
        }
    }

    /// Length of a way that is known to lead to the goal, m.
    pub fn reference_length(&self) -> f64 {
        self.reference_length
    }
}

/// Length of a path, m.
fn length(points: impl IntoIterator<Item = Position>) -> f64 {
    let mut points = points.into_iter();
    let Some(mut last) = points.next() else { return 0.0 };
    let mut length = 0.0;
    for point in points {
        length += (point.x - last.x).hypot(point.y - last.y);
        last = point;
    }
    length
}

/// Cells of a field of obstacles, as BARN has them.
mod field {
    use super::{Cylinder, Position};

    /// Cells along each side.
    pub(super) const SIDE: usize = 30;
    /// Edge of a cell, m.
    pub(super) const CELL: f64 = 0.15;
    /// Radius of the cylinder in a cell, m.
    pub(super) const RADIUS: f64 = 0.075;
    /// Where the robot starts in the world's own frame, m.
    pub(super) const START: [f64; 2] = [-2.0, 3.0];

    /// Whether there is an obstacle, by row (across the robot's way) and column (along it).
    pub(super) type Cells = [[bool; SIDE]; SIDE];

    /// The cylinders of the cells, and the walls of the lane that leads to them: to both sides, and behind the start.
    pub(super) fn cylinders(cells: &Cells) -> Vec<Cylinder> {
        let at = |x: f64, y: f64| Cylinder { centre: Position { x: x - START[0], y: y - START[1] }, radius: RADIUS };
        let row = |row: usize| -4.425 + CELL * row as f64;
        let lane = |column: usize| 0.075 + CELL * column as f64;
        let obstacles = cells.iter().enumerate().flat_map(|(x, cells)| {
            let filled = cells.iter().enumerate().filter(|(_, is_filled)| **is_filled);
            filled.map(move |(column, _)| at(row(x), 5.175 + CELL * column as f64))
        });
        // 0.075 to 5.025 m.
        let sides = (0..34).flat_map(|column| [row(0), row(SIDE - 1)].map(|x| at(x, lane(column))));
        let behind = (1..SIDE - 1).map(|x| at(row(x), lane(0)));
        obstacles.chain(sides).chain(behind).collect()
    }

    /// The middle of a cell.
    pub(super) fn cell_centre(row: usize, column: usize) -> Position {
        let (x, y) = (-4.425 + CELL * row as f64, 5.175 + CELL * column as f64);
        Position { x: x - START[0], y: y - START[1] }
    }

    /// A point of a path in cells, as the original places it for its score: not quite where the cylinders are.
    pub(super) fn path_point(row: usize, column: usize) -> Position {
        let (x, y) = (CELL * row as f64 - 4.575, CELL * column as f64 + 5.075);
        Position { x: x - START[0], y: y - START[1] }
    }
}
