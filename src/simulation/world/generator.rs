//! New worlds, made the way BARN's were: a cellular automaton fills a field, a search keeps what can be crossed.
//!
//! A cell begins filled with a probability of 0.15 to 0.33. In each of one to four rounds of smoothing a cell with five or
//! more filled neighbours of eight is filled, one with at most one is cleared. Both sides of the field are walls, as in BARN.
//! Fields so made have between 9 and 37 % filled cells; BARN's 234 published ones have 9 to 36 %.

#![expect(clippy::indexing_slicing, reason = "rows and columns are of the field")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use planner_tuner_core::pose::Position;
use planner_tuner_core::random::Random;

use super::field::{self, CELL, Cells, RADIUS, SIDE};
use super::{Goal, World, length};

/// A cell can be crossed by the robot's centre when no obstacle's axis is nearer than this, m: the inscribed radius of the
/// planner's footprint and a cylinder's radius.
const CLEARANCE: f64 = 0.265 + RADIUS;
/// More tries than this for one world mean that something is wrong.
const MOST_TRIES: u32 = 1000;

/// How much room there is along the shortest way through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Difficulty {
    /// On average more than [`Difficulty::EASY_M`] to the nearest obstacle.
    Easy,
    /// Between the two.
    Medium,
    /// On average less than [`Difficulty::HARD_M`].
    Hard,
}

impl Difficulty {
    /// Mean distance to the nearest obstacle's surface along the way above which a world is easy, m.
    pub const EASY_M: f64 = 0.62;
    /// Mean distance below which it is hard, m.
    pub const HARD_M: f64 = 0.48;

    fn of(mean_clearance: f64) -> Self {
        if mean_clearance > Self::EASY_M {
            Self::Easy
        } else if mean_clearance < Self::HARD_M {
            Self::Hard
        } else {
            Self::Medium
        }
    }

    /// As it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Easy => "easy",
            Self::Medium => "medium",
            Self::Hard => "hard",
        }
    }
}

/// A world that was made, and how hard it is.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratedWorld {
    /// The world.
    pub world: World,
    /// How hard it is.
    pub difficulty: Difficulty,
}

/// No field of a thousand could be crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("none of the {MOST_TRIES} fields made from seed {seed} can be crossed; use another seed")]
pub struct NoWorld {
    /// The seed.
    pub seed: u64,
}

impl GeneratedWorld {
    /// The world of a seed; its goal lies `goal_ahead` metres ahead of the start. The same on every machine.
    ///
    /// # Errors
    /// [`NoWorld`], which no seed has been seen to give.
    pub fn of_seed(seed: u64, goal_ahead: f64) -> Result<Self, NoWorld> {
        let mut random = Random::new(seed);
        for _ in 0..MOST_TRIES {
            let cells = field_of(&mut random);
            let room = Room::of(&cells);
            let Some(path) = room.way_through() else { continue };
            let clearance = path.iter().map(|[row, column]| room.clearance(*row, *column) - RADIUS).sum::<f64>();
            let points = path.iter().map(|[row, column]| field::path_point(*row, *column));
            let ends = [0.0, goal_ahead].map(|y| Position { x: 0.0, y });
            let reference_length = length([ends[0]].into_iter().chain(points).chain([ends[1]]));
            let world = World {
                name: format!("generated:{seed}"),
                cylinders: field::cylinders(&cells),
                goal: Goal::ahead(goal_ahead),
                reference_length,
            };
            return Ok(Self { world, difficulty: Difficulty::of(clearance / path.len() as f64) });
        }
        Err(NoWorld { seed })
    }
}

/// A field, whether it can be crossed or not.
fn field_of(random: &mut Random) -> Cells {
    let fill = 0.15 + 0.18 * random.uniform();
    let rounds = 1 + random.below(4);
    let mut cells = [[false; SIDE]; SIDE];
    cells.iter_mut().flatten().for_each(|cell| *cell = random.uniform() < fill);
    for _ in 0..rounds {
        wall_in(&mut cells);
        let before = cells;
        for (row, line) in cells.iter_mut().enumerate() {
            for (column, cell) in line.iter_mut().enumerate() {
                match filled_neighbours(&before, row, column) {
                    5.. => *cell = true,
                    0 | 1 => *cell = false,
                    _ => {}
                }
            }
        }
    }
    wall_in(&mut cells);
    cells
}

