//! Compressed pixels from outside become a [`Frame`]: `sensor_msgs/CompressedImage`, PNG and JPEG files.
//!
//! The size is read first and checked, and the decoder's memory is bounded.

use std::io::Cursor;

use image::{DynamicImage, ExtendedColorType, ImageDecoder as _, ImageFormat, ImageReader, Limits, LumaA, Rgba};

use super::image_codec::{NamedCodecs, looks_like};
use super::jpeg_end::jpeg_length;
use super::{Frame, FrameError};

/// Memory that decoding one compressed image may take, bytes: an 8-bit RGB image of [`Frame::MAX_SIDE`] squared fits.
const DECODE_BUDGET: u64 = 256 << 20;

impl Frame {
    /// From the fields of a `sensor_msgs/CompressedImage`.
    ///
    /// The first bytes decide what the image is, since drivers write into `format` what they like: `png`, `JPEG`, `jpg`,
    /// image_transport's `bgr8; png compressed bgr8`, `rgb8;jpeg`, `rgb8; jpeg compressed; bgr8`, nothing. Only where it
    /// names another codec than that of the bytes is one of the two wrong, and nothing is guessed.
    ///
    /// # Errors
    /// [`FrameError::UnknownImageFile`], [`FrameError::DepthImage`], [`FrameError::FormatDisagrees`], and those of
    /// [`Self::from_image_bytes`].
    pub fn from_compressed(format: &str, data: &[u8]) -> Result<Self, FrameError> {
        Self::from_compressed_of_size(format, data, None)
    }

    /// As [`Self::from_compressed`], of an image that must be `expected` pixels wide and high, where a size is given:
    /// another size is refused by the file's header, before any pixel is decoded.
    ///
    /// # Errors
    /// [`FrameError::UnexpectedSize`], and those of [`Self::from_compressed`].
    pub fn from_compressed_of_size(
        format: &str,
        data: &[u8],
        expected: Option<(u32, u32)>,
    ) -> Result<Self, FrameError> {
        let named = NamedCodecs::of(format);
        let shortened = || format.chars().take(64).collect();
        if named.depth {
            return Err(FrameError::DepthImage { field: shortened() });
        }
        let content = ImageContent::of(data)?;
        let (agrees, names_another) = match content {
            ImageContent::Png => (named.png, named.jpeg || named.other),
            ImageContent::Jpeg => (named.jpeg, named.png || named.other),
        };
        if names_another && !agrees {
            return Err(FrameError::FormatDisagrees { field: shortened(), content: content.name() });
        }
        content.decode(data, expected)
    }

    /// From the bytes of a PNG or JPEG file; what lies behind the picture's end is of no interest.
    ///
    /// The pixels are those of Pillow's `convert("RGB")`, with which checkpoints are trained: palette and grey images are
    /// expanded, alpha is dropped (not blended), of 16-bit channels the high byte is kept. Pillow cuts grey pictures of 16
    /// bits off at 255, which leaves little of them: they are refused.
    ///
    /// # Errors
    /// [`FrameError::UnknownImageFile`], [`FrameError::Size`], [`FrameError::WideGrey`], and [`FrameError::Decode`] for a
    /// damaged file.
    pub fn from_image_bytes(data: &[u8]) -> Result<Self, FrameError> {
        ImageContent::of(data)?.decode(data, None)
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
        Err(FrameError::UnknownImageFile { length: data.len(), magic, looks_like: looks_like(data) })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
        }
    }

    fn decode(self, data: &[u8], expected: Option<(u32, u32)>) -> Result<Frame, FrameError> {
        let refuse = |reason: String| FrameError::Decode { format: self.name(), length: data.len(), reason };
        let (format, picture) = match self {
            Self::Png => (ImageFormat::Png, data),
            Self::Jpeg => {
                // The decoder fills what a cut-off JPEG lacks with grey; its end shows that it is all there.
                let whole = jpeg_length(data).and_then(|length| data.get(..length));
                let cut = || refuse("it ends without the end-of-image marker, the rest is missing".to_owned());
                (ImageFormat::Jpeg, whole.ok_or_else(cut)?)
            }
        };
        let mut limits = Limits::default();
        limits.max_alloc = Some(DECODE_BUDGET);
        let mut reader = ImageReader::with_format(Cursor::new(picture), format);
        reader.limits(limits.clone());
        let mut decoder = reader.into_decoder().map_err(|error| refuse(error.to_string()))?;
        let (width, height) = decoder.dimensions();
        Frame::check_size(width, height, expected)?;
        if decoder.original_color_type() == ExtendedColorType::L16 {
            return Err(FrameError::WideGrey { format: self.name() });
        }
        limits.reserve(decoder.total_bytes()).map_err(|error| refuse(error.to_string()))?;
        decoder.set_limits(limits).map_err(|error| refuse(error.to_string()))?;
        let pixels = DynamicImage::from_decoder(decoder).map_err(|error| refuse(error.to_string()))?;
        Frame::from_rgb8(width, height, to_rgb8(pixels))
    }
}

