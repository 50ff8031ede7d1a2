//! Images with what a planner's parameters should have been: what a supervised checkpoint learns from.
//!
//! | form | labels |
//! | --- | --- |
//! | a CSV table of either kind | columns by name; the recorder's `final_inflation` is `inflation_radius` |
//! | the original's JSON list | `label` (or `labels`, `parameters`) of an entry: an array in the planner's order |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::list::is_list;
use super::table::{check_length, read_table, skip_row};
use super::{Usable, read_picture, read_rows, table_of};
use crate::recording::{RecordingError, SkipCounts, SkipReason, Skipped};
use planner_tuner_core::frame::{BodyVelocity, Frame, Stamp};

/// A number that is wanted of each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelColumn {
    /// Its name.
    pub name: String,
    /// Whether a table without it is of no use.
    pub required: bool,
}

/// Which rows of a table are wanted: those with this value in this column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFilter {
    /// The column.
    pub column: String,
    /// The value, to the letter.
    pub value: String,
}

/// A picture with labels; the picture itself is still in its file.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledPicture {
    /// The run that it belongs to, or the episode where runs have no names.
    pub run: String,
    /// The robot's velocity when it was taken.
    pub velocity: BodyVelocity,
    /// One number for each wanted column; `None` where the table has no such column.
    pub labels: Vec<Option<f64>>,
    stamp: Stamp,
    picture: PathBuf,
    history: Option<Vec<PathBuf>>,
}

/// What a table holds of them, in its order.
#[derive(Debug, Clone)]
pub struct LabelledPictures {
    /// The rows that can be used as far as the table says.
    pub pictures: Vec<LabelledPicture>,
    /// The others.
    pub skipped: SkipCounts,
    /// The table.
    pub table: PathBuf,
}

/// Names under which tables keep a parameter besides its own.
const ALIASES: [(&str, &str); 1] = [("inflation_radius", "final_inflation")];

impl LabelledPictures {
    /// Reads the table of a folder of images: the one that is named, otherwise its `frames.csv`, the recorder's
    /// `data.csv`, the only .csv or the only .json.
    ///
    /// # Errors
    /// [`RecordingError`] when there is no table, or a required column or the filter's is not in it.
    pub fn read(
        folder: &Path,
        table: Option<&Path>,
        columns: &[LabelColumn],
        only: Option<&RowFilter>,
    ) -> Result<Self, RecordingError> {
        let table = table_of(folder, table)?;
        let labels = if is_list(&table) { of_list(&table, columns, only)? } else { of_table(&table, columns, only)? };
        let (mut pictures, mut skipped) = (Vec::new(), SkipCounts::default());
        for (row, labels) in read_rows(folder, &table)?.into_iter().zip(labels) {
            let run = row.run.unwrap_or_else(|| format!("episode {}", row.episode));
            let Some(labels) = labels else { continue };
            match (row.usable, labels) {
                (Ok(Usable { stamp, velocity, picture, history }), Ok(labels)) => {
                    pictures.push(LabelledPicture { run, velocity, labels, stamp, picture, history });
                }
                (Err(reason), _) | (_, Err(reason)) => skipped.record(&reason),
            }
        }
        Ok(Self { pictures, skipped, table })
    }
}

impl LabelledPicture {
    /// Reads the picture.
    ///
    /// # Errors
    /// When its file is missing or is no picture.
    pub fn frame(&self) -> Result<Arc<Frame>, Skipped> {
        read_picture(&self.picture, self.stamp)
    }

    /// Reads the pictures before it, newest first, where the table names them.
    ///
    /// # Errors
    /// As [`frame`](Self::frame).
    pub fn history(&self) -> Result<Option<Vec<Arc<Frame>>>, Skipped> {
        let read = |history: &Vec<PathBuf>| history.iter().map(|path| read_picture(path, self.stamp)).collect();
        self.history.as_ref().map(read).transpose()
    }

    /// The file of the picture.
    pub fn path(&self) -> &Path {
        &self.picture
    }
}

/// For each row: nothing where the filter leaves it out, its labels, or why it has none.
type RowLabels = Option<Result<Vec<Option<f64>>, Skipped>>;

