//! What an image is compressed with: as its `format` field has it, and as its first bytes do.

/// The codecs that a `format` field names, wherever it does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct NamedCodecs {
    pub(super) png: bool,
    pub(super) jpeg: bool,
    /// One that is not read.
    pub(super) other: bool,
    /// image_transport's `compressedDepth`: ranges, not colours.
    pub(super) depth: bool,
}

impl NamedCodecs {
    pub(super) fn of(format: &str) -> Self {
        let mut named = Self::default();
        for word in format.split(|letter: char| !letter.is_ascii_alphanumeric()) {
            match word.to_ascii_lowercase().as_str() {
                "png" => named.png = true,
                "jpeg" | "jpg" | "mjpeg" => named.jpeg = true,
                "compresseddepth" => named.depth = true,
                "tiff" | "webp" | "bmp" | "gif" | "avif" | "heic" | "jp2" | "h264" | "h265" | "hevc" | "vp9"
                | "av1" => {
                    named.other = true;
                }
                _ => {}
            }
        }
        named
    }
}

/// The kind of a file that is no picture of ours, where its first bytes tell.
pub(super) fn looks_like(data: &[u8]) -> Option<&'static str> {
    let is_brand = |brands: &[&[u8]]| {
        data.get(4..12)
            .is_some_and(|bytes| bytes.starts_with(b"ftyp") && brands.iter().any(|brand| bytes.ends_with(brand)))
    };
    let is_webp = data.starts_with(b"RIFF") && data.get(8..12) == Some(b"WEBP");
    match data {
        _ if is_webp => Some("WebP"),
        [b'G', b'I', b'F', b'8', ..] => Some("GIF"),
        [b'B', b'M', ..] => Some("BMP"),
        [b'I', b'I', 0x2A, 0, ..] | [b'M', b'M', 0, 0x2A, ..] => Some("TIFF"),
        [0, 0, 0, 1, ..] | [0, 0, 1, ..] => Some("H.264 or H.265 video"),
        _ if is_brand(&[b"avif", b"heic", b"heix", b"mif1"]) => Some("AVIF or HEIC"),
        [0, 0, 0, 0x0C, b'j', b'P', ..] => Some("JPEG 2000"),
        [b'v', b'e', b'r', b's', b'i', b'o', b'n', b' ', ..] => Some("Git LFS pointer; run `git lfs pull`"),
        _ => None,
    }
}
