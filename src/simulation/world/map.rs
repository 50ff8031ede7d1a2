//! Maps as ROS's map_server writes them (a picture and a YAML file), as worlds to cross.
//!
//! What is occupied stands; what is free can be crossed; what is unknown is neither. Only the edge of what is occupied becomes
//! cylinders, as wide as a cell's diagonal, so that walls have no gaps.

#![expect(clippy::indexing_slicing, reason = "cells are of the map")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use planner_tuner_core::pose::{Pose, Position};
use serde::Deserialize;

use super::{Cylinder, Goal, START_YAW, World};
use crate::costmap::CostmapSettings;

/// Half of the robot's width, m: its centre keeps this distance from what stands there (the planner's inscribed circle).
const CLEARANCE: f64 = 0.265;
/// Edges of cells that make sense, m.
const RESOLUTIONS: std::ops::RangeInclusive<f64> = 0.01..=0.5;
/// More cells than this are no map of a place that a Jackal crosses.
const MOST_CELLS: u64 = 16_000_000;
/// Within this distance of the goal it is reached, m.
const REACHED_M: f64 = 1.0;

/// Where on a map the robot drives, in the map's frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MapPlacement {
    /// Where it starts, m and rad.
    pub start: Pose,
    /// Where it is to go, m.
    pub goal: Position,
}

/// Why a map is no world.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not a map's description.
    #[error("{}: {problem}; expected image, resolution, origin, occupied_thresh and free_thresh, as map_server writes them", path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: serde_yaml::Error,
    },
    /// A number in it cannot be used.
    #[error("{}: {field} is {found}, expected {expected}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What is there.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// Its picture cannot be used.
    #[error("{}: {problem}; expected a PGM or PNG picture", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The robot cannot be where it is to be.
    #[error("{}: the {what} at {x:.2}, {y:.2} {problem}", path.display())]
    Place {
        /// The description.
        path: PathBuf,
        /// `start` or `goal`.
        what: &'static str,
        /// m.
        x: f64,
        /// m.
        y: f64,
        /// What is wrong there.
        problem: &'static str,
    },
    /// The two are not connected.
    #[error("{}: no way leads from the start to the goal that is {CLEARANCE} m from everything", .0.display())]
    NoWay(PathBuf),
}

/// The YAML file. What else is in it is not needed here.
#[derive(Debug, Deserialize)]
struct Description {
    image: PathBuf,
    resolution: f64,
    origin: [f64; 3],
    #[serde(default)]
    negate: u8,
    #[serde(default = "occupied_thresh")]
    occupied_thresh: f64,
    #[serde(default = "free_thresh")]
    free_thresh: f64,
}

/// map_server's own.
fn occupied_thresh() -> f64 {
    0.65
}

fn free_thresh() -> f64 {
    0.196
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Free,
    Occupied,
    Unknown,
}

/// A map in cells, the first row at the bottom.
struct Map<'a> {
    path: &'a Path,
    width: usize,
    height: usize,
    resolution: f64,
    origin: [f64; 2],
    cells: Vec<Cell>,
}

impl World {
    /// A world of a map. The robot's start becomes the world's: turned and shifted so that it looks along y.
    ///
    /// # Errors
    /// [`MapError`].
    pub fn of_map(path: &Path, placement: MapPlacement) -> Result<Self, MapError> {
        let map = Map::read(path)?;
        let [start, goal] = [("start", placement.start.position), ("goal", placement.goal)];
        let [from, to] = [map.cell_at(start)?, map.cell_at(goal)?];
        let way = map.shortest_way([("start", start.1, from), ("goal", goal.1, to)])?;
        // From the map's frame to the world's.
        let (sin, cos) = (START_YAW - placement.start.yaw).sin_cos();
        let seen = |Position { x, y }: Position| {
            let (dx, dy) = (x - placement.start.position.x, y - placement.start.position.y);
            Position { x: cos * dx - sin * dy, y: sin * dx + cos * dy }
        };
        let goal = seen(placement.goal);
        if !is_on_global_costmap(goal) {
            let Position { x, y } = placement.goal;
            let problem = "is off the robot's global costmap, which reaches from 4 m behind the start to 28 m ahead, 4 m to its \
                           left and 6 m to its right";
            return Err(MapError::Place { path: path.to_owned(), what: "goal", x, y, problem });
        }
        let radius = map.resolution * std::f64::consts::FRAC_1_SQRT_2;
        let cylinders = map.edge().map(|index| Cylinder { centre: seen(map.place(index)), radius }).collect();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self {
            name: format!("map:{name}"),
            cylinders,
            goal: Goal { position: goal, reached: super::Reached::Within(REACHED_M) },
            reference_length: way,
        })
    }
}

