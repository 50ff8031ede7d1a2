//! Raw pixels from outside become a [`Frame`]: the encodings of `sensor_msgs/Image`.
//!
//! Every length is checked against the bytes at hand before anything is allocated.

use super::{Frame, FrameError};

/// Pixel layouts of `sensor_msgs/Image` that are read, 8 bits a channel. Alpha is dropped, not blended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelEncoding {
    /// Red, green, blue.
    Rgb8,
    /// Blue, green, red.
    Bgr8,
    /// Red, green, blue, alpha.
    Rgba8,
    /// Blue, green, red, alpha.
    Bgra8,
    /// Grey; becomes equal red, green and blue.
    Mono8,
}

impl PixelEncoding {
    /// The names that [`Self::from_name`] knows, for messages.
    pub const SUPPORTED: &'static str = "rgb8, bgr8, rgba8, bgra8, mono8";

    /// By its name in `sensor_msgs/image_encodings.hpp`, to the letter (`BGR8` is another name).
    ///
    /// # Errors
    /// [`FrameError::Encoding`] for every other name.
    pub fn from_name(name: &str) -> Result<Self, FrameError> {
        Ok(match name {
            "rgb8" => Self::Rgb8,
            "bgr8" => Self::Bgr8,
            "rgba8" => Self::Rgba8,
            "bgra8" => Self::Bgra8,
            "mono8" => Self::Mono8,
            _ => {
                let found = name.chars().take(64).collect();
                return Err(FrameError::Encoding { found, supported: Self::SUPPORTED });
            }
        })
    }

    /// Its name in `sensor_msgs/image_encodings.hpp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rgb8 => "rgb8",
            Self::Bgr8 => "bgr8",
            Self::Rgba8 => "rgba8",
            Self::Bgra8 => "bgra8",
            Self::Mono8 => "mono8",
        }
    }

    /// Bytes of one pixel.
    pub fn bytes_per_pixel(self) -> u8 {
        match self {
            Self::Rgb8 | Self::Bgr8 => 3,
            Self::Rgba8 | Self::Bgra8 => 4,
            Self::Mono8 => 1,
        }
    }

    /// Appends a row of whole pixels as RGB.
    fn append_rgb(self, row: &[u8], rgb: &mut Vec<u8>) {
        match self {
            Self::Rgb8 => rgb.extend_from_slice(row),
            Self::Bgr8 => rgb.extend(row.as_chunks().0.iter().flat_map(|&[b, g, r]| [r, g, b])),
            Self::Rgba8 => rgb.extend(row.as_chunks().0.iter().flat_map(|&[r, g, b, _]| [r, g, b])),
            Self::Bgra8 => rgb.extend(row.as_chunks().0.iter().flat_map(|&[b, g, r, _]| [r, g, b])),
            Self::Mono8 => rgb.extend(row.iter().flat_map(|&grey| [grey; 3])),
        }
    }
}

/// The fields of a `sensor_msgs/Image` that make up its pixels, borrowed from the message.
///
/// `is_bigendian` is not among them: it means nothing for channels of one byte.
#[derive(Debug, Clone, Copy)]
pub struct RawImage<'a> {
    /// Rows.
    pub height: u32,
    /// Pixels in a row.
    pub width: u32,
    /// Name of the pixel encoding.
    pub encoding: &'a str,
    /// Bytes from the start of a row to the start of the next; what exceeds the pixels is padding.
    pub step: u32,
    /// `step * height` bytes.
    pub data: &'a [u8],
}

impl Frame {
    /// From the fields of a `sensor_msgs/Image`.
    ///
    /// # Errors
    /// [`FrameError::Size`], [`FrameError::Encoding`], [`FrameError::Step`] when the step is shorter than a row, and
    /// [`FrameError::DataLength`] when the data is shorter or longer than `step * height`.
    pub fn from_raw(image: &RawImage<'_>) -> Result<Self, FrameError> {
        Self::from_raw_of_size(image, None)
    }

