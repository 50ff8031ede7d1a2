//! What the two storages of rosbag2 have in common.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::compression::{self, CompressionError, Decompressed};
use super::mcap_damage::McapDamage;
use super::mcap_file::McapFile;
use super::sqlite_file::SqliteFile;
use super::topic::{Topic, TopicKind};
use super::{RecordingError, SkipReason, Skipped};
use planner_tuner_core::frame::Stamp;

/// Largest message that is read, bytes: 16 million RGBA pixels. What claims to be larger is taken for damage.
pub(super) const MAX_MESSAGE_LEN: u64 = 64 << 20;

/// One file of a recording.
pub(super) trait BagFile {
    /// Goes through the file once and hands over every message of the kinds that are read, in any order.
    ///
    /// Damage does not end the scan where the file allows to go on behind it; it is listed in the result.
    fn scan(&mut self, visit: &mut dyn FnMut(&Topic, TopicKind, FoundMessage)) -> Result<Scan, RecordingError>;

    /// Goes through the file once more and hands over whole messages of the wanted topics with the time they were
    /// recorded, in any order. What cannot be read is passed over: a scan has counted it.
    fn messages(
        &mut self,
        wanted: &dyn Fn(&Topic) -> bool,
        visit: &mut dyn FnMut(&Topic, Stamp, &[u8]),
    ) -> Result<(), RecordingError>;

    /// The payload of a message that [`Self::scan`] found. Cheapest when asked in the order of the places.
    fn payload(&mut self, place: Place) -> Result<Vec<u8>, PayloadError>;

    /// The file.
    fn path(&self) -> &Path;
}

/// What a scan learns about a file as a whole.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// All topics, of whatever type.
    pub(crate) topics: Vec<Topic>,
    /// Stretches that could not be read.
    pub(crate) damage: Vec<Skipped>,
}

/// A message of a kind that is read.
#[derive(Debug)]
pub(super) struct FoundMessage {
    /// When it was recorded.
    pub(crate) log_time: Stamp,
    /// Where to find it again.
    pub(crate) place: Place,
    /// Its bytes, for odometry only: all else stays in the file until its turn.
    pub(crate) payload: Option<Vec<u8>>,
}

/// Why the payload of a message that was found before cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum PayloadError {
    #[error(transparent)]
    Mcap(#[from] McapDamage),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("a message of {length} bytes, at most {MAX_MESSAGE_LEN} are read")]
    TooLong { length: i64 },
    #[error(transparent)]
    Compression(#[from] CompressionError),
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
        Ok(Self::of_bytes(&first_bytes(path)?))
    }

    fn of_bytes(magic: &[u8]) -> Option<Self> {
        if magic.starts_with(mcap::MAGIC) {
            Some(Self::Mcap)
        } else if magic == b"SQLite format 3\0" {
            Some(Self::Sqlite)
        } else {
            None
        }
    }

    /// Its name in metadata.yaml.
    pub(super) fn identifier(self) -> &'static str {
        match self {
            Self::Mcap => "mcap",
            Self::Sqlite => "sqlite3",
        }
    }
}

/// Opens a bag file as what its first bytes say it is; one that is compressed as a whole is decompressed first.
pub(super) fn open(path: PathBuf) -> Result<Box<dyn BagFile>, RecordingError> {
    let length = path.metadata().map_err(RecordingError::io(&path))?.len();
    if length == 0 {
        return Err(RecordingError::unreadable(&path, "the file is empty (0 bytes); nothing of it can be recovered"));
    }
    let mut magic = first_bytes(&path)?;
    let decompressed = compression::is_zstd(&magic).then(|| Decompressed::of(&path)).transpose()?;
    let mut source = path.clone();
    if let Some(decompressed) = &decompressed {
        source = decompressed.path().to_owned();
        magic = first_bytes(&source)?;
    }
    let file: Box<dyn BagFile> = match Storage::of_bytes(&magic) {
        Some(Storage::Mcap) => Box::new(McapFile::open(source)?),
        Some(Storage::Sqlite) => Box::new(SqliteFile::open(source)?),
        None => return Err(no_bag(&path, length, &magic)),
    };
    Ok(Box::new(UnpackedFile { path, file, decompressed }))
}

/// Refuses a recording where something else is expected: it says what it is, and what reads it.
///
/// # Errors
/// [`RecordingError`] for a recording, and for a file that cannot be read.
pub fn refuse_recording(path: &Path) -> Result<(), RecordingError> {
    if !path.is_file() {
        return Ok(());
    }
    let magic = first_bytes(path)?;
    match Storage::of_bytes(&magic) {
        _ if magic.starts_with(ROS1_MAGIC) => Err(ros1_bag(path)),
        Some(storage) => {
            let problem = format!(
                "it is a recording ({}), expected a checkpoint; `planner_tuner replay` reads recordings",
                storage.identifier()
            );
            Err(RecordingError::unreadable(path, problem))
        }
        None => Ok(()),
    }
}