fn is_on_global_costmap(Position { x, y }: Position) -> bool {
    let geometry = CostmapSettings::global().geometry;
    let inside = |at: f64, origin: f64, cells: usize| at > origin && at < origin + cells as f64 * geometry.resolution;
    inside(x, geometry.origin_x, geometry.width) && inside(y, geometry.origin_y, geometry.height)
}

impl<'a> Map<'a> {
    fn read(path: &'a Path) -> Result<Self, MapError> {
        let text = std::fs::read_to_string(path).map_err(|source| MapError::Read { path: path.to_owned(), source })?;
        let read: Description =
            serde_yaml::from_str(&text).map_err(|problem| MapError::Description { path: path.to_owned(), problem })?;
        let wrong = |field, found: String, expected| MapError::Value { path: path.to_owned(), field, found, expected };
        if !RESOLUTIONS.contains(&read.resolution) {
            return Err(wrong("resolution", read.resolution.to_string(), "0.01 to 0.5 m"));
        }
        let [x, y, yaw] = read.origin;
        if !(x.abs() < 1e6 && y.abs() < 1e6) || yaw != 0.0 {
            return Err(wrong("origin", format!("[{x}, {y}, {yaw}]"), "a corner in metres and a yaw of 0"));
        }
        let (free, occupied) = (read.free_thresh, read.occupied_thresh);
        if !(0.0 <= free && free <= occupied && occupied <= 1.0) {
            return Err(wrong(
                "free_thresh",
                format!("{free} with occupied_thresh {occupied}"),
                "0 <= free <= occupied <= 1",
            ));
        }
        let picture = path.parent().unwrap_or(Path::new(".")).join(&read.image);
        let bad = |problem: String| MapError::Picture { path: picture.clone(), problem };
        let mut reader = image::ImageReader::open(&picture)
            .and_then(image::ImageReader::with_guessed_format)
            .map_err(|source| MapError::Read { path: picture.clone(), source })?;
        let mut limits = image::Limits::default();
        limits.max_alloc = Some(MOST_CELLS * 8);
        reader.limits(limits);
        let grey = reader.decode().map_err(|error| bad(error.to_string()))?.into_luma8();
        let (width, height) = (grey.width() as usize, grey.height() as usize);
        if u64::from(grey.width()) * u64::from(grey.height()) > MOST_CELLS {
            return Err(bad(format!("it has {width} x {height} cells, at most {MOST_CELLS} are read")));
        }
        let cell = |value: u8| {
            let value = f64::from(value) / 255.0;
            let occupancy = if read.negate == 0 { 1.0 - value } else { value };
            match occupancy {
                filled if filled > occupied => Cell::Occupied,
                empty if empty < free => Cell::Free,
                _ => Cell::Unknown,
            }
        };
        // A picture's first row is its upper one.
        let cells = grey.rows().rev().flat_map(|row| row.map(|pixel| cell(pixel.0[0])).collect::<Vec<_>>()).collect();
        Ok(Self { path, width, height, resolution: read.resolution, origin: [x, y], cells })
    }