/// Fills both sides.
fn wall_in(cells: &mut Cells) {
    let [first, .., last] = cells;
    (*first, *last) = ([true; SIDE], [true; SIDE]);
}

fn filled_neighbours(cells: &Cells, row: usize, column: usize) -> usize {
    let around = |value: usize| value.saturating_sub(1)..(value + 2).min(SIDE);
    let filled =
        around(row).flat_map(|row| around(column).map(move |column| [row, column])).filter(|[x, y]| cells[*x][*y]);
    filled.count() - usize::from(cells[row][column])
}

/// How far every cell is from the nearest obstacle's axis.
struct Room {
    clearances: [[f64; SIDE]; SIDE],
}

impl Room {
    fn of(cells: &Cells) -> Self {
        let obstacles = field::cylinders(cells);
        let mut clearances = [[f64::INFINITY; SIDE]; SIDE];
        for (row, line) in clearances.iter_mut().enumerate() {
            for (column, clearance) in line.iter_mut().enumerate() {
                let here = field::cell_centre(row, column);
                let distances = obstacles.iter().map(|other| (other.centre.x - here.x).hypot(other.centre.y - here.y));
                *clearance = distances.fold(f64::INFINITY, f64::min);
            }
        }
        Self { clearances }
    }

    fn clearance(&self, row: usize, column: usize) -> f64 {
        self.clearances[row][column]
    }

    /// The shortest way for the robot's centre from the lane to the far side, as row and column.
    fn way_through(&self) -> Option<Vec<[usize; 2]>> {
        let is_open = |[row, column]: [usize; 2]| self.clearance(row, column) >= CLEARANCE;
        let mut lengths = [[f64::INFINITY; SIDE]; SIDE];
        let mut came_from = [[None; SIDE]; SIDE];
        let mut open: BinaryHeap<Reverse<(u64, [usize; 2])>> = BinaryHeap::new();
        for row in (0..SIDE).filter(|row| is_open([*row, 0])) {
            lengths[row][0] = 0.0;
            open.push(Reverse((0, [row, 0])));
        }
        while let Some(Reverse((so_far, [row, column]))) = open.pop() {
            // Lengths are not negative: their bits are ordered as they are.
            let so_far = f64::from_bits(so_far);
            if so_far > lengths[row][column] {
                continue;
            }
            if column == SIDE - 1 {
                let mut way = vec![[row, column]];
                while let Some([row, column]) = way.last().copied()
                    && let Some(before) = came_from[row][column]
                {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            for dx in [-1_isize, 0, 1] {
                for dy in [-1_isize, 0, 1] {
                    let (Some(x), Some(y)) = (row.checked_add_signed(dx), column.checked_add_signed(dy)) else {
                        continue;
                    };
                    if x >= SIDE || y >= SIDE || !is_open([x, y]) {
                        continue;
                    }
                    let length = so_far + (dx as f64).hypot(dy as f64) * CELL;
                    if length < lengths[x][y] {
                        lengths[x][y] = length;
                        came_from[x][y] = Some([row, column]);
                        open.push(Reverse((length.to_bits(), [x, y])));
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_world() {
        assert_eq!(GeneratedWorld::of_seed(7, 10.0), GeneratedWorld::of_seed(7, 10.0));
        assert_ne!(GeneratedWorld::of_seed(7, 10.0), GeneratedWorld::of_seed(8, 10.0));
    }

    #[test]
    fn every_world_can_be_crossed_and_there_are_all_kinds() {
        let mut kinds = std::collections::BTreeMap::new();
        for seed in 0..200 {
            let GeneratedWorld { world, difficulty } = GeneratedWorld::of_seed(seed, 10.0).unwrap();
            *kinds.entry(difficulty).or_insert(0) += 1;
            assert!(world.reference_length() >= 10.0, "seed {seed}");
            // The way was found with the planner's inscribed circle: the start is far from everything.
            let nearest = |x: f64, y: f64| {
                world.cylinders().iter().map(|other| (other.centre.x - x).hypot(other.centre.y - y)).fold(9.0, f64::min)
            };
            assert!(nearest(0.0, 0.0) > 1.0, "seed {seed}");
        }
        assert_eq!(kinds.len(), 3, "{kinds:?}");
        assert!(kinds.values().all(|count| *count > 30), "{kinds:?}");
    }
}
