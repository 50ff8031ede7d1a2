//! Reading an MCAP file front to back, without its index, so that one that was cut off or has no footer reads too.
//!
//! The file's records are walked by their lengths, which are checked against the length of the file; each chunk is
//! then decompressed by a reader of its own. A damaged chunk is dropped as a whole and the next one read; of the one
//! that the file ends in, the messages before the end are used.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use mcap::records::op;

use super::bag_file::{BagFile, FoundMessage, MAX_MESSAGE_LEN, Place, Scan};
use super::mcap_chunk::ChunkReader;
use super::mcap_record::{ChannelRecord, ChunkHeader, MessageRecord, RECORD_HEADER_LEN, SchemaRecord};
use super::topic::{Topic, TopicKind};
use super::{RecordingError, SkipReason, Skipped};
use crate::frame::Stamp;

/// An MCAP file.
pub(super) struct McapFile {
    path: PathBuf,
    file: File,
    length: u64,
    /// The chunk that the last payload came from: the next one is likely to lie behind it.
    cursor: Option<ChunkReader>,
}

/// A record at the top level of the file.
#[derive(Debug, Clone, Copy)]
struct Extent {
    opcode: u8,
    offset: u64,
    /// Where its content ends, or the end of the file if that comes first.
    end: u64,
    /// Where its content would end if the file went on.
    claimed_end: u64,
}

impl Extent {
    fn is_complete(&self) -> bool {
        self.end == self.claimed_end
    }
}

impl McapFile {
    pub(super) fn open(path: PathBuf) -> Result<Self, RecordingError> {
        let file = File::open(&path).map_err(RecordingError::io(&path))?;
        let length = file.metadata().map_err(RecordingError::io(&path))?.len();
        Ok(Self { path, file, length, cursor: None })
    }

    /// The record at `offset`; `None` at the end of the file.
    fn extent(&mut self, offset: u64) -> std::io::Result<Option<Extent>> {
        let header = self.read_at(offset, RECORD_HEADER_LEN)?;
        let Some((&[opcode], length)) = header.split_first_chunk() else { return Ok(None) };
        let Some(&length) = length.first_chunk() else { return Ok(None) };
        let end = (offset + RECORD_HEADER_LEN).saturating_add(u64::from_le_bytes(length));
        Ok(Some(Extent { opcode, offset, end: end.min(self.length), claimed_end: end }))
    }

    /// Up to `count` bytes from `offset`, fewer at the end of the file.
    fn read_at(&mut self, offset: u64, count: u64) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.by_ref().take(count).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The content of a record that is not a chunk.
    fn content(&mut self, extent: Extent) -> Result<Vec<u8>, String> {
        let start = extent.offset + RECORD_HEADER_LEN;
        let length = extent.end - start;
        if length > MAX_MESSAGE_LEN {
            return Err(format!("a record of {length} bytes, at most {MAX_MESSAGE_LEN} are read"));
        }
        self.read_at(start, length).map_err(|error| error.to_string())
    }

    /// Lists the chunks and loose messages, and reads the channels that lie outside of chunks.
    fn walk(&mut self, channels: &mut Channels, damage: &mut Vec<Skipped>) -> Result<Vec<Extent>, RecordingError> {
        let mut extents = Vec::new();
        let mut offset = mcap::MAGIC.len() as u64;
        let mut data_ended = false;
        while let Some(extent) = self.extent(offset).map_err(RecordingError::io(&self.path))? {
            match extent.opcode {
                op::CHUNK => extents.push(extent),
                op::MESSAGE if extent.is_complete() => extents.push(extent),
                op::SCHEMA | op::CHANNEL if extent.is_complete() => match self.content(extent) {
                    Ok(content) => channels.learn(extent.opcode, &content),
                    Err(problem) => damage.push(self.damage(offset, problem)),
                },
                op::DATA_END => data_ended = true,
                op::FOOTER => break,
                0 => {
                    damage.push(self.damage(offset, "no record begins here, the rest of the file is not read"));
                    return Ok(extents);
                }
                _ => {}
            }
            if !extent.is_complete() {
                break;
            }
            offset = extent.end;
        }
        // What follows the end of the data is an index; a file that lacks it has lost nothing.
        if !data_ended {
            let at = extents.last().map_or(offset, |extent| extent.offset);
            damage
                .push(self.damage(at, format!("the recording ends early: the file stops after {} bytes", self.length)));
        }
        Ok(extents)
    }

    /// The messages of one chunk or loose record, and what was wrong with it.
    fn messages_of(&mut self, extent: Extent, channels: &mut Channels) -> (Vec<Message>, Result<(), String>) {
        let mut found = Vec::new();
        if extent.opcode == op::MESSAGE {
            let result = self.content(extent).map(|content| found.extend(channels.message(&content, extent, 0)));
            return (found, result);
        }
        let mut chunk = match self.open_chunk(extent) {
            Ok(chunk) => chunk,
            Err(problem) if extent.is_complete() => return (found, Err(problem)),
            Err(_) => return (found, Ok(())),
        };
        loop {
            let record = chunk.next_record(&mut self.file, |opcode, ordinal, content| match opcode {
                op::MESSAGE => found.extend(channels.message(content, extent, ordinal)),
                _ => channels.learn(opcode, content),
            });
            match record {
                Ok(Some(())) => {}
                Ok(None) => return (found, Ok(())),
                Err(_) if !extent.is_complete() => return (found, Ok(())),
                Err(problem) => return (Vec::new(), Err(problem)),
            }
        }
    }

