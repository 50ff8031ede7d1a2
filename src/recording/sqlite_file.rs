//! Reading a rosbag2 SQLite file (.db3) without writing anything beside it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::bag_file::{BagFile, FoundMessage, MAX_MESSAGE_LEN, Place, Scan};
use super::topic::{Topic, TopicKind};
use super::{RecordingError, SkipReason, Skipped};
use crate::frame::Stamp;

/// A .db3 file.
pub(super) struct SqliteFile {
    path: PathBuf,
    connection: Connection,
}

impl SqliteFile {
    pub(super) fn open(path: PathBuf) -> Result<Self, RecordingError> {
        let refuse = |error: rusqlite::Error| RecordingError::unreadable(&path, format!("SQLite says: {error}"));
        // `immutable` keeps SQLite from creating lock and shared-memory files in a folder that is not ours.
        let uri = format!(
            "file:{}?immutable=1",
            percent_encoded(&std::path::absolute(&path).map_err(RecordingError::io(&path))?)
        );
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri, flags).map_err(refuse)?;
        // Lets a file that was cut off be read up to the cut; without it SQLite refuses the whole file.
        connection.pragma_update(None, "writable_schema", true).map_err(refuse)?;
        // The file is not trusted: no functions from its schema, and cells are checked before they are read.
        connection.pragma_update(None, "trusted_schema", false).map_err(refuse)?;
        connection.pragma_update(None, "cell_size_check", true).map_err(refuse)?;
        Ok(Self { path, connection })
    }

    fn topics(&self) -> rusqlite::Result<Vec<(i64, Topic)>> {
        let mut statement =
            self.connection.prepare("SELECT id, name, type, serialization_format FROM topics ORDER BY id")?;
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, Topic { name: row.get(1)?, type_name: row.get(2)?, encoding: row.get(3)? }))
        })?;
        rows.collect()
    }

    /// Walks the message table in the order of its pages, since an index may lie behind a cut.
    fn messages_of(
        &self,
        topic_id: i64,
        kind: TopicKind,
        visit: &mut dyn FnMut(TopicKind, FoundMessage),
    ) -> rusqlite::Result<()> {
        // Images stay where they are; what claims to be an odometry message of over a megabyte reads as an empty one.
        let data = match kind {
            TopicKind::Odometry => "CASE WHEN length(data) <= 1048576 THEN CAST(data AS BLOB) ELSE x'' END",
            TopicKind::Image | TopicKind::CompressedImage => "NULL",
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

    /// Data that SQLite keeps beside the file until it is folded in, which this reader does not do.
    fn pending_journal(&self) -> Option<Skipped> {
        ["-wal", "-journal"].into_iter().find_map(|suffix| {
            let mut journal = self.path.clone().into_os_string();
            journal.push(suffix);
            let journal = PathBuf::from(journal);
            let length = journal.metadata().ok()?.len();
            let message = format!(
                "{}: {length} bytes have not been folded into the .db3 file (the recorder was stopped hard) and are not \
                 read; run `sqlite3 {} 'PRAGMA wal_checkpoint'`",
                journal.display(),
                self.path.display(),
            );
            (length > 0).then(|| Skipped::new(SkipReason::DamagedFile, None, message))
        })
    }
}

impl BagFile for SqliteFile {
    fn scan(&mut self, visit: &mut dyn FnMut(&Topic, TopicKind, FoundMessage)) -> Result<Scan, RecordingError> {
        let topics = self.topics().map_err(|error| {
            RecordingError::unreadable(&self.path, format!("the table of topics cannot be read: {error}"))
        })?;
        let mut damage = Vec::from_iter(self.pending_journal());
        // All topics share one table: where it breaks off, it breaks off for each of them.
        let mut breaks_off = None;
        for (id, topic) in &topics {
            let Some(kind) = topic.kind() else { continue };
            if let Err(error) = self.messages_of(*id, kind, &mut |kind, found| visit(topic, kind, found)) {
                breaks_off.get_or_insert(error);
            }
        }
        if let Some(error) = breaks_off {
            let message = format!("{}: the recording ends early: SQLite says: {error}", self.path.display());
            damage.push(Skipped::new(SkipReason::DamagedFile, None, message));
        }
        Ok(Scan { topics: topics.into_iter().map(|(_, topic)| topic).collect(), damage })
    }

    fn payload(&mut self, place: Place) -> Result<Vec<u8>, String> {
        let read = || -> rusqlite::Result<(i64, Option<Vec<u8>>)> {
            let mut statement = self.connection.prepare_cached(
                "SELECT length(data), CASE WHEN length(data) <= ?2 THEN CAST(data AS BLOB) END FROM messages WHERE id = ?1",
            )?;
            statement.query_row([place.major, MAX_MESSAGE_LEN as i64], |row| Ok((row.get(0)?, row.get(1)?)))
        };
        let (length, payload) = read().map_err(|error| error.to_string())?;
        payload.ok_or_else(|| format!("a message of {length} bytes, at most {MAX_MESSAGE_LEN} are read"))
    }

    fn path(&self) -> &Path {
        &self.path
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
