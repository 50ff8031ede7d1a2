//! Compressed pixels from outside become a [`Frame`]: `sensor_msgs/CompressedImage`, PNG and JPEG files.
//!
//! The size is read first and checked, and the decoder's memory is bounded.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits};

use super::{Frame, FrameError};

/// Memory that decoding one compressed image may take, bytes: an 8-bit RGB image of [`Frame::MAX_SIDE`] squared fits.
const DECODE_BUDGET: u64 = 256 << 20;

impl Frame {
    /// From the fields of a `sensor_msgs/CompressedImage`.
    ///
    /// The first bytes decide what the image is. The `format` field (`png`, `jpeg`, `jpg`, or image_transport's
    /// `bgr8; png compressed bgr8`) must agree, or be empty: where it does not, one of the two is wrong and nothing
    /// is guessed.
    ///
    /// # Errors
    /// [`FrameError::UnknownImageFile`], [`FrameError::FormatDisagrees`], and those of [`Self::from_image_bytes`].
    pub fn from_compressed(format: &str, data: &[u8]) -> Result<Self, FrameError> {
        let content = ImageContent::of(data)?;
        // "<encoding>; <codec> compressed <target>": the codec is what counts, the file itself knows its channels.
        let codec = format.rsplit(';').next().unwrap_or(format).split_whitespace().next().unwrap_or("");
        let agrees = match content {
            ImageContent::Png => codec.eq_ignore_ascii_case("png"),
            ImageContent::Jpeg => codec.eq_ignore_ascii_case("jpeg") || codec.eq_ignore_ascii_case("jpg"),
        };
        if !format.is_empty() && !agrees {
            let field = format.chars().take(64).collect();
            return Err(FrameError::FormatDisagrees { field, content: content.name() });
        }
        content.decode(data)
    }

    /// From the bytes of a PNG or JPEG file.
    ///
    /// Palette and grey images are expanded, 16-bit channels are scaled to 8 bits, alpha is dropped (not blended, as
    /// Pillow's `convert("RGB")`).
    ///
    /// # Errors
    /// [`FrameError::UnknownImageFile`], [`FrameError::Size`], and [`FrameError::Decode`] for a damaged file.
    pub fn from_image_bytes(data: &[u8]) -> Result<Self, FrameError> {
        ImageContent::of(data)?.decode(data)
    }
}

/// What the first bytes of a compressed image say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ImageContent {
    Png,
    Jpeg,
}

impl ImageContent {
    fn of(data: &[u8]) -> Result<Self, FrameError> {
        if data.starts_with(b"\x89PNG\r\n\x1a\n") {
            return Ok(Self::Png);
        }
        if data.starts_with(&[0xFF, 0xD8, 0xFF]) {
            return Ok(Self::Jpeg);
        }
        let magic = match data.first_chunk::<4>() {
            Some(bytes) => bytes.iter().map(|byte| format!("{byte:02X}")).collect(),
            None if data.is_empty() => "nothing".to_owned(),
            None => data.iter().map(|byte| format!("{byte:02X}")).collect(),
        };
        Err(FrameError::UnknownImageFile { length: data.len(), magic })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
        }
    }

    fn decode(self, data: &[u8]) -> Result<Frame, FrameError> {
        let refuse = |reason: String| FrameError::Decode { format: self.name(), length: data.len(), reason };
        // The decoder fills what a cut-off JPEG lacks with grey; the end-of-image marker shows that it is all there.
        if self == Self::Jpeg && !ends_with_end_of_image(data) {
            return Err(refuse("it ends without the end-of-image marker, the rest is missing".to_owned()));
        }
        let format = match self {
            Self::Png => ImageFormat::Png,
            Self::Jpeg => ImageFormat::Jpeg,
        };
        let mut limits = Limits::default();
        limits.max_alloc = Some(DECODE_BUDGET);
        let mut reader = ImageReader::with_format(Cursor::new(data), format);
        reader.limits(limits.clone());
        let mut decoder = reader.into_decoder().map_err(|error| refuse(error.to_string()))?;
        let (width, height) = decoder.dimensions();
        Frame::checked_len(width, height)?;
        limits.reserve(decoder.total_bytes()).map_err(|error| refuse(error.to_string()))?;
        decoder.set_limits(limits).map_err(|error| refuse(error.to_string()))?;
        let pixels = DynamicImage::from_decoder(decoder).map_err(|error| refuse(error.to_string()))?;
        Frame::from_rgb8(width, height, pixels.into_rgb8().into_raw())
    }
}

