//! The tables that this project writes and asks for.
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

use std::path::Path;

use csv::StringRecord;

use super::recorder::RecorderColumns;
use super::{Row, Usable, recorder};
use crate::recording::{DecisionSchedule, RecordingError, SkipReason, Skipped};
use planner_tuner_core::frame::{BodyVelocity, Stamp};

/// Largest table that is read, bytes.
pub(super) const MAX_TABLE_LEN: u64 = 256 << 20;

/// Header and rows of a CSV table, cells without the space around them.
type Table = (StringRecord, Vec<Result<StringRecord, csv::Error>>);

/// Reads a CSV table of at most [`MAX_TABLE_LEN`] bytes.
pub(in crate::recording) fn read_table(table: &Path) -> Result<Table, RecordingError> {
    check_length(table)?;
    let refuse = |error: csv::Error| RecordingError::table(table, format!("not a CSV table: {error}"));
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(table).map_err(refuse)?;
    let header = reader.headers().map_err(refuse)?.clone();
    Ok((header, reader.into_records().collect()))
}

pub(super) fn check_length(table: &Path) -> Result<(), RecordingError> {
    let length = table.metadata().map_err(RecordingError::io(table))?.len();
    let refuse = || RecordingError::table(table, format!("{length} bytes, at most {MAX_TABLE_LEN} are read"));
    if length > MAX_TABLE_LEN { Err(refuse()) } else { Ok(()) }
}

/// The rows of a CSV table of either kind.
pub(super) fn read_rows(folder: &Path, table: &Path) -> Result<Vec<Row>, RecordingError> {
    let (header, rows) = read_table(table)?;
    if let Some(columns) = RecorderColumns::find(&header, table)? {
        return recorder::read_rows(folder, table, columns, rows);
    }
    let columns = Columns::find(&header, table)?;
    let mut read = Vec::with_capacity(rows.len());
    let (mut run, mut episode) = (None, 0);
    for (number, row) in rows.into_iter().enumerate() {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                read.push(Row::unreadable(episode, skip_row(table, number, None, &error)));
                continue;
            }
        };
        let cell = |column: usize| row.get(column).unwrap_or_default();
        let this_run = columns.run_id.map(cell).map(str::to_owned);
        if this_run.is_some() && this_run != run {
            run = this_run;
            episode += 1;
        }
        let stamp = columns.time.stamp(number, &row);
        let usable = stamp.clone().map_err(|problem| skip_row(table, number, Some(&row), &problem)).and_then(|stamp| {
            let velocity = velocity(table, number, &row, [columns.linear_vel, columns.angular_vel])?;
            Ok(Usable { stamp, velocity, picture: folder.join(cell(columns.file)), history: None })
        });
        let progress_m = columns.progress.and_then(|column| finite(&row, column));
        read.push(Row { episode, run: run.clone(), progress_m, stamp: stamp.ok(), usable });
    }
    Ok(read)
}

/// What is lost of a row that cannot be read.
pub(super) fn skip_row(
    table: &Path,
    number: usize,
    row: Option<&StringRecord>,
    problem: &dyn std::fmt::Display,
) -> Skipped {
    Skipped::new(SkipReason::UnreadableRow, None, format!("{}: {problem}", place(table, number, row)))
}

fn place(table: &Path, number: usize, row: Option<&StringRecord>) -> String {
    match row.and_then(StringRecord::position) {
        Some(position) => format!("{}: line {}", table.display(), position.line()),
        None => format!("{}: row {}", table.display(), number + 1),
    }
}