/// The colours as Pillow has them: of 16-bit channels the high byte, where `image` rounds to the nearest of 8 bits.
fn to_rgb8(pixels: DynamicImage) -> Vec<u8> {
    let high = |channel: u16| (channel >> 8) as u8;
    match pixels {
        DynamicImage::ImageRgb16(pixels) => pixels.into_raw().into_iter().map(high).collect(),
        DynamicImage::ImageRgba16(pixels) => {
            pixels.pixels().flat_map(|&Rgba([r, g, b, _])| [r, g, b].map(high)).collect()
        }
        DynamicImage::ImageLumaA16(pixels) => pixels.pixels().flat_map(|&LumaA([grey, _])| [high(grey); 3]).collect(),
        pixels => pixels.into_rgb8().into_raw(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use image::ImageEncoder as _;
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
        use ExtendedColorType::{L8, La8, Rgb8, Rgba8};
        let cases: [(ExtendedColorType, &[u8], &[u8]); 4] = [
            (Rgb8, &RGB, &RGB),
            (Rgba8, &RGBA, &RGB),
            (L8, &[7, 8], &[7, 7, 7, 8, 8, 8]),
            (La8, &[7, 0, 8, 9], &[7, 7, 7, 8, 8, 8]),
        ];
        for (color, data, expected) in cases {
            assert_eq!(Frame::from_image_bytes(&png(color, data)).unwrap().rgb(), expected, "{color:?}");
        }
    }

    /// The case png-of-sixteen-bits. What Pillow 13.0 gives for each: low bytes of 0xFF would be rounded up.
    #[test]
    fn of_sixteen_bits_the_high_byte_is_kept_as_pillow_does() {
        use ExtendedColorType::{L16, La16, Rgb16, Rgba16};
        // `image` takes channels in the machine's order.
        let wide =
            |channels: &[u16]| -> Vec<u8> { channels.iter().flat_map(|channel| channel.to_ne_bytes()).collect() };
        let rgb = [0x80FF, 0x8000, 0x01FE, 0xFF00, 0x00FF, 0xFFFE];
        let rgba = [0x80FF, 0x8000, 0x01FE, 0x1234, 0xFF00, 0x00FF, 0xFFFE, 0];
        for (color, channels) in [(Rgb16, &rgb[..]), (Rgba16, &rgba[..])] {
            let frame = Frame::from_image_bytes(&png(color, &wide(channels))).unwrap();
            assert_eq!(frame.rgb(), [128, 128, 1, 255, 0, 255], "{color:?}");
        }
        let grey = Frame::from_image_bytes(&png(La16, &wide(&[0x80FF, 0xFFFF, 0x01FF, 0]))).unwrap();
        assert_eq!(grey.rgb(), [128, 128, 128, 1, 1, 1]);
        let message = Frame::from_image_bytes(&png(L16, &wide(&[0x80FF, 200]))).unwrap_err().to_string();
        assert!(message.contains("grey PNG of 16 bits") && message.contains("8 bits"), "{message}");
    }

    /// The case jpeg-bytes-behind-the-end, and its like for PNG.
    #[test]
    fn bytes_behind_a_whole_picture_change_nothing() {
        let (png, jpeg) = (png(ExtendedColorType::Rgb8, &RGB), jpeg());
        let (old_jpeg, old_png) = (jpeg[jpeg.len() / 3..].to_vec(), png[png.len() / 3..].to_vec());
        for picture in [&png, &jpeg] {
            let alone = Frame::from_image_bytes(picture).unwrap();
            for rest in [&[0; 5][..], &[0xFF; 3], b"old bytes", &old_jpeg, &old_png, &jpeg, &png] {
                assert!(Frame::from_image_bytes(&[picture, rest].concat()).unwrap() == alone, "{rest:02X?}");
            }
        }
        for end in (4..jpeg.len()).step_by(7) {
            let cut = [&jpeg[..end], &jpeg].concat();
            // A length field that was cut swallows the beginning of what follows: then there is but one picture.
            let read = Frame::from_image_bytes(&cut).is_ok();
            assert!(!read || jpeg_length(&cut) == Some(cut.len()), "JPEG cut at {end}, another behind it");
        }
    }

    /// The case compressed-format-two-semicolons.
    #[test]
    fn format_fields_as_drivers_write_them_are_read() {
        let (png, jpeg) = (png(ExtendedColorType::Rgb8, &RGB), jpeg());
        let jpegs = [
            "rgb8; jpeg compressed; bgr8",
            "jpeg",
            "jpg",
            "JPEG",
            " jpeg ",
            "rgb8;jpeg",
            "rgb8; jpeg compressed bgr8",
            "",
            "RGB8; JPEG compressed BGR8",
            "mono8; jpeg compressed ",
            "mjpeg",
            "rgb8",
            "\u{e9}",
            "image/jpeg",
        ];
        jpegs.iter().for_each(|format| assert!(Frame::from_compressed(format, &jpeg).is_ok(), "{format}"));
        let pngs =
            ["png", "PNG", "bgr8; png compressed bgr8", "bgr8; png compressed; bgr8", "rgb8;png", "", "bgr8", ".png"];
        pngs.iter().for_each(|format| assert!(Frame::from_compressed(format, &png).is_ok(), "{format}"));
        for format in ["16UC1; compressedDepth png", "32FC1; compresseddepth rvl", "16UC1; compressedDepth"] {
            let message = Frame::from_compressed(format, &[0; 40]).unwrap_err().to_string();
            assert!(message.contains("depth") && message.contains(format), "{message}");
        }
        let video = Frame::from_compressed("h264", &[0, 0, 0, 1, 0x67]).unwrap_err().to_string();
        assert!(video.contains("video"), "{video}");
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
        for format in ["png", "tiff"] {
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

    /// Files whose pixels are not those that their headers promise: whoever decoded them would stumble over that.
    #[test]
    fn another_size_than_the_expected_one_is_refused_by_the_header() {
        let mut png = png(ExtendedColorType::Rgb8, &RGB);
        png[16..24].copy_from_slice(&[0, 0, 0x20, 0, 0, 0, 0x20, 0]);
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        // The data chunk has neither the length nor the rows of such a picture.
        assert!(matches!(Frame::from_image_bytes(&png), Err(FrameError::Decode { .. })));
        let message = Frame::from_compressed_of_size("png", &png, Some((600, 400))).unwrap_err().to_string();
        assert!(message.starts_with("image is 8192x8192 pixels, expected 600x400; correct the publisher"), "{message}");

        let mut jpeg = jpeg();
        assert_eq!(Frame::from_compressed_of_size("jpeg", &jpeg, Some((16, 16))).unwrap().width(), 16);
        let size = jpeg.windows(2).position(|bytes| bytes == [0xFF, 0xC0]).unwrap() + 5;
        jpeg[size..size + 4].copy_from_slice(&[0x20, 0, 0x20, 0]);
        let refused = Frame::from_compressed_of_size("jpeg", &jpeg, Some((600, 400)));
        assert!(
            matches!(refused, Err(FrameError::UnexpectedSize { width: 8192, height: 8192, .. })),
            "{:?}",
            refused.err()
        );
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
