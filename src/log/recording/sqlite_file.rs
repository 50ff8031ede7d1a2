//! Reading a rosbag2 SQLite file (.db3) without writing anything beside it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tempfile::NamedTempFile;

use super::bag_file::{BagFile, FoundMessage, MAX_MESSAGE_LEN, PayloadError, Place, Scan};
use super::sqlite_journal::{Folded, Journal};
use super::topic::{Topic, TopicKind};
use super::{RecordingError, SkipReason, Skipped, scratch};
use planner_tuner_core::frame::Stamp;

/// A .db3 file.
pub(super) struct SqliteFile {
    path: PathBuf,
    connection: Connection,
    /// What is missing at the end of the file.
    cut: Option<String>,
    /// What lies beside the file and could not be folded in.
    lost_journal: Option<Skipped>,
    /// The whole pages of a file that ends inside a page; removed with this value.
    _whole_pages: Option<NamedTempFile>,
    /// The file with its journal.
    _folded: Option<Folded>,
}

impl SqliteFile {
    pub(super) fn open(path: PathBuf) -> Result<Self, RecordingError> {
        let refuse = |error: rusqlite::Error| RecordingError::unreadable(&path, format!("SQLite says: {error}"));
        let (folded, lost_journal) = with_journal(&path);
        let source = folded.as_ref().map_or(path.as_path(), Folded::path);
        let extent = FileExtent::of(source)?;
        // SQLite reads what is missing of a page as zeros, which would pass for pixels.
        let whole_pages = extent.ends_inside_a_page().then(|| extent.copy_whole_pages(source)).transpose()?;
        let source = whole_pages.as_ref().map_or(source, NamedTempFile::path);
        let source = std::path::absolute(source).map_err(RecordingError::io(&path))?;
        // `immutable` keeps SQLite from creating lock and shared-memory files in a folder that is not ours.
        let uri = format!("file:{}?immutable=1", percent_encoded(&source));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri, flags).map_err(refuse)?;
        // Lets a file that was cut off be read up to the cut; without it SQLite refuses the whole file.
        connection.pragma_update(None, "writable_schema", true).map_err(refuse)?;
        // The file is not trusted: no functions from its schema, and cells are checked before they are read.
        connection.pragma_update(None, "trusted_schema", false).map_err(refuse)?;
        connection.pragma_update(None, "cell_size_check", true).map_err(refuse)?;
        let cut = extent.cut();
        Ok(Self { path, connection, cut, lost_journal, _whole_pages: whole_pages, _folded: folded })
    }

    fn topics(&self) -> rusqlite::Result<Vec<(i64, Topic)>> {
        let mut statement =
            self.connection.prepare("SELECT id, name, type, serialization_format FROM topics ORDER BY id")?;
        let rows =
            statement.query_map([], |row| Ok((row.get(0)?, Topic::recorded(row.get(1)?, row.get(2)?, row.get(3)?))))?;
        rows.collect()
    }

    /// Walks the message table in the order of its pages, since an index may lie behind a cut.
    fn messages_of(
        &self,
        topic_id: i64,
        kind: TopicKind,
        visit: &mut dyn FnMut(TopicKind, FoundMessage),
    ) -> rusqlite::Result<()> {
        // The others stay where they are; what claims to be an odometry message of over a megabyte reads as an empty one.
        let data = match kind {
            TopicKind::Odometry => "CASE WHEN length(data) <= 1048576 THEN CAST(data AS BLOB) ELSE x'' END",
            _ => "NULL",
        };
        let sql = format!("SELECT id, timestamp, {data} FROM messages NOT INDEXED WHERE topic_id = ?1 ORDER BY id");
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([topic_id])?;
        while let Some(row) = rows.next()? {
            let place = Place { major: row.get(0)?, minor: 0 };
            visit(kind, FoundMessage { log_time: Stamp::from_nanos(row.get(1)?), place, payload: row.get(2)? });
        }
        Ok(())
    }
}

/// What SQLite keeps beside the file, folded into a copy of it; or what is lost where that fails.
fn with_journal(path: &Path) -> (Option<Folded>, Option<Skipped>) {
    let Some(journal) = Journal::of(path) else { return (None, None) };
    match journal.fold_into(path) {
        Ok(folded) => {
            log::info!("{}: what the recorder had not written into it yet is read, too", path.display());
            (Some(folded), None)
        }
        Err(problem) => (None, Some(Skipped::new(SkipReason::DamagedFile, None, journal.loss(path, &problem)))),
    }
}

impl BagFile for SqliteFile {
    fn scan(&mut self, visit: &mut dyn FnMut(&Topic, TopicKind, FoundMessage)) -> Result<Scan, RecordingError> {
        let topics = self.topics().map_err(|error| {
            RecordingError::unreadable(&self.path, format!("the table of topics cannot be read: {error}"))
        })?;
        let mut damage = Vec::from_iter(self.lost_journal.clone());
        // All topics share one table: where it breaks off, it breaks off for each of them.
        let mut breaks_off = self.cut.clone();
        for (id, topic) in &topics {
            let Some(kind) = topic.kind() else { continue };
            if let Err(error) = self.messages_of(*id, kind, &mut |kind, found| visit(topic, kind, found)) {
                breaks_off.get_or_insert_with(|| format!("SQLite says: {error}"));
            }
        }
        if let Some(problem) = breaks_off {
            let message = format!("{}: the recording ends early: {problem}", self.path.display());
            damage.push(Skipped::new(SkipReason::DamagedFile, None, message));
        }
        Ok(Scan { topics: topics.into_iter().map(|(_, topic)| topic).collect(), damage })
    }

