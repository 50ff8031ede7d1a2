//! A bounded reader of CDR, the wire format of ROS 2 messages (OMG DDSI-RTPS, "plain CDR" version 1).
//!
//! A payload begins with four bytes of encapsulation; alignment counts from after them. Strings are a u32 length that
//! includes the closing NUL, sequences a u32 length and the items. Every length is checked against the bytes that are
//! left, and bytes are borrowed, never copied: a lying length costs nothing.

/// Why a payload does not read as its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CdrError {
    #[error("the message ends inside '{field}': {needed} bytes needed, {left} left")]
    CutShort { field: &'static str, needed: u64, left: usize },
    #[error("encapsulation is {found:02X} {second:02X}, expected 00 00 or 00 01 (plain CDR)")]
    Encapsulation { found: u8, second: u8 },
    #[error("'{field}' is not a valid string")]
    Text { field: &'static str },
    #[error("header.stamp of {seconds} s lies before the clock's zero")]
    Stamp { seconds: i32 },
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

    pub(super) fn f64(&mut self, field: &'static str) -> Result<f64, CdrError> {
        let bytes = self.array(field)?;
        Ok(if self.little_endian { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) })
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