    /// The cell at a place, which must be free.
    fn cell_at(&self, (what, place): (&'static str, Position)) -> Result<usize, MapError> {
        let cell = |at: f64, origin: f64| ((at - origin) / self.resolution).floor();
        let (column, row) = (cell(place.x, self.origin[0]), cell(place.y, self.origin[1]));
        let is_inside = (0.0..self.width as f64).contains(&column) && (0.0..self.height as f64).contains(&row);
        if !is_inside {
            return Err(self.wrong_place(what, place, "is off the map"));
        }
        let index = row as usize * self.width + column as usize;
        match self.cells[index] {
            Cell::Free => Ok(index),
            Cell::Occupied => Err(self.wrong_place(what, place, "is inside an obstacle")),
            Cell::Unknown => Err(self.wrong_place(what, place, "is where the map knows nothing")),
        }
    }

    fn wrong_place(&self, what: &'static str, Position { x, y }: Position, problem: &'static str) -> MapError {
        MapError::Place { path: self.path.to_owned(), what, x, y, problem }
    }

    /// The middle of a cell.
    fn place(&self, index: usize) -> Position {
        let at = |cell: usize, origin: f64| origin + (cell as f64 + 0.5) * self.resolution;
        Position { x: at(index % self.width, self.origin[0]), y: at(index / self.width, self.origin[1]) }
    }

    /// Neighbours with their distance in cells.
    fn neighbours(&self, index: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let (column, row) = (index % self.width, index / self.width);
        let around = |at: usize, end: usize| at.saturating_sub(1)..(at + 2).min(end);
        around(row, self.height).flat_map(move |y| around(column, self.width).map(move |x| (x, y))).filter_map(
            move |(x, y)| {
                let apart = ((x as f64 - column as f64).hypot(y as f64 - row as f64), y * self.width + x);
                (apart.0 > 0.0).then_some((apart.1, apart.0))
            },
        )
    }

    /// The occupied cells that something else is next to.
    fn edge(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.cells.len()).filter(|index| {
            self.cells[*index] == Cell::Occupied
                && self.neighbours(*index).any(|(other, _)| self.cells[other] != Cell::Occupied)
        })
    }

    /// Where the robot's centre may be.
    fn room(&self) -> Vec<bool> {
        let mut is_room: Vec<bool> = self.cells.iter().map(|cell| *cell == Cell::Free).collect();
        let reach = (CLEARANCE / self.resolution).ceil() as isize;
        for index in self.edge() {
            let (column, row) = (index % self.width, index / self.width);
            for dy in -reach..=reach {
                for dx in -reach..=reach {
                    let (Some(x), Some(y)) = (column.checked_add_signed(dx), row.checked_add_signed(dy)) else {
                        continue;
                    };
                    let is_near = (dx as f64).hypot(dy as f64) * self.resolution < CLEARANCE;
                    if x < self.width && y < self.height && is_near {
                        is_room[y * self.width + x] = false;
                    }
                }
            }
        }
        is_room
    }

