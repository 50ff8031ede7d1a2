//! Fields of the MCAP records that are read (<https://mcap.dev/spec>), borrowed and bounded.
//!
//! The `mcap` crate's own record types reserve memory for a string before its length has been checked.

/// Every record begins with an opcode (u8) and the length of its content (u64).
pub(crate) const RECORD_HEADER_LEN: u64 = 9;

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
pub(crate) struct SchemaRecord<'a> {
    pub(crate) id: u16,
    pub(crate) name: &'a str,
}

impl<'a> SchemaRecord<'a> {
    pub(crate) fn read(content: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(content);
        Some(Self { id: fields.u16()?, name: fields.text()? })
    }
}

/// A Channel record, without its metadata.
#[derive(Debug)]
pub(crate) struct ChannelRecord<'a> {
    pub(crate) id: u16,
    pub(crate) schema_id: u16,
    pub(crate) topic: &'a str,
    pub(crate) message_encoding: &'a str,
}

impl<'a> ChannelRecord<'a> {
    pub(crate) fn read(content: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(content);
        Some(Self {
            id: fields.u16()?,
            schema_id: fields.u16()?,
            topic: fields.text()?,
            message_encoding: fields.text()?,
        })
    }
}

/// A Metadata record.
#[derive(Debug)]
pub(crate) struct MetadataRecord<'a> {
    pub(crate) name: &'a str,
    /// Keys and values in the order of the file.
    pub(crate) entries: Vec<(&'a str, &'a str)>,
}

impl<'a> MetadataRecord<'a> {
    pub(crate) fn read(content: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(content);
        let name = fields.text()?;
        let length = usize::try_from(fields.u32()?).ok()?;
        let mut map = Fields(fields.0.get(..length)?);
        let mut entries = Vec::new();
        while !map.0.is_empty() {
            entries.push((map.text()?, map.text()?));
        }
        Some(Self { name, entries })
    }
}

/// A Message record.
#[derive(Debug)]
pub(crate) struct MessageRecord<'a> {
    pub(crate) channel_id: u16,
    pub(crate) sequence: u32,
    /// Nanoseconds.
    pub(crate) log_time: u64,
    pub(crate) data: &'a [u8],
}

impl<'a> MessageRecord<'a> {
    pub(crate) fn read(content: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(content);
        let channel_id = fields.u16()?;
        let sequence = fields.u32()?;
        let log_time = fields.u64()?;
        let _publish_time = fields.u64()?;
        Some(Self { channel_id, sequence, log_time, data: fields.0 })
    }
}

/// The fields of a Chunk record before its records.
#[derive(Debug)]
pub(crate) struct ChunkHeader {
    /// Length of these fields, bytes.
    pub(crate) header_len: u64,
    /// Length of the records as they lie in the file, bytes.
    pub(crate) records_len: u64,
    pub(crate) is_compressed: bool,
}

impl ChunkHeader {
    /// Bytes that hold the fields of every chunk with a compression name of up to 24 letters.
    pub(crate) const MAX_LEN: u64 = 64;

    pub(crate) fn read(content: &[u8]) -> Option<Self> {
        let mut fields = Fields(content);
        for _ in ["message_start_time", "message_end_time", "uncompressed_size"] {
            fields.u64()?;
        }
        let _uncompressed_crc = fields.u32()?;
        let is_compressed = !fields.text()?.is_empty();
        let records_len = fields.u64()?;
        Some(Self { header_len: (content.len() - fields.0.len()) as u64, records_len, is_compressed })
    }
}
