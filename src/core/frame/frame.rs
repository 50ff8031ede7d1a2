//! The one image type used inside the package.

use std::sync::Arc;

use super::FrameError;

/// Time of capture in nanoseconds of the recording's or the robot's clock (ROS `header.stamp`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(i64);

impl Stamp {
    /// From nanoseconds since the clock's zero.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's zero.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Seconds since the clock's zero. Exact to about 0.2 µs for today's dates.
    pub fn seconds(self) -> f64 {
        self.0 as f64 * 1e-9
    }

    /// Seconds to the nanosecond: a double would lose the last digits of today's stamps.
    pub fn exact_seconds(self) -> String {
        let (sign, nanos) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        format!("{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }

    /// Seconds from `earlier` to `self`; negative when `earlier` is the later one.
    pub fn seconds_since(self, earlier: Stamp) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 * 1e-9
    }
}

/// An RGB image, 8 bits a channel, rows from top to bottom without padding.
///
/// The costmap pictures are 600x400 pixels of 1 cm with the robot at (200, 200) looking to the right; other sizes are
/// allowed here, what size a checkpoint expects is decided by the caller.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    width: u32,
    height: u32,
    /// Shared by the clones, which cost nothing.
    rgb: Arc<Vec<u8>>,
}

impl Frame {
    /// Largest accepted side, pixels. A header that states more is taken for garbage.
    pub const MAX_SIDE: u32 = 8192;

    /// Takes `width * height * 3` bytes, red first.
    ///
    /// # Errors
    /// [`FrameError::Size`] when a side is zero or beyond [`Self::MAX_SIDE`], [`FrameError::Length`] when the bytes do
    /// not fit the size.
    pub fn from_rgb8(width: u32, height: u32, rgb: Vec<u8>) -> Result<Self, FrameError> {
        let expected = Self::checked_len(width, height)?;
        if rgb.len() != expected {
            return Err(FrameError::Length { width, height, expected, found: rgb.len() });
        }
        Ok(Self { width, height, rgb: Arc::new(rgb) })
    }

    /// Bytes that an RGB image of this size has.
    ///
    /// # Errors
    /// [`FrameError::Size`] when a side is zero or beyond [`Self::MAX_SIDE`].
    pub fn checked_len(width: u32, height: u32) -> Result<usize, FrameError> {
        let side = 1..=Self::MAX_SIDE;
        if !side.contains(&width) || !side.contains(&height) {
            return Err(FrameError::Size { width: width.into(), height: height.into(), max: Self::MAX_SIDE });
        }
        Ok(width as usize * height as usize * 3)
    }

    /// Checks the size that a header states against the one that is expected, if one is.
    ///
    /// # Errors
    /// [`FrameError::Size`] when a side is zero or beyond [`Self::MAX_SIDE`], [`FrameError::UnexpectedSize`] when it is
    /// another size than the expected one.
    pub(super) fn check_size(width: u32, height: u32, expected: Option<(u32, u32)>) -> Result<(), FrameError> {
        Self::checked_len(width, height)?;
        match expected {
            Some((expected_width, expected_height)) if (width, height) != (expected_width, expected_height) => {
                Err(FrameError::UnexpectedSize { width, height, expected_width, expected_height })
            }
            _ => Ok(()),
        }
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The buffer of the pixels, for another frame.
    pub fn into_rgb(self) -> Vec<u8> {
        Arc::unwrap_or_clone(self.rgb)
    }

    /// The pixels: `height` rows of `width` times (red, green, blue).
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({}x{} rgb8)", self.width, self.height)
    }
}

/// A frame and when it was taken. Cheap to clone: the history ring and the decision share the pixels.
#[derive(Debug, Clone)]
pub struct StampedFrame {
    /// Time of capture.
    pub stamp: Stamp,
    /// The pixels.
    pub frame: Arc<Frame>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn refuses_sizes_before_touching_bytes() {
        for (w, h) in [(0, 0), (0, 4), (4, 0), (65535, 65535), (u32::MAX, 1)] {
            assert!(matches!(Frame::from_rgb8(w, h, Vec::new()), Err(FrameError::Size { .. })));
        }
    }

    #[test]
    fn refuses_bytes_that_do_not_fit() {
        let err = Frame::from_rgb8(2, 2, vec![0; 11]).unwrap_err();
        assert_eq!(err.to_string(), "RGB image of 2x2 pixels needs 12 bytes, found 11");
    }

    #[test]
    fn stamps_keep_every_nanosecond() {
        assert_eq!(Stamp::from_nanos(1_700_000_000_123_456_789).exact_seconds(), "1700000000.123456789");
        assert_eq!(Stamp::from_nanos(-1).exact_seconds(), "-0.000000001");
        assert_eq!(Stamp::from_nanos(i64::MIN).exact_seconds(), "-9223372036.854775808");
    }

    #[test]
    fn stamps_subtract_in_seconds() {
        let a = Stamp::from_nanos(1_700_000_000_000_000_000);
        let b = Stamp::from_nanos(1_700_000_000_500_000_000);
        assert_eq!(b.seconds_since(a), 0.5);
        assert_eq!(a.seconds_since(b), -0.5);
    }
}
