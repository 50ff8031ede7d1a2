//! The messages of an MCAP file that are read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use mcap::records::op;

use super::bag_file::{BagFile, FoundMessage, PayloadError, Place, Scan};
use super::mcap_damage::McapDamage;
use super::mcap_record::{ChannelRecord, MessageRecord, SchemaRecord};
use super::mcap_walk::{Extent, McapWalk};
use super::topic::{Topic, TopicKind};
use super::{RecordingError, SkipReason, Skipped};
use planner_tuner_core::frame::Stamp;

/// An MCAP file.
pub(super) struct McapFile {
    walk: McapWalk,
}

impl McapFile {
    pub(super) fn open(path: PathBuf) -> Result<Self, RecordingError> {
        Ok(Self { walk: McapWalk::open(&path).map_err(RecordingError::io(&path))? })
    }

    /// Lists the chunks and loose messages, and reads the channels that lie outside of chunks.
    fn walk(&mut self, channels: &mut Channels, damage: &mut Vec<Skipped>) -> Result<Vec<Extent>, RecordingError> {
        let mut extents = Vec::new();
        let mut problems = Vec::new();
        let end = self.walk.extents(|walk, extent| match extent.opcode {
            op::CHUNK => extents.push(extent),
            op::MESSAGE if extent.is_complete() => extents.push(extent),
            op::SCHEMA | op::CHANNEL if extent.is_complete() => match walk.content(extent) {
                Ok(content) => channels.learn(extent.opcode, &content),
                Err(problem) => problems.push((extent.offset, problem)),
            },
            _ => {}
        });
        let end = end.map_err(RecordingError::io(self.walk.path()))?;
        damage.extend(problems.into_iter().map(|(offset, problem)| self.damage(offset, problem)));
        if let Some(offset) = end.no_record_at {
            damage.push(self.damage(offset, "no record begins here, the rest of the file is not read"));
        } else if !end.data_ended {
            let at = extents.last().map_or(end.whole, |extent| extent.offset);
            let problem = format!("the recording ends early: the file stops after {} bytes", self.walk.len());
            damage.push(self.damage(at, problem));
        }
        Ok(extents)
    }

    /// The messages of one chunk or loose record, and what was wrong with it.
    fn messages_of(&mut self, extent: Extent, channels: &mut Channels) -> (Vec<Message>, Result<(), McapDamage>) {
        let mut found = Vec::new();
        if extent.opcode == op::MESSAGE {
            let result = self.walk.content(extent).map(|content| found.extend(channels.message(&content, extent, 0)));
            return (found, result);
        }
        let result = self.walk.chunk_records(extent, |opcode, ordinal, content| match opcode {
            op::MESSAGE => found.extend(channels.message(content, extent, ordinal)),
            _ => channels.learn(opcode, content),
        });
        if result.is_err() {
            found.clear();
        }
        (found, result.map(|_| ()))
    }

    fn damage(&self, offset: u64, problem: impl std::fmt::Display) -> Skipped {
        let message = format!("{}: byte {offset}: {problem}", self.walk.path().display());
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

    fn messages(
        &mut self,
        wanted: &dyn Fn(&Topic) -> bool,
        visit: &mut dyn FnMut(&Topic, Stamp, &[u8]),
    ) -> Result<(), RecordingError> {
        let mut channels = Channels::default();
        for extent in self.walk(&mut channels, &mut Vec::new())? {
            // Nothing is handed over before its chunk has proved whole.
            let mut found: Vec<(usize, Stamp, Vec<u8>)> = Vec::new();
            let mut take = |opcode: u8, content: &[u8]| {
                if opcode != op::MESSAGE {
                    return channels.learn(opcode, content);
                }
                let Some(record) = MessageRecord::read(content) else { return };
                let topic = channels.topic_of.get(&record.channel_id).copied();
                let is_wanted = |topic: &usize| channels.topics.get(*topic).is_some_and(wanted);
                found.extend(topic.filter(is_wanted).map(|topic| (topic, log_time(&record), record.data.to_vec())));
            };
            let read = if extent.opcode == op::MESSAGE {
                self.walk.content(extent).map(|content| take(op::MESSAGE, &content))
            } else {
                self.walk.chunk_records(extent, |opcode, _, content| take(opcode, content)).map(|_| ())
            };
            if read.is_err() {
                continue;
            }
            for (topic, log_time, payload) in found {
                if let Some(topic) = channels.topics.get(topic) {
                    visit(topic, log_time, &payload);
                }
            }
        }
        Ok(())
    }

    fn payload(&mut self, place: Place) -> Result<Vec<u8>, PayloadError> {
        Ok(self.walk.payload(place)?)
    }

    fn path(&self) -> &Path {
        self.walk.path()
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
            let type_name = self.schema_names.get(&channel.schema_id).cloned().unwrap_or_default();
            let topic = Topic::recorded(channel.topic.to_owned(), type_name, channel.message_encoding.to_owned());
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
        let log_time = log_time(&record);
        let place = extent.place(ordinal)?;
        let payload = (kind == TopicKind::Odometry).then(|| record.data.to_vec());
        Some(Message { topic, kind, found: FoundMessage { log_time, place, payload } })
    }
}

fn log_time(record: &MessageRecord<'_>) -> Stamp {
    Stamp::from_nanos(i64::try_from(record.log_time).unwrap_or(i64::MAX))
}
