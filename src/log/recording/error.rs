//! Why a recording cannot be opened at all. What is lost inside an open one is counted instead, see
//! [`super::SkipReason`].

use std::path::{Path, PathBuf};

use super::topic::Topic;

/// Why a recording could not be opened, or a log of decisions could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path holds no recording of a kind that is read.
    #[error(
        "{path}: {found}, expected a rosbag2 folder (metadata.yaml and .mcap or .db3 files), a single .mcap or .db3 \
         file, or a folder of images with a CSV table"
    )]
    NotARecording {
        /// The file or folder.
        path: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// metadata.yaml is damaged or asks for something that is not read.
    #[error("{path}: {problem}; repair it with `ros2 bag reindex`, or pass the .mcap or .db3 file itself")]
    Metadata {
        /// The metadata.yaml.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// metadata.yaml promises a file that is not there.
    #[error("{metadata} names the file '{missing}', which does not exist; the folder holds {found}")]
    MissingFile {
        /// The metadata.yaml.
        metadata: PathBuf,
        /// The file that it names.
        missing: String,
        /// The recordings that are there.
        found: String,
    },
    /// A bag file that cannot be read from the start.
    #[error("{path}: {problem}")]
    Unreadable {
        /// The .mcap or .db3 file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// No topic of a type that is read, or several without a choice, or the chosen one is absent or of another type.
    #[error("{path}: {problem}; {remedy}. Topics in the recording: {topics}")]
    Topic {
        /// The recording.
        path: PathBuf,
        /// What is wrong: the topic, the type expected, the type found.
        problem: String,
        /// What to do about it.
        remedy: String,
        /// All topics with their types.
        topics: String,
    },
    /// The chosen image topic, or the table, holds nothing.
    #[error(
        "{path}: no images on {topic}: there is nothing to decide on; check that the recorder ran while images came"
    )]
    NoImages {
        /// The recording.
        path: PathBuf,
        /// The topic or the table.
        topic: String,
    },
    /// Pictures cannot be drawn from this kind of recording.
    #[error(
        "{path}: {found} cannot be drawn from, expected a bag with laser scans and odometry; leave --image-source at topic"
    )]
    NothingToDrawFrom {
        /// The recording.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// A topic was chosen of a folder of images, which has none.
    #[error(
        "{path} is a folder of images with a table and has no topics, so that {option} {topic} chooses nothing there; leave \
         it out (--table chooses among tables)"
    )]
    NoTopics {
        /// The recording.
        path: PathBuf,
        /// The option that was given.
        option: &'static str,
        /// The topic.
        topic: String,
    },
    /// A table was chosen for a bag, which has its own velocities.
    #[error("{path} is a bag, whose velocities come from its odometry; leave out --table {table}")]
    NoTable {
        /// The recording.
        path: PathBuf,
        /// The table.
        table: PathBuf,
    },
    /// The CSV table of an image folder is missing, ambiguous, or lacks columns.
    #[error("{path}: {problem}")]
    Table {
        /// The table or the folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A log of decisions could not be written.
    #[error("{path}: the log of decisions cannot be written: {problem}")]
    Write {
        /// The MCAP file.
        path: PathBuf,
        /// What went wrong.
        problem: String,
    },
}

impl RecordingError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }

    pub(super) fn unreadable(path: &Path, problem: impl Into<String>) -> Self {
        Self::Unreadable { path: path.to_owned(), problem: problem.into() }
    }

    pub(super) fn table(path: &Path, problem: impl Into<String>) -> Self {
        Self::Table { path: path.to_owned(), problem: problem.into() }
    }

    pub(super) fn topic(path: &Path, problem: String, remedy: impl Into<String>, topics: &[Topic]) -> Self {
        let listed: Vec<_> = topics.iter().map(|topic| format!("{} ({})", topic.name, topic.type_name)).collect();
        let topics = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
        Self::Topic { path: path.to_owned(), problem, remedy: remedy.into(), topics }
    }
}
