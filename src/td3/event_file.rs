//! TensorBoard's event files: protocol buffer messages between checksums.
//!
//! A record is the length of the message (8 bytes, little-endian), a checksum of these bytes, the message, a checksum of
//! the message. The messages are those of TensorFlow's `event.proto` and `summary.proto`, of which a few fields are used.

/// The version that every file begins with.
const VERSION: &str = "brain.Event:2";

/// An encoded `Event` message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event(Vec<u8>);

// Numbers and kinds of the fields that are used: a varint, 8 bytes, a length and bytes, 4 bytes.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const BYTES: u64 = 2;
const FOUR_BYTES: u64 = 5;

impl Event {
    /// The first event of a file. `time` is in seconds since 1970.
    pub(super) fn version(time: f64) -> Self {
        let mut event = Self::at(time);
        put_bytes(&mut event.0, 3, VERSION.as_bytes());
        event
    }

    /// Says that a training goes on at `step`: what earlier files say of this step and later ones does not count.
    pub(super) fn restart(time: f64, step: u64) -> Self {
        let mut event = Self::at_step(time, step);
        // SessionLog.status = START.
        let mut session = Vec::new();
        put_key(&mut session, 1, VARINT);
        put_varint(&mut session, 1);
        put_bytes(&mut event.0, 7, &session);
        event
    }

    /// Values by tag.
    pub(super) fn scalars(time: f64, step: u64, scalars: &[(&str, f32)]) -> Self {
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut entry = Vec::new();
            put_bytes(&mut entry, 1, tag.as_bytes());
            put_key(&mut entry, 2, FOUR_BYTES);
            entry.extend(value.to_le_bytes());
            put_bytes(&mut summary, 1, &entry);
        }
        let mut event = Self::at_step(time, step);
        put_bytes(&mut event.0, 5, &summary);
        event
    }

    fn at(time: f64) -> Self {
        let mut message = Vec::new();
        put_key(&mut message, 1, EIGHT_BYTES);
        message.extend(time.to_le_bytes());
        Self(message)
    }

    fn at_step(time: f64, step: u64) -> Self {
        let mut event = Self::at(time);
        put_key(&mut event.0, 2, VARINT);
        put_varint(&mut event.0, step);
        event
    }
}

/// The record of an event.
pub(super) fn framed(event: &Event) -> Vec<u8> {
    let length = (event.0.len() as u64).to_le_bytes();
    let checksum = |bytes: &[u8]| masked(crc32c::crc32c(bytes)).to_le_bytes();
    [&length[..], &checksum(&length), &event.0, &checksum(&event.0)].concat()
}

fn put_key(message: &mut Vec<u8>, field: u64, kind: u64) {
    put_varint(message, field << 3 | kind);
}

fn put_bytes(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_key(message, field, BYTES);
    put_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// As TensorFlow stores checksums, so that a CRC over CRCs does not degenerate.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_masked_as_tensorflow_masks_them() {
        // RFC 3720's checksum of 123456789, turned by 15 bits, plus the constant of TensorFlow's crc32c.h.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked(0xe306_9283), 0xc78a_b0e5);
    }

    #[test]
    fn a_record_as_tensorflow_writes_it() {
        // tf.train.Event(wall_time=1.5, file_version="brain.Event:2"), its length before it.
        let record = framed(&Event::version(1.5));
        let message = b"\x09\0\0\0\0\0\0\xf8\x3f\x1a\x0dbrain.Event:2";
        assert_eq!(record.get(..8), Some(&24_u64.to_le_bytes()[..]));
        assert_eq!(record.get(12..36), Some(&message[..]));
        assert_eq!(record.len(), 40);
    }

    #[test]
    fn a_value_as_protobuf_writes_it() {
        let Event(message) = Event::scalars(0.0, 300, &[("q", 1.0)]);
        assert_eq!(message.get(9..), Some(&b"\x10\xac\x02\x2a\x0a\x0a\x08\x0a\x01q\x15\0\0\x80\x3f"[..]));
    }
}
