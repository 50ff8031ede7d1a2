//! Walking the records of an MCAP file front to back, without its index, so that one that was cut off or has no footer
//! reads too.
//!
//! The file's records are walked by their lengths, which are checked against the length of the file; each chunk is
//! then decompressed by a reader of its own. A damaged chunk is dropped as a whole and the next one read; of the one
//! that the file ends in, the messages before the end are used.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use mcap::records::op;

use super::bag_file::{MAX_MESSAGE_LEN, Place};
use super::mcap_chunk::ChunkReader;
use super::mcap_damage::McapDamage;
use super::mcap_record::{ChunkHeader, MessageRecord, RECORD_HEADER_LEN};

/// An open MCAP file.
pub(crate) struct McapWalk {
    path: PathBuf,
    file: File,
    length: u64,
    /// The chunk that the last payload came from: the next one is likely to lie behind it.
    cursor: Option<ChunkReader>,
}

/// A record at the top level of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) opcode: u8,
    pub(crate) offset: u64,
    /// Where its content ends, or the end of the file if that comes first.
    pub(crate) end: u64,
    /// Where its content would end if the file went on.
    claimed_end: u64,
}

impl Extent {
    pub(crate) fn is_complete(&self) -> bool {
        self.end == self.claimed_end
    }
}

/// How far the records of a file can be followed.
#[derive(Debug, Default)]
pub(crate) struct WalkEnd {
    /// Where the last whole record ends.
    pub(crate) whole: u64,
    /// The end of the data was reached. What follows is an index; a file that lacks it has lost nothing.
    pub(crate) data_ended: bool,
    /// Where no record begins, if the walk ended at such a place: what lies behind cannot be read.
    pub(crate) no_record_at: Option<u64>,
    /// What kind of record the file ends in, if it ends in one, and whether in its first nine bytes.
    cut: Option<(u8, bool)>,
}

impl WalkEnd {
    /// Bytes at the end of a file of this length that belong to no record at all. Those of a chunk or message that is cut
    /// short are counted with it, and an index is no loss.
    pub(crate) fn stray_bytes(&self, length: u64) -> u64 {
        match self.cut {
            Some((op::CHUNK | op::MESSAGE, false) | (op::MESSAGE_INDEX | op::DATA_END, _)) => 0,
            _ if self.data_ended => 0,
            _ => length.saturating_sub(self.whole),
        }
    }
}