    /// Length of the shortest way, m.
    fn shortest_way(&self, [from, to]: [(&'static str, Position, usize); 2]) -> Result<f64, MapError> {
        let is_room = self.room();
        for (what, place, index) in [from, to] {
            if !is_room[index] {
                return Err(self.wrong_place(what, place, "is too near an obstacle: the robot has no room there"));
            }
        }
        let mut lengths = vec![f64::INFINITY; self.cells.len()];
        lengths[from.2] = 0.0;
        // Lengths are not negative: their bits are ordered as they are.
        let mut open = BinaryHeap::from([Reverse((0_u64, from.2))]);
        while let Some(Reverse((so_far, index))) = open.pop() {
            let so_far = f64::from_bits(so_far);
            if index == to.2 {
                return Ok(so_far * self.resolution);
            }
            if so_far > lengths[index] {
                continue;
            }
            for (other, apart) in self.neighbours(index).filter(|(other, _)| is_room[*other]) {
                let length = so_far + apart;
                if length < lengths[other] {
                    lengths[other] = length;
                    open.push(Reverse((length.to_bits(), other)));
                }
            }
        }
        Err(MapError::NoWay(self.path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A corridor of 10 x 4 m along x with a wall across it at 5 m that has a gap of `gap` cells at its lower end.
    fn corridor(gap: usize) -> Vec<u8> {
        let (width, height) = (100, 40);
        let mut pgm = format!("P5\n# made for a test\n{width} {height}\n255\n").into_bytes();
        for row in (0..height).rev() {
            for column in 0..width {
                let is_wall = row == 0 || row == height - 1 || column == 0 || column == width - 1;
                let is_across = column == 50 && row > gap;
                pgm.push(if is_wall || is_across {
                    0
                } else if row > 36 {
                    205
                } else {
                    254
                });
            }
        }
        pgm
    }

    fn write(folder: &Path, gap: usize, change: (&str, &str)) -> PathBuf {
        std::fs::write(folder.join("corridor.pgm"), corridor(gap)).unwrap();
        let text = "image: corridor.pgm\nmode: trinary\nresolution: 0.1\norigin: [-1.0, -2.0, 0]\nnegate: 0\n\
                    occupied_thresh: 0.65\nfree_thresh: 0.196\n";
        assert!(text.contains(change.0));
        let path = folder.join("corridor.yaml");
        std::fs::write(&path, text.replace(change.0, change.1)).unwrap();
        path
    }

    fn placement(x: f64, y: f64, goal: [f64; 2]) -> MapPlacement {
        let [gx, gy] = goal;
        MapPlacement { start: Pose { position: Position { x, y }, yaw: 0.0 }, goal: Position { x: gx, y: gy } }
    }

    #[test]
    fn a_map_is_turned_so_that_the_robot_looks_along_y() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), 12, ("", ""));
        let world = World::of_map(&path, placement(0.0, 0.0, [8.0, 0.0])).unwrap();
        assert_eq!(world.name(), "map:corridor");
        let goal = world.goal().position;
        // 1.57 is not quite a quarter of a turn.
        assert!((goal.y - 8.0).abs() < 1e-3 && goal.x.abs() < 0.01, "{goal:?}");
        // Down to the gap, whose upper end is at 1.3 m above the lower wall, and up again.
        assert!((8.2..10.5).contains(&world.reference_length()), "{}", world.reference_length());
        // The wall to the robot's left, at 1.95 m, is at -x.
        let left = world.cylinders().iter().map(|wall| wall.centre.x).fold(0.0, f64::min);
        assert!((left + 1.95).abs() < 0.05, "{left}");
        assert!(world.is_reached(Position { x: 0.0, y: 7.2 }) && !world.is_reached(Position { x: 0.0, y: 6.8 }));
        assert!(!world.is_reached(Position { x: 0.0, y: 10.5 }), "the original's line at 10 m is of its own worlds");
        // Only edges stand: the walls are one cell thick, so all of them do.
        assert_eq!(world.cylinders().len(), 2 * 100 + 2 * 38 + 38 - 12);
    }

    #[test]
    fn what_cannot_be_driven_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let said = |gap, change, placement| {
            World::of_map(&write(folder.path(), gap, change), placement).unwrap_err().to_string()
        };
        let usual = placement(0.0, 0.0, [8.0, 0.0]);
        for (gap, change, placement, part) in [
            (0, ("", ""), usual, "no way leads from the start to the goal"),
            // The robot is wider than 40 cm.
            (4, ("", ""), usual, "no way leads"),
            (12, ("", ""), placement(-0.95, 0.0, [8.0, 0.0]), "the start at -0.95, 0.00 is inside an obstacle"),
            (12, ("", ""), placement(-0.85, 0.0, [8.0, 0.0]), "the start at -0.85, 0.00 is too near an obstacle"),
            (12, ("", ""), placement(0.0, 0.0, [8.0, 1.75]), "the goal at 8.00, 1.75 is where the map knows nothing"),
            (12, ("", ""), placement(0.0, 0.0, [80.0, 0.0]), "the goal at 80.00, 0.00 is off the map"),
            (12, ("resolution: 0.1", "resolution: 5"), usual, "resolution is 5, expected 0.01 to 0.5 m"),
            (12, ("-2.0, 0]", "-2.0, 0.3]"), usual, "origin is [-1, -2, 0.3], expected"),
            (12, ("image: corridor.pgm", "image: none.pgm"), usual, "none.pgm"),
            (12, ("image: corridor.pgm", "image: corridor.yaml"), usual, "expected a PGM or PNG picture"),
            (12, ("resolution: 0.1\n", ""), usual, "missing field `resolution`"),
        ] {
            let said = said(gap, change, placement);
            assert!(said.contains(part), "{part} in {said}");
        }
        let missing = World::of_map(Path::new("none.yaml"), usual).unwrap_err().to_string();
        assert!(missing.starts_with("none.yaml: "), "{missing}");
    }
}
