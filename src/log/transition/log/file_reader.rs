//! One file of a log, as it is read: as far as it goes, with a count of what does not.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use mcap::records::op;

use super::check::check;
use super::damage::Damage;
use super::head::{LogHead, SESSION_METADATA};
use super::step_fault::StepFault;
use super::{FRAME_TOPIC, STEP_TOPIC, step_record};
use crate::recording::McapDamage;
use crate::recording::bag_file::Place;
use crate::recording::mcap_record::{ChannelRecord, MessageRecord, MetadataRecord};
use crate::recording::mcap_walk::{Extent, McapWalk};
use crate::transition::{FrameNumber, Step, TransitionError};

/// Largest step that is read, bytes: a feature of 100 000 numbers.
const MAX_STEP_LEN: usize = 4 << 20;

/// What is in a file.
#[derive(Debug)]
pub(super) struct ReadFile {
    pub(crate) head: LogHead,
    pub(crate) steps: Vec<Step>,
    pub(crate) frames: BTreeMap<FrameNumber, Place>,
    pub(crate) damage: Damage,
}

/// The head of a file and the number of its part, without anything else.
pub(super) fn read_head(path: &Path) -> Result<(LogHead, u64), TransitionError> {
    let mut walk = open(path)?;
    find_head(&mut walk)
}

/// Reads a file from front to back.
pub(super) fn read_file(path: &Path) -> Result<ReadFile, TransitionError> {
    let mut walk = open(path)?;
    let (head, _) = find_head(&mut walk)?;
    let mut damage = Damage::default();
    let mut reader = Reader { head, channels: HashMap::new(), steps: Vec::new(), frames: BTreeMap::new() };

    let mut extents = Vec::new();
    let end = walk.extents(|walk, extent| match extent.opcode {
        op::CHUNK | op::MESSAGE => extents.push(extent),
        op::CHANNEL if extent.is_complete() => {
            if let Ok(content) = walk.content(extent) {
                reader.learn(&content);
            }
        }
        _ => {}
    });
    let end = end.map_err(TransitionError::io(path))?;
    if !end.data_ended {
        damage.cut_files = 1;
    }
    for extent in extents {
        match reader.take(&mut walk, extent, &mut damage) {
            Ok(lost) => damage.lost_bytes += lost,
            Err(problem) => {
                let (offset, lost) = (extent.offset, extent.end - extent.offset);
                log::error!("{}: byte {offset}: {lost} bytes here are damaged and left out: {problem}", path.display());
                damage.lost_bytes += lost;
            }
        }
    }
    damage.lost_bytes += end.stray_bytes(walk.len());
    let Reader { head, steps, frames, .. } = reader;
    Ok(ReadFile { head, steps, frames, damage })
}

fn open(path: &Path) -> Result<McapWalk, TransitionError> {
    let mut walk = McapWalk::open(path).map_err(TransitionError::io(path))?;
    if walk.has_magic().map_err(TransitionError::io(path))? {
        return Ok(walk);
    }
    let problem = format!("its {} bytes do not begin as an MCAP file does", walk.len());
    Err(TransitionError::NotALog { path: path.to_owned(), problem })
}

/// The metadata record that begins every log file.
fn find_head(walk: &mut McapWalk) -> Result<(LogHead, u64), TransitionError> {
    let path = walk.path().to_owned();
    let mut offset = mcap::MAGIC.len() as u64;
    while let Some(extent) = walk.extent(offset).map_err(TransitionError::io(&path))? {
        if !extent.is_complete() || !matches!(extent.opcode, op::HEADER | op::METADATA) {
            break;
        }
        if extent.opcode == op::METADATA
            && let Ok(content) = walk.content(extent)
            && let Some(record) = MetadataRecord::read(&content)
            && record.name == SESSION_METADATA
        {
            return LogHead::read(&record, &path);
        }
        offset = extent.end;
    }
    let problem = format!("its first records hold no '{SESSION_METADATA}'");
    Err(TransitionError::NotALog { path, problem })
}

struct Reader {
    head: LogHead,
    channels: HashMap<u16, Channel>,
    steps: Vec<Step>,
    frames: BTreeMap<FrameNumber, Place>,
}

#[derive(Debug, Clone, Copy)]
enum Channel {
    Frames,
    Steps,
}

/// A message of interest. Nothing is made of it before its chunk has proved whole.
enum Found {
    Frame(FrameNumber, Option<Place>),
    Step(Result<Box<Step>, StepFault>),
}

impl Reader {
    fn learn(&mut self, content: &[u8]) {
        let Some(record) = ChannelRecord::read(content) else { return };
        let channel = match (record.topic, record.message_encoding) {
            (FRAME_TOPIC, "cdr") => Channel::Frames,
            (STEP_TOPIC, "json") => Channel::Steps,
            _ => return,
        };
        self.channels.insert(record.id, channel);
    }

    /// Takes a chunk or a loose message. Tells how many bytes at its end were of no use.
    fn take(&mut self, walk: &mut McapWalk, extent: Extent, damage: &mut Damage) -> Result<u64, McapDamage> {
        let mut found = Vec::new();
        let lost = if extent.opcode == op::MESSAGE {
            if !extent.is_complete() {
                return Ok(extent.end - extent.offset);
            }
            found.extend(self.message(&walk.content(extent)?, extent, 0));
            0
        } else {
            walk.chunk_records(extent, |opcode, ordinal, content| match opcode {
                op::MESSAGE => found.extend(self.message(content, extent, ordinal)),
                op::CHANNEL => self.learn(content),
                _ => {}
            })?
        };
        for found in found {
            match found {
                Found::Frame(number, place) => self.frames.extend(place.map(|place| (number, place))),
                Found::Step(Ok(step)) => self.steps.push(*step),
                Found::Step(Err(fault)) => damage.refuse(walk.path(), &fault),
            }
        }
        Ok(lost)
    }

    fn message(&self, content: &[u8], extent: Extent, ordinal: u32) -> Option<Found> {
        let record = MessageRecord::read(content)?;
        Some(match self.channels.get(&record.channel_id)? {
            Channel::Frames => Found::Frame(FrameNumber(record.sequence.into()), extent.place(ordinal)),
            Channel::Steps if record.data.len() > MAX_STEP_LEN => {
                Found::Step(Err(StepFault::TooLong { length: record.data.len(), most: MAX_STEP_LEN }))
            }
            Channel::Steps => Found::Step(step_record::from_json(record.data, &self.head).and_then(|step| {
                check(&step, &self.head)?;
                Ok(Box::new(step))
            })),
        })
    }
}
