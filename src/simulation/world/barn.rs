//! Worlds of the BARN dataset, as published: `grid_<id>.npy` and `path_<id>.npy`.
//!
//! Perille, Truong, Xiao, Stone: Benchmarking Metric Ground Navigation (SSRR 2020).

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use planner_tuner_core::pose::Position;

use super::npy::{MAX_BYTES, NpyError, Table};
use super::{Goal, World, field, length};

/// Why a folder, or a world in it, is refused.
#[derive(Debug, thiserror::Error)]
pub enum BarnError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// Folder or file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is no world in it.
    #[error("{}: there is no grid_<number>.npy; name the folder that holds BARN's grid_files", folder.display())]
    Empty {
        /// The folder.
        folder: PathBuf,
    },
    /// It has no world of this number.
    #[error("{}: there is no world {id}; there are {count} from {first} to {last}", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The number that was asked for.
        id: u32,
        /// How many there are.
        count: usize,
        /// The lowest number.
        first: u32,
        /// The highest number.
        last: u32,
    },
    /// It is no array of whole numbers.
    #[error("{}: {source}", path.display())]
    Array {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: NpyError,
    },
    /// Its grid has another size.
    #[error("{}: the grid has {rows} x {columns} cells, expected 30 x 30 as in BARN", path.display())]
    GridSize {
        /// The file.
        path: PathBuf,
        /// Rows found.
        rows: usize,
        /// Columns found.
        columns: usize,
    },
    /// A cell is neither free nor filled.
    #[error("{}: cell {row}, {column} holds {value}, expected 0 or 1", path.display())]
    Cell {
        /// The file.
        path: PathBuf,
        /// Row.
        row: usize,
        /// Column.
        column: usize,
        /// What it holds.
        value: i64,
    },
    /// The path does not lead over the grid.
    #[error("{}: {found}; expected points (row, column) of 0 to 29 from column 0 to column 29", path.display())]
    Path {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
    },
}

/// A folder of worlds.
#[derive(Debug, Clone)]
pub struct BarnFolder {
    folder: PathBuf,
    grids: BTreeMap<u32, PathBuf>,
}

impl BarnFolder {
    /// Looks for worlds in a folder: the files lie in it, or in `grid_files` and `path_files` as in the published archive.
    ///
    /// # Errors
    /// [`BarnError::Read`], [`BarnError::Empty`].
    pub fn open(folder: &Path) -> Result<Self, BarnError> {
        let grids_in = if folder.join("grid_files").is_dir() { folder.join("grid_files") } else { folder.to_owned() };
        let read = |source| BarnError::Read { path: grids_in.clone(), source };
        let mut grids = BTreeMap::new();
        for entry in std::fs::read_dir(&grids_in).map_err(read)? {
            let path = entry.map_err(read)?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let id = name.and_then(|name| name.strip_prefix("grid_")?.strip_suffix(".npy")?.parse().ok());
            if let Some(id) = id {
                grids.insert(id, path);
            }
        }
        match grids.is_empty() {
            true => Err(BarnError::Empty { folder: folder.to_owned() }),
            false => Ok(Self { folder: folder.to_owned(), grids }),
        }
    }

    /// The numbers of its worlds, ascending.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.grids.keys().copied()
    }

    /// Reads a world whose goal lies `goal_ahead` metres ahead of the start (15 in the recorded drives).
    ///
    /// # Errors
    /// [`BarnError`].
    pub fn world(&self, id: u32, goal_ahead: f64) -> Result<World, BarnError> {
        let grid_path = self.grids.get(&id).ok_or_else(|| BarnError::Missing {
            folder: self.folder.clone(),
            id,
            count: self.grids.len(),
            first: self.grids.keys().next().copied().unwrap_or_default(),
            last: self.grids.keys().next_back().copied().unwrap_or_default(),
        })?;
        let cells = cells(grid_path)?;
        let beside = self.folder.join("path_files");
        let folder = if beside.is_dir() { &beside } else { &self.folder };
        let path = path(&folder.join(format!("path_{id}.npy")))?;
        let goal = Position { x: 0.0, y: goal_ahead };
        let start = Position { x: 0.0, y: 0.0 };
        Ok(World {
            name: format!("barn:{id}"),
            cylinders: field::cylinders(&cells),
            goal: Goal::ahead(goal_ahead),
            reference_length: length([start].into_iter().chain(path).chain([goal])),
        })
    }
}

/// The cells of a grid file.
fn cells(path: &Path) -> Result<field::Cells, BarnError> {
    let table = table(path)?;
    let mut cells = [[false; field::SIDE]; field::SIDE];
    if (table.rows, table.columns) != (field::SIDE, field::SIDE) {
        return Err(BarnError::GridSize { path: path.to_owned(), rows: table.rows, columns: table.columns });
    }
    for (index, (cell, value)) in cells.iter_mut().flatten().zip(table.values).enumerate() {
        *cell = match value {
            0 => false,
            1 => true,
            _ => {
                let (row, column) = (index / field::SIDE, index % field::SIDE);
                return Err(BarnError::Cell { path: path.to_owned(), row, column, value });
            }
        };
    }
    Ok(cells)
}

/// The points of a path file.
fn path(path: &Path) -> Result<Vec<Position>, BarnError> {
    let table = table(path)?;
    let refused = |found: String| BarnError::Path { path: path.to_owned(), found };
    if table.columns != 2 || table.rows == 0 {
        return Err(refused(format!("an array of {} x {}", table.rows, table.columns)));
    }
    let mut points = Vec::new();
    let mut ends = None;
    for point in table.values.chunks_exact(2) {
        let [row, column] = [0, 1].map(|axis| point.get(axis).and_then(|value| usize::try_from(*value).ok()));
        match (row, column) {
            (Some(row), Some(column)) if row < field::SIDE && column < field::SIDE => {
                ends = Some((ends.map_or(column, |(first, _)| first), column));
                points.push(field::path_point(row, column));
            }
            _ => return Err(refused(format!("a point {point:?}"))),
        }
    }
    match ends {
        Some((0, last)) if last == field::SIDE - 1 => Ok(points),
        ends => Err(refused(format!("a path from column to column {ends:?}"))),
    }
}

fn table(path: &Path) -> Result<Table, BarnError> {
    let read = |source| BarnError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(read)?.take(MAX_BYTES).read_to_end(&mut bytes).map_err(read)?;
    Table::parse(&bytes).map_err(|source| BarnError::Array { path: path.to_owned(), source })
}