/// The velocity in the columns of linear and angular velocity.
pub(super) fn velocity(
    table: &Path,
    number: usize,
    row: &StringRecord,
    [linear, angular]: [usize; 2],
) -> Result<BodyVelocity, Skipped> {
    let refuse = |problem: String| {
        Skipped::new(SkipReason::InvalidVelocity, None, format!("{}: {problem}", place(table, number, Some(row))))
    };
    let number_in = |name: &str, column: usize| {
        let found = row.get(column).unwrap_or_default();
        found.parse::<f64>().map_err(|_| refuse(format!("{name} is '{found}', expected a number")))
    };
    let (linear, angular) = (number_in("linear_vel", linear)?, number_in("angular_vel", angular)?);
    BodyVelocity::new(linear, angular).map_err(|error| refuse(error.to_string()))
}

/// A finite number in a column.
pub(super) fn finite(row: &StringRecord, column: usize) -> Option<f64> {
    row.get(column)?.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Where the columns are.
#[derive(Debug, Clone, Copy)]
struct Columns {
    file: usize,
    linear_vel: usize,
    angular_vel: usize,
    time: TimeColumn,
    run_id: Option<usize>,
    progress: Option<usize>,
}

impl Columns {
    fn find(header: &StringRecord, table: &Path) -> Result<Self, RecordingError> {
        let position = |name: &str| header.iter().position(|column| column == name);
        let required = |name: &str| {
            let found = header.iter().collect::<Vec<_>>().join(", ");
            let problem = format!(
                "there is no column '{name}', expected file, linear_vel and angular_vel (or the recorder's Method, img_label, \
                 linear_vel and angular_vel), found {found}"
            );
            position(name).ok_or_else(|| RecordingError::table(table, problem))
        };
        let progress = position("delta_goal_dist");
        Ok(Self {
            file: required("file")?,
            linear_vel: required("linear_vel")?,
            angular_vel: required("angular_vel")?,
            time: TimeColumn::find(header, table)?,
            run_id: position("run_id"),
            progress,
        })
    }
}

/// Why a row's time cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TimeError {
    #[error("stamp_ns is '{found}', expected whole nanoseconds from zero")]
    Nanoseconds { found: String },
    #[error("time_s is '{found}', expected seconds from zero")]
    Seconds { found: String },
}

/// Where the time is.
#[derive(Debug, Clone, Copy)]
pub(super) enum TimeColumn {
    Nanoseconds(usize),
    Seconds(usize),
    Absent,
}

impl TimeColumn {
    pub(super) fn find(header: &StringRecord, table: &Path) -> Result<Self, RecordingError> {
        let position = |name: &str| header.iter().position(|column| column == name);
        match (position("stamp_ns"), position("time_s")) {
            (Some(_), Some(_)) => {
                let problem = "both stamp_ns and time_s are there, remove one of the columns";
                Err(RecordingError::table(table, problem))
            }
            (Some(column), None) => Ok(Self::Nanoseconds(column)),
            (None, Some(column)) => Ok(Self::Seconds(column)),
            (None, None) => Ok(Self::Absent),
        }
    }

    /// When the row of this number was.
    pub(super) fn stamp(self, number: usize, row: &StringRecord) -> Result<Stamp, TimeError> {
        let cell = |column: usize| row.get(column).unwrap_or_default();
        match self {
            Self::Absent => Ok(stamp_of_row(number)),
            Self::Nanoseconds(column) => {
                let nanos = cell(column).parse::<u64>().ok().and_then(|nanos| i64::try_from(nanos).ok());
                let problem = || TimeError::Nanoseconds { found: cell(column).to_owned() };
                nanos.map(Stamp::from_nanos).ok_or_else(problem)
            }
            Self::Seconds(column) => {
                let seconds = cell(column).parse::<f64>().ok().filter(|seconds| (0.0..9e9).contains(seconds));
                let problem = || TimeError::Seconds { found: cell(column).to_owned() };
                Ok(Stamp::from_nanos((seconds.ok_or_else(problem)? * 1e9).round() as i64))
            }
        }
    }
}

/// Rows without a time are one decision period apart.
pub(super) fn stamp_of_row(number: usize) -> Stamp {
    Stamp::from_nanos((number as f64 * (1e9 / DecisionSchedule::DEFAULT_RATE_HZ)).round() as i64)
}