impl McapWalk {
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, length, cursor: None })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes in the file.
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// Whether the file begins as MCAP files do.
    pub(crate) fn has_magic(&mut self) -> std::io::Result<bool> {
        Ok(self.read_at(0, mcap::MAGIC.len() as u64)? == mcap::MAGIC)
    }

    /// Hands every record at the top level to `visit` up to the footer, those that are cut short included.
    pub(crate) fn extents(&mut self, mut visit: impl FnMut(&mut Self, Extent)) -> std::io::Result<WalkEnd> {
        let mut end = WalkEnd { whole: mcap::MAGIC.len() as u64, ..WalkEnd::default() };
        while let Some(extent) = self.extent(end.whole)? {
            match extent.opcode {
                op::DATA_END => end.data_ended = true,
                op::FOOTER => break,
                0 => {
                    end.no_record_at = Some(extent.offset);
                    break;
                }
                _ => visit(self, extent),
            }
            if !extent.is_complete() {
                end.cut = Some((extent.opcode, false));
                return Ok(end);
            }
            end.whole = extent.end;
        }
        if end.no_record_at.is_none() && end.whole < self.length {
            end.cut = self.read_at(end.whole, 1)?.first().map(|opcode| (*opcode, true));
        }
        Ok(end)
    }

    /// The record at `offset`; `None` at the end of the file.
    pub(crate) fn extent(&mut self, offset: u64) -> std::io::Result<Option<Extent>> {
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
    pub(crate) fn content(&mut self, extent: Extent) -> Result<Vec<u8>, McapDamage> {
        let start = extent.offset + RECORD_HEADER_LEN;
        let length = extent.end - start;
        if length > MAX_MESSAGE_LEN {
            return Err(McapDamage::RecordTooLong { length });
        }
        Ok(self.read_at(start, length)?)
    }

    /// Hands the records of a chunk to `visit`, each with the number of messages before it. Of a chunk that the file ends
    /// in, those before the end; an error in a whole one says that nothing of it is to be trusted.
    ///
    /// Tells how many bytes of the file behind the last whole record were of no use.
    pub(crate) fn chunk_records(
        &mut self,
        extent: Extent,
        mut visit: impl FnMut(u8, u32, &[u8]),
    ) -> Result<u64, McapDamage> {
        let all = extent.end - extent.offset;
        let (mut chunk, header) = match self.open_chunk(extent) {
            Ok(opened) => opened,
            Err(damage) if extent.is_complete() => return Err(damage),
            Err(_) => return Ok(all),
        };
        let mut read = 0;
        loop {
            let next = chunk.next_record(&mut self.file, |opcode, ordinal, content| {
                read += RECORD_HEADER_LEN + content.len() as u64;
                visit(opcode, ordinal, content);
            });
            match next {
                Ok(Some(())) => {}
                Ok(None) if extent.is_complete() => return Ok(0),
                Err(damage) if extent.is_complete() => return Err(damage),
                // Where a compressor lies in between, what was read says nothing about where it lay.
                _ if read == 0 || header.is_compressed => return Ok(all),
                _ => return Ok(all.saturating_sub(RECORD_HEADER_LEN + header.header_len + read)),
            }
        }
    }

    fn open_chunk(&mut self, extent: Extent) -> Result<(ChunkReader, ChunkHeader), McapDamage> {
        let start = extent.offset + RECORD_HEADER_LEN;
        let header = self.read_at(start, ChunkHeader::MAX_LEN.min(extent.end - start))?;
        let header = ChunkHeader::read(&header).ok_or(McapDamage::ChunkHeader)?;
        let claimed = header.header_len.saturating_add(header.records_len);
        let length = extent.claimed_end - start;
        if claimed != length {
            return Err(McapDamage::ChunkLength { claimed, length });
        }
        Ok((ChunkReader::new(extent.offset, extent.end), header))
    }

    /// The payload of a message that has been found before. Cheapest when asked in the order of the places.
    pub(crate) fn payload(&mut self, place: Place) -> Result<Vec<u8>, McapDamage> {
        let offset = place.major.unsigned_abs();
        let ahead = self.cursor.take_if(|chunk| chunk.has_ahead(offset, place.minor));
        let chunk = if let Some(chunk) = ahead {
            self.cursor.insert(chunk)
        } else {
            let extent = self.extent(offset)?.ok_or(McapDamage::FileShrank)?;
            if extent.opcode == op::MESSAGE {
                let content = self.content(extent)?;
                let message = MessageRecord::read(&content).ok_or(McapDamage::MessageCut)?;
                return Ok(message.data.to_vec());
            }
            let (chunk, _) = self.open_chunk(extent)?;
            self.cursor.insert(chunk)
        };
        loop {
            let payload = chunk.next_record(&mut self.file, |opcode, ordinal, content| {
                let wanted = opcode == op::MESSAGE && ordinal == place.minor;
                wanted.then(|| MessageRecord::read(content).map(|message| message.data.to_vec())).flatten()
            })?;
            match payload {
                Some(Some(payload)) => return Ok(payload),
                Some(None) => {}
                None => return Err(McapDamage::ChunkShrank),
            }
        }
    }
}

impl Extent {
    /// Where a message lies that has `ordinal` messages of this record before it.
    pub(crate) fn place(&self, ordinal: u32) -> Option<Place> {
        Some(Place { major: i64::try_from(self.offset).ok()?, minor: ordinal })
    }
}
