//! A folder of images, and what says how fast the robot was: a CSV table of this project's own ([`table`]), the original
//! recorder's `data.csv` ([`recorder`]), or a JSON list as the original is trained on ([`list`]).

mod labelled;
mod list;
mod recorder;
mod spoken_velocity;
mod table;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bag_file::MAX_MESSAGE_LEN;
use super::recording::Observation;
use super::rosbag2::{files_with_extension, listed};
use super::run_table::RUNS;
use super::{RecordingError, SkipReason, Skipped};
use planner_tuner_core::frame::{BodyVelocity, Frame, Stamp, StampedFrame};

pub use labelled::{LabelColumn, LabelledPicture, LabelledPictures, RowFilter};
pub(super) use list::is_list;
pub(super) use table::read_table;

/// The recorder's table.
const RECORDERS_TABLE: &str = "data.csv";

/// An open folder: the table has been read, the images have not.
pub(super) struct ImageFolder {
    rows: std::vec::IntoIter<Row>,
}

/// A row of a table, or an entry of a list.
#[derive(Debug)]
struct Row {
    /// Number of the episode; a change of it starts one.
    episode: usize,
    /// The run that it belongs to, where runs have names.
    run: Option<String>,
    /// By how much the step behind the image brought the goal nearer, metres.
    progress_m: Option<f64>,
    /// When, where that can be read.
    stamp: Option<Stamp>,
    usable: Result<Usable, Skipped>,
}

/// What makes a frame.
#[derive(Debug)]
struct Usable {
    stamp: Stamp,
    velocity: BodyVelocity,
    picture: PathBuf,
    /// The pictures before it, newest first, where the table names them.
    history: Option<Vec<PathBuf>>,
}

impl Row {
    fn unreadable(episode: usize, skipped: Skipped) -> Self {
        Self { episode, run: None, progress_m: None, stamp: None, usable: Err(skipped) }
    }
}

impl ImageFolder {
    /// `table` is the CSV or JSON; without one, `frames.csv`, the recorder's `data.csv`, or else the only one there is.
    pub(super) fn open(folder: &Path, table: Option<&Path>) -> Result<Self, RecordingError> {
        let table = table_of(folder, table)?;
        let rows = read_rows(folder, &table)?;
        if rows.is_empty() {
            return Err(RecordingError::NoImages { path: folder.to_owned(), topic: table.display().to_string() });
        }
        Ok(Self { rows: rows.into_iter() })
    }

    /// Rows that are still to come.
    pub(super) fn remaining(&self) -> usize {
        self.rows.len()
    }
}

impl Iterator for ImageFolder {
    type Item = Result<Observation, Skipped>;

    fn next(&mut self) -> Option<Self::Item> {
        let Row { episode, usable, .. } = self.rows.next()?;
        Some(usable.and_then(|usable| usable.read(episode)))
    }
}

impl Usable {
    fn read(self, episode: usize) -> Result<Observation, Skipped> {
        let Self { stamp, velocity, picture, history } = self;
        let frame = StampedFrame { stamp, frame: read_picture(&picture, stamp)? };
        let history = history.map(|history| history.iter().map(|picture| read_picture(picture, stamp)).collect());
        let history = history.transpose()?;
        Ok(Observation { frame, velocity, velocity_age_s: 0.0, age_s: 0.0, episode, drawing: None, history })
    }
}

fn read_picture(path: &Path, stamp: Stamp) -> Result<Arc<Frame>, Skipped> {
    let bytes = read_bounded(path).map_err(|problem| {
        Skipped::new(SkipReason::MissingFile, Some(stamp), format!("{}: {problem}", path.display()))
    })?;
    let frame = Frame::from_image_bytes(&bytes).map_err(|error| Skipped::frame(&error, Some(stamp), path.display()))?;
    Ok(Arc::new(frame))
}

/// Why the file of a picture is not read.
#[derive(Debug, thiserror::Error)]
enum PictureError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("more than {MAX_MESSAGE_LEN} bytes, which no image is")]
    TooLong,
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, PictureError> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_MESSAGE_LEN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_MESSAGE_LEN {
        return Err(PictureError::TooLong);
    }
    Ok(bytes)
}

fn read_rows(folder: &Path, table: &Path) -> Result<Vec<Row>, RecordingError> {
    if is_list(table) { list::read_rows(folder, table) } else { table::read_rows(folder, table) }
}

/// A row of the table, without its image.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RowOutline {
    /// When.
    pub(crate) stamp: Stamp,
    /// The run that it belongs to.
    pub(crate) run: Option<String>,
    /// By how much the step brought the goal nearer, metres.
    pub(crate) progress_m: Option<f64>,
}

/// What the table says of each row whose time can be read, in its order.
pub(super) fn outline(folder: &Path, table: &Path) -> Result<Vec<RowOutline>, RecordingError> {
    let outline = |Row { stamp, run, progress_m, .. }| Some(RowOutline { stamp: stamp?, run, progress_m });
    Ok(read_rows(folder, table)?.into_iter().filter_map(outline).collect())
}

/// The table of a folder: the one that was chosen, `frames.csv`, `data.csv`, the only .csv, or else the only .json.
pub(super) fn table_of(folder: &Path, chosen: Option<&Path>) -> Result<PathBuf, RecordingError> {
    chosen.map_or_else(|| find_table(folder), |table| Ok(table.to_owned()))
}

/// The table of a folder that was given without one.
fn find_table(folder: &Path) -> Result<PathBuf, RecordingError> {
    let usual = ["frames.csv", RECORDERS_TABLE].map(|name| folder.join(name));
    if let Some(table) = usual.into_iter().find(|table| table.is_file()) {
        return Ok(table);
    }
    let mut tables = files_with_extension(folder, &["csv"])?;
    tables.retain(|table| !table.ends_with(RUNS));
    if tables.is_empty() {
        tables = files_with_extension(folder, &["json", "jsonl"])?;
    }
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
