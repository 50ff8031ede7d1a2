//! A writer of CDR, the wire format of ROS 2 messages: little-endian, aligned from behind the encapsulation.

/// A list or text of more items than its length field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a field of {0} items or bytes is longer than messages can say")]
pub struct TooLong(usize);

/// Bytes of the encapsulation, which alignment does not count.
const ENCAPSULATION: [u8; 4] = [0, 1, 0, 0];

/// A message that is being written, field by field.
#[derive(Debug)]
pub(crate) struct CdrWriter {
    bytes: Vec<u8>,
}

impl CdrWriter {
    pub(crate) fn new() -> Self {
        Self::with_capacity(256)
    }

    /// With room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut writer = Self { bytes: Vec::with_capacity(bytes) };
        writer.bytes.extend(ENCAPSULATION);
        writer
    }

    fn align(&mut self, to: usize) {
        let length = (self.bytes.len() - ENCAPSULATION.len()).next_multiple_of(to) + ENCAPSULATION.len();
        self.bytes.resize(length, 0);
    }

    /// A `uint8[]`.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<&mut Self, TooLong> {
        self.length(bytes.len())?;
        self.bytes.extend(bytes);
        Ok(self)
    }

    pub(crate) fn i8(&mut self, value: i8) -> &mut Self {
        self.bytes.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.align(4);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn f32(&mut self, value: f32) -> &mut Self {
        self.align(4);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn f64(&mut self, value: f64) -> &mut Self {
        self.align(8);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// A text, with its closing NUL.
    pub(crate) fn text(&mut self, text: &str) -> Result<&mut Self, TooLong> {
        self.length(text.len() + 1)?;
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
        Ok(self)
    }

    /// How many items a list has; they come next.
    pub(crate) fn length(&mut self, items: usize) -> Result<&mut Self, TooLong> {
        let items = u32::try_from(items).map_err(|_| TooLong(items))?;
        Ok(self.u32(items))
    }

    /// `std_msgs/Header`.
    pub(crate) fn header(&mut self, nanos: u64, frame_id: &str) -> Result<&mut Self, TooLong> {
        self.time(nanos).text(frame_id)
    }

    /// `builtin_interfaces/Time`.
    pub(crate) fn time(&mut self, nanos: u64) -> &mut Self {
        // What `nanos_of` let pass fits.
        self.u32((nanos / 1_000_000_000) as u32).u32((nanos % 1_000_000_000) as u32)
    }

    /// `geometry_msgs/Pose` in the plane.
    pub(crate) fn pose(&mut self, [x, y, yaw]: [f64; 3]) -> &mut Self {
        self.f64(x).f64(y).f64(0.0).turn(yaw)
    }

    /// `geometry_msgs/Quaternion` about z.
    pub(crate) fn turn(&mut self, yaw: f64) -> &mut Self {
        let (sin, cos) = (yaw / 2.0).sin_cos();
        self.f64(0.0).f64(0.0).f64(sin).f64(cos)
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fields_are_aligned_from_behind_the_encapsulation() {
        let mut writer = CdrWriter::new();
        writer.i8(7).f64(1.0).text("ab").unwrap().u32(9).i8(-1).f32(2.0);
        let expected: Vec<u8> = [
            &[0, 1, 0, 0][..],
            &[7, 0, 0, 0, 0, 0, 0, 0],
            &1.0_f64.to_le_bytes(),
            &[3, 0, 0, 0, b'a', b'b', 0, 0],
            &[9, 0, 0, 0],
            &[255, 0, 0, 0],
            &2.0_f32.to_le_bytes(),
        ]
        .concat();
        assert_eq!(writer.finish(), expected);
    }
}