    /// As [`Self::from_raw`], of an image that must be `expected` pixels wide and high, where a size is given: another
    /// size is refused by the header, before any pixel is copied.
    ///
    /// # Errors
    /// [`FrameError::UnexpectedSize`], and those of [`Self::from_raw`].
    pub fn from_raw_of_size(image: &RawImage<'_>, expected: Option<(u32, u32)>) -> Result<Self, FrameError> {
        let &RawImage { height, width, encoding, step, data } = image;
        Self::check_size(width, height, expected)?;
        let rgb_len = Self::checked_len(width, height)?;
        let encoding = PixelEncoding::from_name(encoding)?;
        let row_len = u64::from(width) * u64::from(encoding.bytes_per_pixel());
        if u64::from(step) < row_len {
            return Err(FrameError::Step { step, width, encoding: encoding.name(), needed: row_len });
        }
        let expected = u64::from(step) * u64::from(height);
        if data.len() as u64 != expected {
            return Err(FrameError::DataLength { found: data.len(), expected, step, height });
        }
        // The sizes above bound both lengths by the bytes at hand.
        let (step, row_len) = (step as usize, row_len as usize);
        let mut rgb = Vec::with_capacity(rgb_len);
        for row in data.chunks_exact(step) {
            let pixels = row.get(..row_len).unwrap_or(row);
            encoding.append_rgb(pixels, &mut rgb);
        }
        Self::from_rgb8(width, height, rgb)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;

    /// Two pixels in one row, red-ish and blue-ish, as each encoding stores them.
    const PIXELS: [(&str, &[u8]); 5] = [
        ("rgb8", &[250, 2, 3, 4, 5, 240]),
        ("bgr8", &[3, 2, 250, 240, 5, 4]),
        ("rgba8", &[250, 2, 3, 9, 4, 5, 240, 0]),
        ("bgra8", &[3, 2, 250, 9, 240, 5, 4, 0]),
        ("mono8", &[7, 8]),
    ];

    fn raw(encoding: &str, step: u32, height: u32, data: &[u8]) -> Result<Frame, FrameError> {
        Frame::from_raw(&RawImage { height, width: 2, encoding, step, data })
    }

    #[test]
    fn every_encoding_becomes_rgb() {
        for (encoding, data) in PIXELS {
            let frame = raw(encoding, data.len() as u32, 1, data).unwrap();
            let expected: &[u8] = if encoding == "mono8" { &[7, 7, 7, 8, 8, 8] } else { PIXELS[0].1 };
            assert_eq!(frame.rgb(), expected, "{encoding}");
        }
    }

    #[test]
    fn row_padding_is_left_out() {
        for (encoding, data) in PIXELS {
            let padded = [data, &[0xEE; 3], data, &[0xEE; 3]].concat();
            let frame = raw(encoding, data.len() as u32 + 3, 2, &padded).unwrap();
            let row = raw(encoding, data.len() as u32, 1, data).unwrap();
            assert_eq!(frame.rgb(), [row.rgb(), row.rgb()].concat(), "{encoding}");
        }
    }

    #[test]
    fn disagreeing_headers_are_refused_by_name() {
        let message = |encoding, step, height, data: &[u8]| raw(encoding, step, height, data).unwrap_err().to_string();
        let (_, data) = PIXELS[1];
        assert_eq!(message("bgr8", 5, 1, data), "step is 5 bytes, but a row of 2 bgr8 pixels needs at least 6");
        assert_eq!(message("bgr8", 6, 2, data), "data holds 6 bytes, expected 12 (step 6 x height 2)");
        assert_eq!(message("bgr8", 6, 1, &[0; 7]), "data holds 7 bytes, expected 6 (step 6 x height 1)");
        for name in ["BGR8", "", "16UC1", "jpeg"] {
            let message = message(name, 6, 1, data);
            assert!(message.contains(&format!("'{name}'")) && message.contains(PixelEncoding::SUPPORTED), "{message}");
        }
        for (width, height) in [(0, 0), (u32::MAX, u32::MAX), (65535, 65535)] {
            let huge = RawImage { height, width, encoding: "bgr8", step: u32::MAX, data };
            assert!(matches!(Frame::from_raw(&huge), Err(FrameError::Size { .. })));
        }
    }

    /// The header alone decides: the data would be refused, too, and is not looked at.
    #[test]
    fn another_size_than_the_expected_one_is_refused_by_the_header() {
        let image = RawImage { height: 8192, width: 8192, encoding: "rgb8", step: 3 * 8192, data: &[] };
        let message = Frame::from_raw_of_size(&image, Some((600, 400))).unwrap_err().to_string();
        assert!(message.starts_with("image is 8192x8192 pixels, expected 600x400; correct the publisher"), "{message}");
        let (_, data) = PIXELS[0];
        let image = RawImage { height: 1, width: 2, encoding: "rgb8", step: 6, data };
        assert_eq!(Frame::from_raw_of_size(&image, Some((2, 1))).unwrap().rgb(), data);
    }

    proptest! {
        #[test]
        fn any_header_over_any_data_is_a_frame_of_that_size_or_an_error(
            width in prop_oneof![0..20u32, any::<u32>()],
            height in prop_oneof![0..20u32, any::<u32>()],
            step in prop_oneof![0..80u32, any::<u32>()],
            encoding in prop_oneof![
                Just("rgb8"), Just("bgr8"), Just("rgba8"), Just("bgra8"), Just("mono8"), Just("16UC1")
            ],
            exact in any::<bool>(),
            length in 0..2000usize,
        ) {
            let length = if exact { (step as usize).saturating_mul(height as usize).min(100_000) } else { length };
            let data = vec![1; length];
            if let Ok(frame) = Frame::from_raw(&RawImage { height, width, encoding, step, data: &data }) {
                prop_assert_eq!((frame.width(), frame.height()), (width, height));
                prop_assert_eq!(length as u64, u64::from(step) * u64::from(height));
            }
        }
    }
}