    fn open_chunk(&mut self, extent: Extent) -> Result<ChunkReader, String> {
        let start = extent.offset + RECORD_HEADER_LEN;
        let header = self.read_at(start, ChunkHeader::MAX_LEN.min(extent.end - start)).map_err(|e| e.to_string())?;
        let header = ChunkHeader::read(&header).ok_or("the chunk's header cannot be read")?;
        let claimed = header.header_len.saturating_add(header.records_len);
        let length = extent.claimed_end - start;
        if claimed != length {
            return Err(format!("the chunk's header claims {claimed} bytes, its record has {length}"));
        }
        Ok(ChunkReader::new(extent.offset, extent.end))
    }

    fn damage(&self, offset: u64, problem: impl std::fmt::Display) -> Skipped {
        let message = format!("{}: byte {offset}: {problem}", self.path.display());
        Skipped::new(SkipReason::DamagedFile, None, message)
    }
}

impl BagFile for McapFile {
    fn scan(&mut self, visit: &mut dyn FnMut(&Topic, TopicKind, FoundMessage)) -> Result<Scan, RecordingError> {
        let mut channels = Channels::default();
        let mut damage = Vec::new();
        for extent in self.walk(&mut channels, &mut damage)? {
            let (messages, result) = self.messages_of(extent, &mut channels);
            if let Err(problem) = result {
                damage.push(self.damage(extent.offset, format!("the chunk here is damaged and left out: {problem}")));
            }
            for Message { topic, kind, found } in messages {
                if let Some(topic) = channels.topics.get(topic) {
                    visit(topic, kind, found);
                }
            }
        }
        if channels.strays > 0 {
            let problem = format!("{} messages belong to no readable channel", channels.strays);
            damage.push(self.damage(0, problem));
        }
        Ok(Scan { topics: channels.topics, damage })
    }

    fn payload(&mut self, place: Place) -> Result<Vec<u8>, String> {
        let offset = place.major.unsigned_abs();
        if !self.cursor.as_ref().is_some_and(|chunk| chunk.has_ahead(offset, place.minor)) {
            let extent = self.extent(offset).map_err(|error| error.to_string())?;
            let extent = extent.ok_or("the file has become shorter")?;
            if extent.opcode == op::MESSAGE {
                let content = self.content(extent)?;
                let message = MessageRecord::read(&content).ok_or("the message record is cut short")?;
                return Ok(message.data.to_vec());
            }
            self.cursor = Some(self.open_chunk(extent)?);
        }
        let chunk = self.cursor.as_mut().ok_or("the chunk is not open")?;
        loop {
            let payload = chunk.next_record(&mut self.file, |opcode, ordinal, content| {
                let wanted = opcode == op::MESSAGE && ordinal == place.minor;
                wanted.then(|| MessageRecord::read(content).map(|message| message.data.to_vec())).flatten()
            })?;
            match payload {
                Some(Some(payload)) => return Ok(payload),
                Some(None) => {}
                None => return Err("the chunk holds fewer messages than before".to_owned()),
            }
        }
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// A message that was found, by the number of its topic.
struct Message {
    topic: usize,
    kind: TopicKind,
    found: FoundMessage,
}

/// The schemas and channels met so far.
#[derive(Default)]
struct Channels {
    schema_names: HashMap<u16, String>,
    topics: Vec<Topic>,
    /// Channel id to position in `topics`: several publishers have a channel each.
    topic_of: HashMap<u16, usize>,
    /// Messages whose channel is not known.
    strays: u64,
}

impl Channels {
    fn learn(&mut self, opcode: u8, content: &[u8]) {
        if opcode == op::SCHEMA
            && let Some(schema) = SchemaRecord::read(content)
        {
            self.schema_names.insert(schema.id, schema.name.to_owned());
        }
        if opcode == op::CHANNEL
            && let Some(channel) = ChannelRecord::read(content)
        {
            let topic = Topic {
                name: channel.topic.to_owned(),
                type_name: self.schema_names.get(&channel.schema_id).cloned().unwrap_or_default(),
                encoding: channel.message_encoding.to_owned(),
            };
            let position = self.topics.iter().position(|known| *known == topic).unwrap_or_else(|| {
                self.topics.push(topic);
                self.topics.len() - 1
            });
            self.topic_of.insert(channel.id, position);
        }
    }

    /// `None` for a message of a kind that is not read.
    fn message(&mut self, content: &[u8], extent: Extent, ordinal: u32) -> Option<Message> {
        let known =
            MessageRecord::read(content).and_then(|record| Some((self.topic_of.get(&record.channel_id)?, record)));
        let Some((&topic, record)) = known else {
            self.strays += 1;
            return None;
        };
        let kind = self.topics.get(topic)?.kind()?;
        let log_time = Stamp::from_nanos(i64::try_from(record.log_time).unwrap_or(i64::MAX));
        let place = Place { major: i64::try_from(extent.offset).ok()?, minor: ordinal };
        let payload = (kind == TopicKind::Odometry).then(|| record.data.to_vec());
        Some(Message { topic, kind, found: FoundMessage { log_time, place, payload } })
    }
}
