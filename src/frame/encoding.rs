//! Pixels from outside become a [`Frame`]: `sensor_msgs/Image`, `sensor_msgs/CompressedImage`, PNG and JPEG files.
//!
//! Every length is checked against the bytes at hand before anything is allocated.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits};

use super::{Frame, FrameError};

/// Memory that decoding one compressed image may take, bytes: an 8-bit RGB image of [`Frame::MAX_SIDE`] squared fits.
const DECODE_BUDGET: u64 = 256 << 20;

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
        let &RawImage { height, width, encoding, step, data } = image;
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

    #[test]
    fn png_of_every_colour_type_becomes_rgb() {
        use ExtendedColorType::{L8, L16, La8, Rgb8, Rgb16, Rgba8};
        let wide: Vec<u8> = PIXELS[0].1.iter().flat_map(|&byte| [byte, byte]).collect();
        let cases: [(ExtendedColorType, &[u8], &[u8]); 6] = [
            (Rgb8, PIXELS[0].1, PIXELS[0].1),
            (Rgba8, PIXELS[2].1, PIXELS[0].1),
            (Rgb16, &wide, PIXELS[0].1),
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
        let (png, jpeg) = (png(ExtendedColorType::Rgb8, PIXELS[0].1), jpeg());
        for format in ["png", "PNG", "", "rgb8; png compressed bgr8"] {
            assert_eq!(Frame::from_compressed(format, &png).unwrap().rgb(), PIXELS[0].1, "{format}");
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
        let (png, mut jpeg) = (png(ExtendedColorType::Rgb8, PIXELS[0].1), jpeg());
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
        let mut huge = png(ExtendedColorType::Rgb8, PIXELS[0].1);
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
