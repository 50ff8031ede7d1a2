//! A bounded reader of CDR, the wire format of ROS 2 messages (OMG DDSI-RTPS, "plain CDR" version 1).
//!
//! A payload begins with four bytes of encapsulation; alignment counts from after them. Strings are a u32 length that
//! includes the closing NUL, sequences a u32 length and the items. Every length is checked against the bytes that are
//! left, and bytes are borrowed, never copied: a lying length costs nothing.

/// Why a payload does not read as its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CdrError {
    /// It is cut short.
    #[error("the message ends inside '{field}': {needed} bytes needed, {left} left")]
    CutShort {
        /// What is being read.
        field: &'static str,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that are there.
        left: usize,
    },
    /// It is no plain CDR.
    #[error("encapsulation is {found:02X} {second:02X}{}, expected 00 00 or 00 01 (plain CDR)", encapsulation(*.found, *.second))]
    Encapsulation {
        /// Its first byte.
        found: u8,
        /// Its second byte.
        second: u8,
    },
    /// A text has no NUL at its end, or is not UTF-8.
    #[error("'{field}' is not a valid string")]
    Text {
        /// Which.
        field: &'static str,
    },
    /// No clock of a robot shows it.
    #[error("header.stamp of {seconds} s lies before the clock's zero")]
    Stamp {
        /// What the stamp says, seconds.
        seconds: i32,
    },
    /// A list is longer than any that makes sense.
    #[error("'{field}' has {found} items, at most {max} are read")]
    TooMany {
        /// Which.
        field: &'static str,
        /// Its items.
        found: u32,
        /// The most that are read.
        max: usize,
    },
}

/// What else a payload may begin with (DDS-XTypes 1.3, table 60; the magic numbers of compressors).
fn encapsulation(found: u8, second: u8) -> &'static str {
    match (found, second) {
        (0, 2 | 3) => " (a parameter list, PL_CDR, which no ROS message is; is the recording one of ROS 2?)",
        (0, 6..=11) => {
            " (XCDR version 2, which is not read; record with an RMW that sends version 1, as all of ROS 2 do)"
        }
        (0x28, 0xB5) => " (a damaged zstd frame: the recording was compressed message by message)",
        (0x04, 0x22) => " (an LZ4 frame, which is not read; convert it with `ros2 bag convert` and no compression)",
        _ => "",
    }
}

#[derive(Debug, Clone)]
pub(super) struct CdrReader<'a> {
    body: &'a [u8],
    position: usize,
    little_endian: bool,
}

impl<'a> CdrReader<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Result<Self, CdrError> {
        let Some((&[found, second, _, _], body)) = payload.split_first_chunk() else {
            return Err(CdrError::CutShort { field: "encapsulation", needed: 4, left: payload.len() });
        };
        match (found, second) {
            (0, 0 | 1) => Ok(Self { body, position: 0, little_endian: second == 1 }),
            _ => Err(CdrError::Encapsulation { found, second }),
        }
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, CdrError> {
        Ok(u8::from_le_bytes(self.array(field)?))
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, CdrError> {
        let bytes = self.array(field)?;
        Ok(if self.little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    pub(super) fn i32(&mut self, field: &'static str) -> Result<i32, CdrError> {
        self.u32(field).map(u32::cast_signed)
    }

    pub(super) fn f32(&mut self, field: &'static str) -> Result<f32, CdrError> {
        self.u32(field).map(f32::from_bits)
    }

    pub(super) fn f64(&mut self, field: &'static str) -> Result<f64, CdrError> {
        let bytes = self.array(field)?;
        Ok(if self.little_endian { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) })
    }

    /// The length of a sequence whose items take at least `item_len` bytes each: never more than are there.
    pub(super) fn length(&mut self, field: &'static str, item_len: usize, max: usize) -> Result<usize, CdrError> {
        let found = self.u32(field)?;
        let length = usize::try_from(found).unwrap_or(usize::MAX);
        if length > max {
            return Err(CdrError::TooMany { field, found, max });
        }
        let (needed, left) = (length as u64 * item_len as u64, self.body.len().saturating_sub(self.position));
        if needed > left as u64 { Err(CdrError::CutShort { field, needed, left }) } else { Ok(length) }
    }

    /// A sequence of at most `max` numbers.
    pub(super) fn f32s(&mut self, field: &'static str, max: usize) -> Result<Vec<f32>, CdrError> {
        let length = self.length(field, 4, max)?;
        let bytes = self.take(length as u64 * 4, field)?;
        let number = if self.little_endian { f32::from_le_bytes } else { f32::from_be_bytes };
        Ok(bytes.as_chunks().0.iter().map(|bytes| number(*bytes)).collect())
    }

    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a str, CdrError> {
        let bytes = self.bytes(field)?;
        // Some writers leave the NUL out of an empty string.
        let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        std::str::from_utf8(text).map_err(|_| CdrError::Text { field })
    }

    /// A sequence of bytes.
    pub(super) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], CdrError> {
        let length = self.u32(field)?;
        self.take(u64::from(length), field)
    }

    /// Numbers are aligned to their own size.
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], CdrError> {
        let padding = self.position.next_multiple_of(N) - self.position;
        let bytes = self.take(padding as u64 + N as u64, field)?;
        bytes.last_chunk().copied().ok_or(CdrError::CutShort { field, needed: N as u64, left: bytes.len() })
    }

    fn take(&mut self, count: u64, field: &'static str) -> Result<&'a [u8], CdrError> {
        let left = self.body.get(self.position..).unwrap_or_default();
        let taken = usize::try_from(count).ok().and_then(|count| left.get(..count));
        let taken = taken.ok_or(CdrError::CutShort { field, needed: count, left: left.len() })?;
        self.position += taken.len();
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn aligns_from_after_the_encapsulation_in_both_byte_orders() {
        let little = [0, 1, 0, 0, 7, 9, 9, 9, 1, 2, 0, 0, 2, 0, 0, 0, b'a', 0];
        let mut cdr = CdrReader::new(&little).unwrap();
        assert_eq!((cdr.u8("a").unwrap(), cdr.u32("b").unwrap(), cdr.text("c").unwrap()), (7, 0x201, "a"));
        let big = [0, 0, 0, 0, 7, 9, 9, 9, 0, 0, 2, 1];
        let mut cdr = CdrReader::new(&big).unwrap();
        assert_eq!((cdr.u8("a").unwrap(), cdr.u32("b").unwrap()), (7, 0x201));
    }

    #[test]
    fn lying_lengths_cost_nothing() {
        let payload = [0, 1, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1];
        let error = CdrReader::new(&payload).unwrap().bytes("data").unwrap_err();
        assert_eq!(error, CdrError::CutShort { field: "data", needed: u64::from(u32::MAX), left: 1 });
        assert!(matches!(CdrReader::new(&payload[..3]), Err(CdrError::CutShort { field: "encapsulation", .. })));
        assert!(matches!(CdrReader::new(&[0, 3, 0, 0]), Err(CdrError::Encapsulation { .. })));
    }
}
