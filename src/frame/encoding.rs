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
