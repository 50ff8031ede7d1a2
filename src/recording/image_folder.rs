//! A folder of images with a CSV table of velocities.
//!
//! | column | unit | meaning |
//! | --- | --- | --- |
//! | `file` | | PNG or JPEG, path below the folder |
//! | `linear_vel`, `angular_vel` | m/s, rad/s | body velocity when the image was taken |
//! | `stamp_ns` or `time_s` (optional) | ns or s | when; without either, rows are one decision period (0.5 s) apart |
//! | `run_id` (optional) | | a change of it begins a new episode |
//!
//! Rows are taken in the order of the table, other columns are ignored (a transition log takes progress and the ends of
//! runs from tables, too: see `run_table`).

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::StringRecord;

use super::bag_file::MAX_MESSAGE_LEN;
use super::recording::Observation;
use super::rosbag2::{files_with_extension, listed};
use super::run_table::RUNS;
use super::{DecisionSchedule, RecordingError, SkipReason, Skipped};
use crate::frame::{BodyVelocity, Frame, Stamp, StampedFrame};

/// Largest table that is read, bytes.
const MAX_TABLE_LEN: u64 = 256 << 20;

/// An open folder: the table has been read, the images have not.
pub(super) struct ImageFolder {
    folder: PathBuf,
    table: PathBuf,
    columns: Columns,
    rows: std::iter::Enumerate<std::vec::IntoIter<Result<StringRecord, csv::Error>>>,
    run: Option<String>,
    episode: usize,
}

/// Where the columns are.
#[derive(Debug, Clone, Copy)]
struct Columns {
    file: usize,
    linear_vel: usize,
    angular_vel: usize,
    time: TimeColumn,
    run_id: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum TimeColumn {
    Nanoseconds(usize),
    Seconds(usize),
    Absent,
}

impl ImageFolder {
    /// `table` is the CSV; without one, `frames.csv` or else the only .csv of the folder.
    pub(super) fn open(folder: &Path, table: Option<&Path>) -> Result<Self, RecordingError> {
        let table = table_of(folder, table)?;
        let (header, rows) = read_table(&table)?;
        let columns = Columns::find(&header, &table)?;
        if rows.is_empty() {
            return Err(RecordingError::NoImages { path: folder.to_owned(), topic: table.display().to_string() });
        }
        let rows = rows.into_iter().enumerate();
        Ok(Self { folder: folder.to_owned(), table, columns, rows, run: None, episode: 0 })
    }

    /// Rows that are still to come.
    pub(super) fn remaining(&self) -> usize {
        self.rows.len()
    }

    fn read(&mut self, number: usize, row: Result<StringRecord, csv::Error>) -> Result<Observation, Skipped> {
        let skip = |reason, line: Option<u64>, problem: String| {
            let line = line.map_or_else(|| format!("row {}", number + 1), |line| format!("line {line}"));
            Skipped::new(reason, None, format!("{}: {line}: {problem}", self.table.display()))
        };
        let row = row.map_err(|error| skip(SkipReason::UnreadableRow, None, error.to_string()))?;
        let line = row.position().map(csv::Position::line);
        let cell = |column: usize| row.get(column).unwrap_or_default();
        let columns = self.columns;

        if let Some(run) = columns.run_id.map(cell)
            && self.run.as_deref() != Some(run)
        {
            self.run = Some(run.to_owned());
            self.episode += 1;
        }
        let stamp =
            columns.time.stamp(number, &row).map_err(|problem| skip(SkipReason::UnreadableRow, line, problem))?;
        let number_in = |name: &str, column: usize| {
            let found = cell(column);
            let problem = || format!("{name} is '{found}', expected a number");
            found.parse::<f64>().map_err(|_| skip(SkipReason::InvalidVelocity, line, problem()))
        };
        let linear = number_in("linear_vel", columns.linear_vel)?;
        let angular = number_in("angular_vel", columns.angular_vel)?;
        let velocity = BodyVelocity::new(linear, angular)
            .map_err(|error| skip(SkipReason::InvalidVelocity, line, error.to_string()))?;

        let path = self.folder.join(cell(columns.file));
        let bytes = read_bounded(&path).map_err(|problem| {
            Skipped::new(SkipReason::MissingFile, Some(stamp), format!("{}: {problem}", path.display()))
        })?;
        let frame =
            Frame::from_image_bytes(&bytes).map_err(|error| Skipped::frame(&error, Some(stamp), path.display()))?;
        let frame = StampedFrame { stamp, frame: Arc::new(frame) };
        Ok(Observation { frame, velocity, velocity_age_s: 0.0, age_s: 0.0, episode: self.episode, drawing: None })
    }
}

impl Iterator for ImageFolder {
    type Item = Result<Observation, Skipped>;

