//! The records inside one chunk of an MCAP file.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use mcap::records::op;
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};

use super::bag_file::MAX_MESSAGE_LEN;
use super::mcap_damage::McapDamage;

/// Bytes that are read from the file at a time.
const BLOCK_LEN: usize = 64 << 10;

/// Reads the records of one chunk.
pub(super) struct ChunkReader {
    reader: LinearReader,
    offset: u64,
    position: u64,
    end: u64,
    /// Messages that have been passed.
    messages: u32,
}

impl ChunkReader {
    /// For the chunk record from `offset` to `end`, bytes of the file.
    pub(super) fn new(offset: u64, end: u64) -> Self {
        let options = LinearReaderOptions::default()
            .with_skip_start_magic(true)
            .with_skip_end_magic(true)
            .with_validate_chunk_crcs(true)
            .with_record_length_limit(MAX_MESSAGE_LEN as usize);
        let reader = LinearReader::new_with_options(options);
        Self { reader, offset, position: offset, end, messages: 0 }
    }

    /// Whether this is the chunk at `offset`, and the message with this many before it has not been passed.
    pub(super) fn has_ahead(&self, offset: u64, ordinal: u32) -> bool {
        self.offset == offset && self.messages <= ordinal
    }

    /// Hands the next record to `visit` with the number of messages before it; `None` behind the last one.
    pub(super) fn next_record<R>(
        &mut self,
        file: &mut File,
        visit: impl FnOnce(u8, u32, &[u8]) -> R,
    ) -> Result<Option<R>, McapDamage> {
        loop {
            let needed = match self.reader.next_event() {
                None => return Ok(None),
                Some(Err(error)) => return Err(McapDamage::Chunk(error)),
                Some(Ok(LinearReadEvent::Record { opcode, data })) => {
                    let ordinal = self.messages;
                    self.messages += u32::from(opcode == op::MESSAGE);
                    return Ok(Some(visit(opcode, ordinal, data)));
                }
                Some(Ok(LinearReadEvent::ReadRequest(needed))) => needed,
            };
            // Read in blocks, so that memory grows with the bytes that are there, not with those that are promised.
            let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
            let block = self.reader.insert(needed.clamp(1, BLOCK_LEN).min(left));
            let read = file.seek(SeekFrom::Start(self.position)).and_then(|_| file.read(block))?;
            self.reader.notify_read(read);
            self.position += read as u64;
        }
    }
}