/// Whether the file is a ROS 1 recording.
pub(super) fn is_ros1_bag(path: &Path) -> bool {
    first_bytes(path).is_ok_and(|magic| magic.starts_with(ROS1_MAGIC))
}

/// What a ROS 1 recording begins with, version 2.0 or any other.
const ROS1_MAGIC: &[u8] = b"#ROSBAG V";

/// Refuses a ROS 1 recording, and says how it is converted.
pub(super) fn ros1_bag(path: &Path) -> RecordingError {
    let file = path.file_name().unwrap_or_default().display();
    let folder = path.file_stem().unwrap_or_default().display();
    let problem = format!(
        "it is a ROS 1 bag (its first bytes are '#ROSBAG V'), expected a ROS 2 recording (MCAP or SQLite); convert it with \
         `pip install rosbags` and `rosbags-convert --src {file} --dst {folder}/`, then pass the folder {folder}/"
    );
    RecordingError::unreadable(path, problem)
}

/// Why a file is no bag, by its first bytes.
fn no_bag(path: &Path, length: u64, magic: &[u8]) -> RecordingError {
    let file = path.file_name().unwrap_or_default().display();
    let (kind, remedy) = match magic {
        _ if magic.starts_with(ROS1_MAGIC) => return ros1_bag(path),
        [0x04, 0x22, 0x4D, 0x18, ..] => ("compressed with LZ4", format!("decompress it with `lz4 -d {file}`")),
        [0x1F, 0x8B, ..] => ("compressed with gzip", format!("decompress it with `gunzip {file}`")),
        [0xFD, b'7', b'z', b'X', b'Z', ..] => ("compressed with xz", format!("decompress it with `unxz {file}`")),
        [b'B', b'Z', b'h', ..] => ("compressed with bzip2", format!("decompress it with `bunzip2 {file}`")),
        [b'P', b'K', 3, 4, ..] => ("a ZIP archive", format!("unpack it with `unzip {file}`")),
        [b'v', b'e', b'r', b's', b'i', b'o', b'n', b' ', b'h', ..] => {
            ("a Git LFS pointer and not the recording", "fetch the recording with `git lfs pull`".to_owned())
        }
        _ => {
            let problem = format!(
                "the first bytes of its {length} are those of neither MCAP nor SQLite; pass a rosbag2 folder, or a .mcap or \
                 .db3 file, compressed with zstd or not"
            );
            return RecordingError::unreadable(path, problem);
        }
    };
    RecordingError::unreadable(path, format!("the file is {kind}, expected MCAP or SQLite; {remedy}"))
}

fn first_bytes(path: &Path) -> Result<Vec<u8>, RecordingError> {
    let mut magic = Vec::with_capacity(16);
    let file = File::open(path).map_err(RecordingError::io(path))?;
    file.take(16).read_to_end(&mut magic).map_err(RecordingError::io(path))?;
    Ok(magic)
}

/// A bag file without rosbag2's own compression: that of the file, and that of its messages.
struct UnpackedFile {
    path: PathBuf,
    file: Box<dyn BagFile>,
    decompressed: Option<Decompressed>,
}

impl BagFile for UnpackedFile {
    fn scan(&mut self, visit: &mut dyn FnMut(&Topic, TopicKind, FoundMessage)) -> Result<Scan, RecordingError> {
        let mut scan = self.file.scan(&mut |topic, kind, mut found| {
            // One that does not decompress stays as it is: its reader says so.
            if let Some(packed) = found.payload.take_if(|payload| compression::is_zstd(payload)) {
                found.payload = Some(compression::message(packed.clone()).unwrap_or(packed));
            }
            visit(topic, kind, found);
        })?;
        let cut = self.decompressed.as_ref().and_then(Decompressed::cut);
        scan.damage.extend(cut.map(|cut| Skipped::new(SkipReason::DamagedFile, None, cut)));
        Ok(scan)
    }

    fn messages(
        &mut self,
        wanted: &dyn Fn(&Topic) -> bool,
        visit: &mut dyn FnMut(&Topic, Stamp, &[u8]),
    ) -> Result<(), RecordingError> {
        self.file.messages(wanted, &mut |topic, log_time, payload| {
            if !compression::is_zstd(payload) {
                visit(topic, log_time, payload);
            } else if let Ok(payload) = compression::message(payload.to_vec()) {
                visit(topic, log_time, &payload);
            }
        })
    }

    fn payload(&mut self, place: Place) -> Result<Vec<u8>, PayloadError> {
        Ok(compression::message(self.file.payload(place)?)?)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}
