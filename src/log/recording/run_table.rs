//! How the runs of an image folder went: `runs.csv` beside the table of images.
//!
//! | column | meaning |
//! | --- | --- |
//! | `run_id` | as in the table of images |
//! | `status` | `success`, `collision` or `timeout`; anything else says nothing |
//!
//! Other columns are ignored. Progress is the images' own column `delta_goal_dist`: what the step after the image brought.

use std::collections::HashMap;
use std::path::Path;

use super::image_folder::{RowOutline, outline, read_table, table_of};
use super::{DriveEvent, RecordingError};
use crate::drive::EpisodeEvent;
use planner_tuner_core::frame::Stamp;

/// Name of the table of runs.
pub(super) const RUNS: &str = "runs.csv";

/// What the tables of an image folder say of its drive, in the order of the images. A run ends with its last image.
pub(super) fn run_events(folder: &Path, table: Option<&Path>) -> Result<Vec<(Stamp, DriveEvent)>, RecordingError> {
    let table = table_of(folder, table)?;
    let runs = table.parent().unwrap_or(folder).join(RUNS);
    let ends = if runs.is_file() { read_runs(&runs)? } else { HashMap::new() };
    let rows = outline(folder, &table)?;
    let mut events = Vec::new();
    for (index, RowOutline { stamp, run, progress_m }) in rows.iter().enumerate() {
        // Just behind the image: whatever was decided on it is known by then, and the next image is yet to come.
        let after = Stamp::from_nanos(stamp.nanos().saturating_add(1));
        events.extend(progress_m.map(|metres| (after, DriveEvent::Progress(metres))));
        let is_last = rows.get(index + 1).is_none_or(|next| next.run != *run);
        let end = run.as_ref().filter(|_| is_last).and_then(|run| ends.get(run));
        events.extend(end.map(|end| (after, DriveEvent::Ended(*end))));
    }
    Ok(events)
}

/// How each run ended.
fn read_runs(table: &Path) -> Result<HashMap<String, EpisodeEvent>, RecordingError> {
    let (header, rows) = read_table(table)?;
    let column = |name: &str| {
        let found = || header.iter().collect::<Vec<_>>().join(", ");
        let problem = || format!("there is no column '{name}', expected run_id and status, found {}", found());
        header.iter().position(|column| column == name).ok_or_else(|| RecordingError::table(table, problem()))
    };
    let (run, status) = (column("run_id")?, column("status")?);
    let mut ends = HashMap::new();
    for row in rows {
        let row = row.map_err(|error| RecordingError::table(table, error.to_string()))?;
        let cell = |column: usize| row.get(column).unwrap_or_default();
        let end = match cell(status) {
            "success" => EpisodeEvent::Success,
            "collision" => EpisodeEvent::Collision,
            "timeout" => EpisodeEvent::TimeOut,
            other => {
                log::warn!("{}: run {} has status '{other}': its end counts as cut off", table.display(), cell(run));
                continue;
            }
        };
        if ends.insert(cell(run).to_owned(), end).is_some() {
            return Err(RecordingError::table(table, format!("run_id '{}' is there twice", cell(run))));
        }
    }
    Ok(ends)
}