fn of_table(table: &Path, columns: &[LabelColumn], only: Option<&RowFilter>) -> Result<Vec<RowLabels>, RecordingError> {
    let (header, rows) = read_table(table)?;
    let plain = |name: &str| name.trim_end_matches(':').trim().to_ascii_lowercase();
    let position = |wanted: &str| {
        let find = |name: &str| header.iter().position(|column| plain(column) == name.to_ascii_lowercase());
        let alias = ALIASES.iter().find(|(name, _)| *name == wanted).map(|(_, alias)| *alias);
        find(wanted).or_else(|| alias.and_then(find))
    };
    let places: Vec<Option<usize>> = columns.iter().map(|column| position(&column.name)).collect();
    let missing = columns.iter().zip(&places).filter(|(column, place)| column.required && place.is_none());
    let missing: Vec<&str> = missing.map(|(column, _)| column.name.as_str()).collect();
    let found = || header.iter().collect::<Vec<_>>().join(", ");
    if !missing.is_empty() {
        let problem = format!(
            "no column {}, found {}: the labels are those of another planner, or there are none",
            missing.join(", "),
            found()
        );
        return Err(RecordingError::table(table, problem));
    }
    let filter = match only {
        Some(RowFilter { column, value }) => {
            let none =
                || RecordingError::table(table, format!("no column '{column}' to choose rows by, found {}", found()));
            Some((position(column).ok_or_else(none)?, value.as_str()))
        }
        None => None,
    };
    let of_row = |(number, row): (usize, Result<csv::StringRecord, csv::Error>)| -> RowLabels {
        let row = match row {
            Ok(row) => row,
            Err(error) => return Some(Err(skip_row(table, number, None, &error))),
        };
        if filter.is_some_and(|(column, value)| row.get(column) != Some(value)) {
            return None;
        }
        let label = |(column, place): (&LabelColumn, &Option<usize>)| {
            let Some(place) = place else { return Ok(None) };
            let cell = row.get(*place).unwrap_or_default();
            let finite = cell.parse().ok().filter(|value: &f64| value.is_finite());
            let problem = || format!("{} is '{cell}', expected a finite number", column.name);
            finite.map(Some).ok_or_else(|| skip_row(table, number, Some(&row), &problem()))
        };
        Some(columns.iter().zip(&places).map(label).collect())
    };
    Ok(rows.into_iter().enumerate().map(of_row).collect())
}

/// The part of a list's entry that is looked at here.
#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(default, alias = "labels", alias = "parameters")]
    label: Option<Vec<f64>>,
}

fn of_list(table: &Path, columns: &[LabelColumn], only: Option<&RowFilter>) -> Result<Vec<RowLabels>, RecordingError> {
    if only.is_some() {
        return Err(RecordingError::table(table, "rows can be chosen by a column in CSV tables only".to_owned()));
    }
    check_length(table)?;
    let text = std::fs::read_to_string(table).map_err(RecordingError::io(table))?;
    let refuse = |error: serde_json::Error| RecordingError::table(table, format!("not a list of decisions: {error}"));
    let entries: Vec<Entry> = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(&text).map_err(refuse)?,
        false => serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<_, _>>().map_err(refuse)?,
    };
    let (most, least) = (columns.len(), columns.iter().filter(|column| column.required).count());
    let of_entry = |(number, entry): (usize, Entry)| -> RowLabels {
        let place = format!("{}: entry {}", table.display(), number + 1);
        let skip =
            |problem: String| Some(Err(Skipped::new(SkipReason::UnreadableRow, None, format!("{place}: {problem}"))));
        let Some(label) = entry.label else { return skip("there is no label".into()) };
        if label.len() != most && label.len() != least {
            return skip(format!("its label has {} numbers, expected {least} or {most}", label.len()));
        }
        if let Some(value) = label.iter().find(|value| !value.is_finite()) {
            return skip(format!("its label holds {value}, expected finite numbers"));
        }
        Some(Ok((0..most).map(|index| label.get(index).copied()).collect()))
    };
    Ok(entries.into_iter().enumerate().map(of_entry).collect())
}
