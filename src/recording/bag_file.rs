//! What the two storages of rosbag2 have in common.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::mcap_file::McapFile;
use super::sqlite_file::SqliteFile;
use super::topic::{Topic, TopicKind};
use super::{RecordingError, Skipped};
use crate::frame::Stamp;

/// Largest message that is read, bytes: 16 million RGBA pixels. What claims to be larger is taken for damage.
pub(super) const MAX_MESSAGE_LEN: u64 = 64 << 20;

/// One file of a recording.
pub(super) trait BagFile {
    /// Goes through the file once and hands over every message of the kinds that are read, in any order.
    ///
    /// Damage does not end the scan where the file allows to go on behind it; it is listed in the result.
    fn scan(&mut self, visit: &mut dyn FnMut(&Topic, TopicKind, FoundMessage)) -> Result<Scan, RecordingError>;

    /// The payload of a message that [`Self::scan`] found. Cheapest when asked in the order of the places.
    fn payload(&mut self, place: Place) -> Result<Vec<u8>, String>;

    /// The file.
    fn path(&self) -> &Path;
}

/// What a scan learns about a file as a whole.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// All topics, of whatever type.
    pub(super) topics: Vec<Topic>,
    /// Stretches that could not be read.
    pub(super) damage: Vec<Skipped>,
}

/// A message of a kind that is read.
#[derive(Debug)]
pub(super) struct FoundMessage {
    /// When it was recorded.
    pub(super) log_time: Stamp,
    /// Where to find it again.
    pub(super) place: Place,
    /// Its bytes, for odometry only: images stay in the file until their turn.
    pub(super) payload: Option<Vec<u8>>,
}

/// Where a message lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// MCAP: byte offset of the chunk or message record. SQLite: row id.
    pub(crate) major: i64,
    /// MCAP: how many messages of the chunk come before it. SQLite: zero.
    pub(crate) minor: u32,
}

/// The storages that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    Mcap,
    Sqlite,
}

impl Storage {
    /// What the first bytes of a file say, or `None`.
    pub(super) fn of(path: &Path) -> Result<Option<Self>, RecordingError> {
        let mut magic = Vec::with_capacity(16);
        let file = File::open(path).map_err(RecordingError::io(path))?;
        file.take(16).read_to_end(&mut magic).map_err(RecordingError::io(path))?;
        Ok(if magic.starts_with(mcap::MAGIC) {
            Some(Self::Mcap)
        } else if magic == b"SQLite format 3\0" {
            Some(Self::Sqlite)
        } else {
            None
        })
    }

    /// Its name in metadata.yaml.
    pub(super) fn identifier(self) -> &'static str {
        match self {
            Self::Mcap => "mcap",
            Self::Sqlite => "sqlite3",
        }
    }
}

/// Opens a bag file as what its first bytes say it is.
pub(super) fn open(path: PathBuf) -> Result<Box<dyn BagFile>, RecordingError> {
    let length = path.metadata().map_err(RecordingError::io(&path))?.len();
    if length == 0 {
        return Err(RecordingError::unreadable(&path, "the file is empty (0 bytes); nothing of it can be recovered"));
    }
    match Storage::of(&path)? {
        Some(Storage::Mcap) => Ok(Box::new(McapFile::open(path)?)),
        Some(Storage::Sqlite) => Ok(Box::new(SqliteFile::open(path)?)),
        None => Err(RecordingError::unreadable(
            &path,
            format!(
                "the first bytes of its {length} are those of neither MCAP nor SQLite; a file-level compressed bag \
                 must be decompressed first (`ros2 bag convert`)"
            ),
        )),
    }
}
