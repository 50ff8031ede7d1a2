//! Curves on disk: a table for people and scripts, events for TensorBoard.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::curves::CurvePoint;
use super::event_file::{Event, framed};
use super::training::POINT_EVERY;
use super::{ActionSpace, TrainError, curve_names};

/// Name of the table.
const TABLE: &str = "curves.csv";

/// Both files of a training, open for more points.
#[derive(Debug)]
pub struct CurveFiles {
    names: Vec<String>,
    table: PathBuf,
    rows: csv::Writer<File>,
    events: BufWriter<File>,
    events_path: PathBuf,
    /// Everything that is in the table, for the picture at the end.
    points: Vec<CurvePoint>,
}

impl CurveFiles {
    /// Begins or continues the files in a folder. Points after update `step`, which a training that goes on makes once
    /// more, are taken out of the table, and TensorBoard is told to forget them. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// [`TrainError::Curves`] when a file cannot be read or written.
    pub fn open(folder: &Path, space: &ActionSpace, step: u64, now: f64) -> Result<Self, TrainError> {
        Self::with_names(folder, curve_names(space), step, now)
    }

    /// As [`open`](Self::open), for curves of other names: those of another kind of training.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_names(folder: &Path, names: Vec<String>, step: u64, now: f64) -> Result<Self, TrainError> {
        let table = folder.join(TABLE);
        let points = if step > 0 && table.exists() { read_table(&table, &names, step)? } else { Vec::new() };
        begin_table(&table, &names, &points)?;
        let rows = std::fs::OpenOptions::new().append(true).open(&table).map_err(wrong(&table))?;
        let rows = csv::Writer::from_writer(rows);

        let events_path = folder.join(format!("events.out.tfevents.{:010}.planner_tuner.{step}", now as u64));
        let events = BufWriter::new(File::create(&events_path).map_err(wrong(&events_path))?);
        let mut files = Self { names, table, rows, events, events_path, points };
        files.write_event(&Event::version(now))?;
        if step > 0 {
            files.write_event(&Event::restart(now, step + 1))?;
        }
        files.flush()?;
        Ok(files)
    }

    /// Adds a point. It is in both files when this returns.
    ///
    /// # Errors
    /// [`TrainError::Curves`] when a file cannot be written.
    pub fn add(&mut self, point: CurvePoint, now: f64) -> Result<(), TrainError> {
        self.rows.write_record(row(&point)).map_err(wrong(&self.table))?;
        let scalars = self.names.iter().zip(&point.values);
        let scalars: Vec<(&str, f32)> =
            scalars.filter_map(|(name, value)| Some((name.as_str(), (*value)? as f32))).collect();
        let event = Event::scalars(now, point.step, &scalars);
        self.write_event(&event)?;
        self.points.push(point);
        self.flush()
    }

    /// The curves' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// All points of the table.
    pub fn points(&self) -> &[CurvePoint] {
        &self.points
    }

    fn write_event(&mut self, event: &Event) -> Result<(), TrainError> {
        self.events.write_all(&framed(event)).map_err(wrong(&self.events_path))
    }

    fn flush(&mut self) -> Result<(), TrainError> {
        self.rows.flush().map_err(wrong(&self.table))?;
        self.events.flush().map_err(wrong(&self.events_path))
    }
}

/// Writes a table with these points in place of what was there, whose rows are in it as far as they still count.
fn begin_table(path: &Path, names: &[String], points: &[CurvePoint]) -> Result<(), TrainError> {
    let mut rows = csv::Writer::from_writer(Vec::new());
    rows.write_record(std::iter::once("step").chain(names.iter().map(String::as_str))).map_err(wrong(path))?;
    for point in points {
        rows.write_record(row(point)).map_err(wrong(path))?;
    }
    let bytes = rows.into_inner().map_err(wrong(path))?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path)).map_err(wrong(path))
}

fn row(point: &CurvePoint) -> impl Iterator<Item = String> {
    let values = point.values.iter().map(|value| value.map(|value| value.to_string()).unwrap_or_default());
    std::iter::once(point.step.to_string()).chain(values)
}

/// The points of a table up to a step.
fn read_table(path: &Path, names: &[String], last: u64) -> Result<Vec<CurvePoint>, TrainError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(wrong(path))?;
    let header = reader.headers().map_err(wrong(path))?;
    if !header.iter().skip(1).eq(names.iter().map(String::as_str)) {
        let problem = "its columns are not those of this planner; move it away".to_owned();
        return Err(TrainError::Curves { path: path.to_owned(), problem });
    }
    let mut points = Vec::new();
    for row in reader.records() {
        let row = row.map_err(wrong(path))?;
        let Some(step) = row.get(0).and_then(|step| step.parse::<u64>().ok()) else { continue };
        // A row that was being written when the program was killed belongs to an update that is made again, and one between
        // the regular points was the end of a training that now goes on.
        if step > last || !step.is_multiple_of(POINT_EVERY) || row.len() != names.len() + 1 {
            continue;
        }
        points.push(CurvePoint { step, values: row.iter().skip(1).map(|value| value.parse().ok()).collect() });
    }
    Ok(points)
}

fn wrong<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> TrainError {
    let path = path.to_owned();
    move |error| TrainError::Curves { path, problem: error.to_string() }
}