    fn messages(
        &mut self,
        wanted: &dyn Fn(&Topic) -> bool,
        visit: &mut dyn FnMut(&Topic, Stamp, &[u8]),
    ) -> Result<(), RecordingError> {
        let refuse = |error: rusqlite::Error| {
            RecordingError::unreadable(&self.path, format!("the table of topics cannot be read: {error}"))
        };
        for (id, topic) in self.topics().map_err(refuse)?.iter().filter(|(_, topic)| wanted(topic)) {
            let mut read = || -> rusqlite::Result<()> {
                let mut statement = self.connection.prepare(
                    "SELECT timestamp, CASE WHEN length(data) <= ?2 THEN CAST(data AS BLOB) ELSE x'' END \
                     FROM messages NOT INDEXED WHERE topic_id = ?1 ORDER BY id",
                )?;
                let mut rows = statement.query([*id, MAX_MESSAGE_LEN as i64])?;
                while let Some(row) = rows.next()? {
                    let payload: Vec<u8> = row.get(1)?;
                    visit(topic, Stamp::from_nanos(row.get(0)?), &payload);
                }
                Ok(())
            };
            if let Err(error) = read() {
                log::debug!("{}: {} breaks off: {error}", self.path.display(), topic.name);
            }
        }
        Ok(())
    }

    fn payload(&mut self, place: Place) -> Result<Vec<u8>, PayloadError> {
        let read = || -> rusqlite::Result<(i64, Option<Vec<u8>>)> {
            let mut statement = self.connection.prepare_cached(
                "SELECT length(data), CASE WHEN length(data) <= ?2 THEN CAST(data AS BLOB) END FROM messages WHERE id = ?1",
            )?;
            statement.query_row([place.major, MAX_MESSAGE_LEN as i64], |row| Ok((row.get(0)?, row.get(1)?)))
        };
        let (length, payload) = read()?;
        payload.ok_or(PayloadError::TooLong { length })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// How long a file is, and how long its header says it is (<https://www.sqlite.org/fileformat2.html>, section 1.3).
#[derive(Debug, Clone, Copy)]
struct FileExtent {
    length: u64,
    claimed_length: u64,
    page_size: u64,
}

impl FileExtent {
    fn of(path: &Path) -> Result<Self, RecordingError> {
        let file = File::open(path).map_err(RecordingError::io(path))?;
        let length = file.metadata().map_err(RecordingError::io(path))?.len();
        let mut header = Vec::with_capacity(100);
        file.take(100).read_to_end(&mut header).map_err(RecordingError::io(path))?;
        let field = |offset: usize| header.get(offset..)?.first_chunk().copied().map(u32::from_be_bytes);
        // The page size is the upper half of its four bytes, 1 stands for 65536.
        let page_size = match field(16).map(|bytes| bytes >> 16) {
            Some(1) => 65_536,
            Some(size) if size.is_power_of_two() && size >= 512 => u64::from(size),
            _ => return Err(RecordingError::unreadable(path, "its SQLite header is cut short or damaged")),
        };
        // The page count is only kept by writers that also keep the change counter at 92.
        let claimed_pages = field(28).filter(|_| field(24) == field(92)).unwrap_or_default();
        Ok(Self { length, claimed_length: u64::from(claimed_pages) * page_size, page_size })
    }

    fn ends_inside_a_page(self) -> bool {
        !self.length.is_multiple_of(self.page_size)
    }

    fn cut(self) -> Option<String> {
        let Self { length, claimed_length, .. } = self;
        let cut = length < claimed_length || self.ends_inside_a_page();
        cut.then(|| format!("the file has {length} bytes, its header promises {claimed_length}"))
    }

    fn copy_whole_pages(self, path: &Path) -> Result<NamedTempFile, RecordingError> {
        let whole = self.length - self.length % self.page_size;
        let copy = || -> std::io::Result<NamedTempFile> {
            let mut copy = NamedTempFile::new()?;
            let mut pages = File::open(path)?.take(whole);
            let copied = scratch::copy(&mut pages, copy.as_file_mut(), &std::env::temp_dir());
            copied.map_err(std::io::Error::other)?;
            Ok(copy)
        };
        copy().map_err(|error| {
            let problem = format!(
                "the file ends inside a page, and its {whole} bytes of whole pages cannot be copied to {}: {error}",
                std::env::temp_dir().display()
            );
            RecordingError::unreadable(path, problem)
        })
    }
}

/// For the path part of a `file:` URI.
fn percent_encoded(path: &Path) -> String {
    let mut encoded = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
