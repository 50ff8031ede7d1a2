//! What SQLite keeps beside a file while it is written: a recorder that is stopped hard leaves it there.
//!
//! A write-ahead log (`-wal`) holds messages that are not in the file yet, a rollback journal (`-journal`) what the file
//! held before the transaction that was cut short. SQLite folds either in, in a copy: the recording is not ours.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::scratch::{self, CopyError};

/// A journal beside a file.
pub(super) struct Journal {
    path: PathBuf,
    suffix: &'static str,
    length: u64,
}

/// Why a journal cannot be folded in.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    #[error("it does not begin as a journal does")]
    NotAJournal,
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error("SQLite says: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// The file with its journal folded in; removed with this value.
pub(super) struct Folded {
    _folder: TempDir,
    path: PathBuf,
}

impl Folded {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Journal {
    /// The journal of a .db3 file, if there is one that holds anything.
    pub(super) fn of(path: &Path) -> Option<Self> {
        ["-wal", "-journal"].into_iter().find_map(|suffix| {
            let journal = beside(path, suffix);
            let length = journal.metadata().ok()?.len();
            (length > 0 && !is_blank(&journal)).then_some(Self { path: journal, suffix, length })
        })
    }

    /// Copies file and journal, and has SQLite fold them together.
    pub(super) fn fold_into(&self, path: &Path) -> Result<Folded, JournalError> {
        let magic = first_bytes::<8>(&self.path)?;
        let is_sound = match self.suffix {
            "-wal" => magic.starts_with(&[0x37, 0x7F, 0x06]),
            _ => magic == [0xD9, 0xD5, 0x05, 0xF9, 0x20, 0xA1, 0x63, 0xD7],
        };
        if !is_sound {
            return Err(JournalError::NotAJournal);
        }
        let folder = tempfile::Builder::new().prefix("planner_tuner.").tempdir()?;
        let copy = folder.path().join(path.file_name().unwrap_or_default());
        for (from, to) in [(path, copy.clone()), (&self.path, beside(&copy, self.suffix))] {
            let mut writer = File::create(&to)?;
            let mut reader = File::open(from)?;
            scratch::copy(&mut reader, &mut writer, folder.path())?;
        }
        let fold = || -> rusqlite::Result<()> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&copy, flags)?;
            connection.pragma_update(None, "trusted_schema", false)?;
            // Reading the schema has a journal rolled back, a log is written into the file.
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        };
        fold()?;
        Ok(Folded { _folder: folder, path: copy })
    }

    /// What is lost when the file is read without it.
    pub(super) fn loss(&self, path: &Path, problem: &JournalError) -> String {
        format!(
            "{}: {} bytes have not been folded into the .db3 file (the recorder was stopped hard) and are not read: \
             {problem}; on a copy of the folder, run `sqlite3 {} 'PRAGMA wal_checkpoint'`",
            self.path.display(),
            self.length,
            path.file_name().unwrap_or_default().display(),
        )
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = path.to_owned().into_os_string();
    beside.push(suffix);
    PathBuf::from(beside)
}

/// A journal whose header was overwritten with zeros belongs to a transaction that ended.
fn is_blank(journal: &Path) -> bool {
    first_bytes::<8>(journal).is_ok_and(|bytes| bytes == [0; 8])
}

fn first_bytes<const N: usize>(path: &Path) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open(path)?.read_exact(&mut bytes)?;
    Ok(bytes)
}
