//! The folders that the original system's recorder leaves: `data.csv`, and pictures named `METHOD_NNNNNN.png`.
//!
//! | column | unit | meaning |
//! | --- | --- | --- |
//! | `Method`, `img_label` | | what drove the robot, and the number of the picture: `RL` and `45` are `RL_000045.png` |
//! | `linear_vel`, `angular_vel` | m/s, rad/s | body velocity when the picture was taken |
//! | `goal_dist`, `delta_goal_dist` (optional) | m | distance to the goal after the step, and what the step brought |
//!
//! Drives follow one another without a mark. Another one begins where the method changes, where pictures are not numbered
//! on, and where the goal is suddenly farther away. Within a drive pictures are one decision period (0.5 s) apart.

use std::path::{Path, PathBuf};

use csv::StringRecord;

use super::table::{TimeColumn, finite, skip_row, velocity};
use super::{Row, Usable};
use crate::recording::{RecordingError, SkipReason, Skipped};

/// The goal cannot come this much nearer or farther between two steps of one drive, metres: the fastest robot makes 1 m
/// in a step, and a step may be missing.
const ANOTHER_GOAL: f64 = 2.0;

/// Where the columns are.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecorderColumns {
    method: usize,
    img_label: usize,
    velocity: [usize; 2],
    goal_dist: Option<usize>,
    progress: Option<usize>,
    time: TimeColumn,
}

impl RecorderColumns {
    /// `None` for a table of another kind: one that names the pictures' files, or has no labels.
    pub(super) fn find(header: &StringRecord, table: &Path) -> Result<Option<Self>, RecordingError> {
        // The recorder's own header has stray colons and capitals.
        let plain = |name: &str| name.trim_end_matches(':').trim().to_ascii_lowercase();
        let position = |name: &str| header.iter().position(|column| plain(column) == name);
        let (None, Some(img_label)) = (position("file"), position("img_label")) else { return Ok(None) };
        let required = |name: &str| {
            let found = header.iter().collect::<Vec<_>>().join(", ");
            let problem = format!(
                "there is no column '{name}', expected Method, img_label, linear_vel and angular_vel as the recorder writes \
                 them, found {found}"
            );
            position(name).ok_or_else(|| RecordingError::table(table, problem))
        };
        Ok(Some(Self {
            method: required("method")?,
            img_label,
            velocity: [required("linear_vel")?, required("angular_vel")?],
            goal_dist: position("goal_dist"),
            progress: position("delta_goal_dist"),
            time: TimeColumn::find(header, table)?,
        }))
    }
}

/// What a row is compared with to find out whether the drive goes on.
struct Step {
    method: String,
    label: u64,
    goal_dist: Option<f64>,
}

impl Step {
    fn goes_on_with(&self, next: &Step, progress: Option<f64>) -> bool {
        let before = next.goal_dist.zip(progress).map(|(after, progress)| after + progress);
        let same_goal = self.goal_dist.zip(before).is_none_or(|(ours, theirs)| (theirs - ours).abs() <= ANOTHER_GOAL);
        self.method == next.method && next.label == self.label.saturating_add(1) && same_goal
    }
}

pub(super) fn read_rows(
    folder: &Path,
    table: &Path,
    columns: RecorderColumns,
    rows: Vec<Result<StringRecord, csv::Error>>,
) -> Result<Vec<Row>, RecordingError> {
    let mut read = Vec::with_capacity(rows.len());
    let mut pictures = Pictures::new(folder);
    let (mut episode, mut run, mut before) = (0, None, None::<Step>);
    for (number, row) in rows.into_iter().enumerate() {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                before = None;
                read.push(Row::unreadable(episode, skip_row(table, number, None, &error)));
                continue;
            }
        };
        let cell = |column: usize| row.get(column).unwrap_or_default();
        let Some(label) = whole_number(cell(columns.img_label)) else {
            let problem = format!("img_label is '{}', expected the whole number of a picture", cell(columns.img_label));
            before = None;
            read.push(Row::unreadable(episode, skip_row(table, number, Some(&row), &problem)));
            continue;
        };
        let goal_dist = columns.goal_dist.and_then(|column| finite(&row, column));
        let progress_m = columns.progress.and_then(|column| finite(&row, column));
        let step = Step { method: cell(columns.method).to_owned(), label, goal_dist };
        if !before.as_ref().is_some_and(|before| before.goes_on_with(&step, progress_m)) {
            episode += 1;
            run = Some(format!("{}_{label:06}", step.method));
        }
        let stamp = columns.time.stamp(number, &row);
        let usable = stamp.clone().map_err(|problem| skip_row(table, number, Some(&row), &problem)).and_then(|stamp| {
            let velocity = velocity(table, number, &row, columns.velocity)?;
            let picture = pictures.find(&step.method, label).ok_or_else(|| {
                let expected = format!("{}_{label:06}.png", step.method);
                let message = format!("{}: there is no {expected}, nor in a folder below it", folder.display());
                Skipped::new(SkipReason::MissingFile, Some(stamp), message)
            })?;
            Ok(Usable { stamp, velocity, picture, history: None })
        });
        before = Some(step);
        read.push(Row { episode, run: run.clone(), progress_m, stamp: stamp.ok(), usable });
    }
    Ok(read)
}

/// A label, which pandas writes as a decimal once a column has a gap.
fn whole_number(text: &str) -> Option<u64> {
    let whole = text.split_once('.').filter(|(_, rest)| rest.bytes().all(|digit| digit == b'0'));
    whole.map_or(text, |(whole, _)| whole).parse().ok()
}

/// Where the pictures lie: beside the table, or in a folder below it.
struct Pictures {
    folders: Vec<PathBuf>,
}

impl Pictures {
    fn new(folder: &Path) -> Self {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let entries = here.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
        let mut below: Vec<_> = entries.filter(|path| path.is_dir()).collect();
        below.sort();
        Self { folders: [folder.to_owned()].into_iter().chain(below).collect() }
    }

    /// Looks first where the picture before was.
    fn find(&mut self, method: &str, label: u64) -> Option<PathBuf> {
        let names = ["png", "jpg", "jpeg"].map(|extension| format!("{method}_{label:06}.{extension}"));
        let there = |folder: &PathBuf| names.iter().map(|name| folder.join(name)).find(|file| file.is_file());
        let (position, file) = self.folders.iter().enumerate().find_map(|(at, folder)| Some((at, there(folder)?)))?;
        self.folders.swap(0, position);
        Some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_whole_numbers() {
        assert_eq!(["45", "45.0", "000045"].map(whole_number), [Some(45); 3]);
        assert_eq!(["", "45.5", "-1", "RL_000045", "nan"].map(whole_number), [None; 5]);
    }

    #[test]
    fn a_drive_ends_where_method_number_or_goal_jump() {
        let step = |method: &str, label, goal_dist| Step { method: method.to_owned(), label, goal_dist };
        let before = step("RL", 45, Some(6.0));
        assert!(before.goes_on_with(&step("RL", 46, Some(5.2)), Some(0.8)));
        assert!(before.goes_on_with(&step("RL", 46, None), None), "without distances");
        assert!(before.goes_on_with(&step("RL", 46, Some(4.5)), Some(0.7)), "a step between the two is missing");
        assert!(!before.goes_on_with(&step("HB", 46, Some(5.2)), Some(0.8)));
        assert!(!before.goes_on_with(&step("RL", 48, Some(5.2)), Some(0.8)));
        assert!(!before.goes_on_with(&step("RL", 46, Some(14.0)), Some(1.0)), "a goal of its own");
    }
}