    fn next(&mut self) -> Option<Self::Item> {
        let (number, row) = self.rows.next()?;
        Some(self.read(number, row))
    }
}

impl Columns {
    fn find(header: &StringRecord, table: &Path) -> Result<Self, RecordingError> {
        let position = |name: &str| header.iter().position(|column| column == name);
        let required = |name: &str| {
            let found = header.iter().collect::<Vec<_>>().join(", ");
            let problem =
                format!("there is no column '{name}', expected file, linear_vel and angular_vel, found {found}");
            position(name).ok_or_else(|| RecordingError::table(table, problem))
        };
        let time = match (position("stamp_ns"), position("time_s")) {
            (Some(_), Some(_)) => {
                let problem = "both stamp_ns and time_s are there, remove one of the columns";
                return Err(RecordingError::table(table, problem));
            }
            (Some(column), None) => TimeColumn::Nanoseconds(column),
            (None, Some(column)) => TimeColumn::Seconds(column),
            (None, None) => TimeColumn::Absent,
        };
        Ok(Self {
            file: required("file")?,
            linear_vel: required("linear_vel")?,
            angular_vel: required("angular_vel")?,
            time,
            run_id: position("run_id"),
        })
    }
}

impl TimeColumn {
    fn stamp(self, number: usize, row: &StringRecord) -> Result<Stamp, String> {
        let cell = |column: usize| row.get(column).unwrap_or_default();
        let nanos = match self {
            Self::Absent => number as f64 * (1e9 / DecisionSchedule::DEFAULT_RATE_HZ),
            Self::Nanoseconds(column) => {
                let nanos = cell(column).parse::<u64>().ok().and_then(|nanos| i64::try_from(nanos).ok());
                let problem = || format!("stamp_ns is '{}', expected whole nanoseconds from zero", cell(column));
                return nanos.map(Stamp::from_nanos).ok_or_else(problem);
            }
            Self::Seconds(column) => {
                let seconds = cell(column).parse::<f64>().ok().filter(|seconds| (0.0..9e9).contains(seconds));
                let problem = || format!("time_s is '{}', expected seconds from zero", cell(column));
                seconds.ok_or_else(problem)? * 1e9
            }
        };
        Ok(Stamp::from_nanos(nanos.round() as i64))
    }
}

/// A row of the table, without its image.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RowOutline {
    /// When.
    pub(super) stamp: Stamp,
    /// The run that it belongs to.
    pub(super) run: Option<String>,
    /// `delta_goal_dist`: by how much the step brought the goal nearer, metres.
    pub(super) progress_m: Option<f64>,
}

/// What the table says of each row whose time can be read, in its order.
pub(super) fn outline(table: &Path) -> Result<Vec<RowOutline>, RecordingError> {
    let (header, rows) = read_table(table)?;
    let columns = Columns::find(&header, table)?;
    let progress = header.iter().position(|column| column == "delta_goal_dist");
    let row = |(number, row): (usize, Result<StringRecord, csv::Error>)| {
        let row = row.ok()?;
        let stamp = columns.time.stamp(number, &row).ok()?;
        let cell = |column: usize| row.get(column);
        let progress_m =
            progress.and_then(cell).and_then(|cell| cell.parse().ok()).filter(|metres: &f64| metres.is_finite());
        Some(RowOutline { stamp, run: columns.run_id.and_then(cell).map(str::to_owned), progress_m })
    };
    Ok(rows.into_iter().enumerate().filter_map(row).collect())
}

/// Header and rows of a CSV table, cells without the space around them.
type Table = (StringRecord, Vec<Result<StringRecord, csv::Error>>);

pub(super) fn read_table(table: &Path) -> Result<Table, RecordingError> {
    let length = table.metadata().map_err(RecordingError::io(table))?.len();
    if length > MAX_TABLE_LEN {
        return Err(RecordingError::table(table, format!("{length} bytes, at most {MAX_TABLE_LEN} are read")));
    }
    let refuse = |error: csv::Error| RecordingError::table(table, format!("not a CSV table: {error}"));
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(table).map_err(refuse)?;
    let header = reader.headers().map_err(refuse)?.clone();
    Ok((header, reader.into_records().collect()))
}

/// The table of a folder: the one that was chosen, `frames.csv`, or else the only .csv.
pub(super) fn table_of(folder: &Path, chosen: Option<&Path>) -> Result<PathBuf, RecordingError> {
    chosen.map_or_else(|| find_table(folder), |table| Ok(table.to_owned()))
}

/// The table of a folder that was given without one.
fn find_table(folder: &Path) -> Result<PathBuf, RecordingError> {
    let usual = folder.join("frames.csv");
    if usual.is_file() {
        return Ok(usual);
    }
    let mut tables = files_with_extension(folder, &["csv"])?;
    tables.retain(|table| !table.ends_with(RUNS));
    match (tables.pop(), tables.as_slice()) {
        (Some(only), []) => Ok(only),
        (None, _) => Err(RecordingError::NotARecording {
            path: folder.to_owned(),
            found: "a folder with neither bag files nor a CSV table".to_owned(),
        }),
        (Some(last), others) => {
            let found = listed(&[others, &[last]].concat());
            let problem = format!("several tables ({found}) and none is named frames.csv; choose one with --table");
            Err(RecordingError::table(folder, problem))
        }
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(MAX_MESSAGE_LEN + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_MESSAGE_LEN {
        return Err(format!("more than {MAX_MESSAGE_LEN} bytes, which no image is"));
    }
    Ok(bytes)
}