/// Whether the last bytes are JPEG's end-of-image marker. Cameras that pad their buffers leave zeros behind it.
fn ends_with_end_of_image(data: &[u8]) -> bool {
    let padding = data.iter().rev().take_while(|&&byte| byte == 0).count();
    data.get(..data.len() - padding).is_some_and(|data| data.ends_with(&[0xFF, 0xD9]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use image::{ExtendedColorType, ImageEncoder as _};
    use proptest::prelude::*;

    use super::*;

    /// Two pixels in one row, red-ish and blue-ish, without and with alpha.
    const RGB: [u8; 6] = [250, 2, 3, 4, 5, 240];
    const RGBA: [u8; 8] = [250, 2, 3, 9, 4, 5, 240, 0];

    fn png(color: ExtendedColorType, data: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        image::codecs::png::PngEncoder::new(&mut file).write_image(data, 2, 1, color).unwrap();
        file
    }

    fn jpeg() -> Vec<u8> {
        let mut file = Vec::new();
        let pixels = [200; 16 * 16 * 3];
        let encoder = image::codecs::jpeg::JpegEncoder::new(&mut file);
        encoder.write_image(&pixels, 16, 16, ExtendedColorType::Rgb8).unwrap();
        file
    }

    #[test]
    fn png_of_every_colour_type_becomes_rgb() {
        use ExtendedColorType::{L8, L16, La8, Rgb8, Rgb16, Rgba8};
        let wide: Vec<u8> = RGB.iter().flat_map(|&byte| [byte, byte]).collect();
        let cases: [(ExtendedColorType, &[u8], &[u8]); 6] = [
            (Rgb8, &RGB, &RGB),
            (Rgba8, &RGBA, &RGB),
            (Rgb16, &wide, &RGB),
            (L8, &[7, 8], &[7, 7, 7, 8, 8, 8]),
            (La8, &[7, 0, 8, 9], &[7, 7, 7, 8, 8, 8]),
            (L16, &[7, 7, 8, 8], &[7, 7, 7, 8, 8, 8]),
        ];
        for (color, data, expected) in cases {
            assert_eq!(Frame::from_image_bytes(&png(color, data)).unwrap().rgb(), expected, "{color:?}");
        }
    }

    #[test]
    fn the_format_field_must_agree_with_the_bytes() {
        let (png, jpeg) = (png(ExtendedColorType::Rgb8, &RGB), jpeg());
        for format in ["png", "PNG", "", "rgb8; png compressed bgr8"] {
            assert_eq!(Frame::from_compressed(format, &png).unwrap().rgb(), RGB, "{format}");
        }
        for format in ["jpeg", "jpg", "bgr8; jpeg compressed bgr8"] {
            assert_eq!(Frame::from_compressed(format, &jpeg).unwrap().width(), 16, "{format}");
            let message = Frame::from_compressed(format, &png).unwrap_err().to_string();
            assert!(message.contains(&format!("'{format}'")) && message.contains("PNG"), "{message}");
        }
        for format in ["png", "tiff", "16UC1; compressedDepth png", "\u{e9}"] {
            assert!(
                matches!(Frame::from_compressed(format, &jpeg), Err(FrameError::FormatDisagrees { .. })),
                "{format}"
            );
        }
    }

    #[test]
    fn a_cut_off_file_is_refused_wherever_it_is_cut() {
        let (png, mut jpeg) = (png(ExtendedColorType::Rgb8, &RGB), jpeg());
        // Behind the pixels only the closing chunk is missing, which some decoders do not ask for.
        let pixels_end = png.len() - 12;
        for end in 0..pixels_end {
            assert!(Frame::from_image_bytes(&png[..end]).is_err(), "PNG cut at {end}");
        }
        for end in 0..jpeg.len() {
            assert!(Frame::from_image_bytes(&jpeg[..end]).is_err(), "JPEG cut at {end}");
        }
        jpeg.extend([0; 5]);
        assert!(Frame::from_image_bytes(&jpeg).is_ok(), "padding behind a JPEG is harmless");
        let message = Frame::from_image_bytes(b"hello world").unwrap_err().to_string();
        assert!(message.contains("11 bytes begins with 68656C6C"), "{message}");
    }

    #[test]
    fn a_png_that_claims_to_be_huge_is_refused_before_it_is_decoded() {
        let mut huge = png(ExtendedColorType::Rgb8, &RGB);
        huge[16..24].copy_from_slice(&[0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF]);
        let crc = crc32(&huge[12..29]);
        huge[29..33].copy_from_slice(&crc.to_be_bytes());
        let message = Frame::from_image_bytes(&huge).unwrap_err().to_string();
        assert!(message.contains("65535x65535"), "{message}");
    }

    /// CRC-32 as PNG chunks carry it.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1)))
        })
    }

    proptest! {
        #[test]
        fn any_bytes_behind_a_magic_are_a_frame_or_an_error(
            mut bytes in prop::collection::vec(any::<u8>(), 0..400),
            is_png in any::<bool>(),
        ) {
            let magic: &[u8] = if is_png { b"\x89PNG\r\n\x1a\n" } else { &[0xFF, 0xD8, 0xFF] };
            bytes.splice(0..0, magic.iter().copied());
            bytes.extend([0xFF, 0xD9]);
            let _frame_or_error = Frame::from_image_bytes(&bytes).is_ok();
        }
    }
}
