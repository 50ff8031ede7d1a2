//! Fields of the MCAP records that are read (<https://mcap.dev/spec>), borrowed and bounded.
//!
//! The `mcap` crate's own record types reserve memory for a string before its length has been checked.

/// Every record begins with an opcode (u8) and the length of its content (u64).
pub(super) const RECORD_HEADER_LEN: u64 = 9;

/// Reads little-endian fields from the front of a record's content; `None` where it ends early.
#[derive(Debug)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (&head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        std::str::from_utf8(head).ok()
    }
}

/// A Schema record, without its text.
#[derive(Debug)]
pub(super) struct SchemaRecord<'a> {
    pub(super) id: u16,
    pub(super) name: &'a str,
}

impl<'a> SchemaRecord<'a> {
    pub(super) fn read(content: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(content);
        Some(Self { id: fields.u16()?, name: fields.text()? })
    }
}

/// A Channel record, without its metadata.
#[derive(Debug)]
pub(super) struct ChannelRecord<'a> {
    pub(super) id: u16,
    pub(super) schema_id: u16,
    pub(super) topic: &'a str,
    pub(super) message_encoding: &'a str,
}

impl<'a> ChannelRecord<'a> {
    pub(super) fn read(content: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(content);
        Some(Self {
            id: fields.u16()?,
            schema_id: fields.u16()?,
            topic: fields.text()?,
            message_encoding: fields.text()?,
        })
    }
}

/// A Message record.
#[derive(Debug)]
pub(super) struct MessageRecord<'a> {
    pub(super) channel_id: u16,
    /// Nanoseconds.
    pub(super) log_time: u64,
    pub(super) data: &'a [u8],
}

impl<'a> MessageRecord<'a> {
    pub(super) fn read(content: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(content);
        let channel_id = fields.u16()?;
        let _sequence = fields.u32()?;
        let log_time = fields.u64()?;
        let _publish_time = fields.u64()?;
        Some(Self { channel_id, log_time, data: fields.0 })
    }
}

/// The fields of a Chunk record before its records.
#[derive(Debug)]
pub(super) struct ChunkHeader {
    /// Length of these fields, bytes.
    pub(super) header_len: u64,
    /// Length of the records as they lie in the file, bytes.
    pub(super) records_len: u64,
}

impl ChunkHeader {
    /// Bytes that hold the fields of every chunk with a compression name of up to 24 letters.
    pub(super) const MAX_LEN: u64 = 64;

    pub(super) fn read(content: &[u8]) -> Option<Self> {
        let mut fields = Fields(content);
        for _ in ["message_start_time", "message_end_time", "uncompressed_size"] {
            fields.u64()?;
        }
        let _uncompressed_crc = fields.u32()?;
        fields.text()?;
        let records_len = fields.u64()?;
        Some(Self { header_len: (content.len() - fields.0.len()) as u64, records_len })
    }
}
