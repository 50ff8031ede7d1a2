//! What can be wrong with an image or a velocity that comes from outside.

/// Why a frame or a velocity was refused. Nothing is allocated before the sizes below have been checked.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The header's width or height is zero or beyond [`super::Frame::MAX_SIDE`].
    #[error("image is {width}x{height} pixels, expected 1 to {max} on each side; check the publisher's image size")]
    Size {
        /// Width that the header states, pixels.
        width: u64,
        /// Height that the header states, pixels.
        height: u64,
        /// Largest side that is accepted, pixels.
        max: u32,
    },
    /// The header states another size than the one that is expected.
    #[error(
        "image is {width}x{height} pixels, expected {expected_width}x{expected_height}; correct the publisher, or \
         image_width and image_height"
    )]
    UnexpectedSize {
        /// Width that the header states, pixels.
        width: u32,
        /// Height that the header states, pixels.
        height: u32,
        /// Expected width, pixels.
        expected_width: u32,
        /// Expected height, pixels.
        expected_height: u32,
    },
    /// The number of bytes does not fit width, height and three channels.
    #[error("RGB image of {width}x{height} pixels needs {expected} bytes, found {found}")]
    Length {
        /// Width, pixels.
        width: u32,
        /// Height, pixels.
        height: u32,
        /// Bytes that the size asks for.
        expected: usize,
        /// Bytes that were there.
        found: usize,
    },
    /// A pixel encoding that is not read. Names are compared to the letter, as ROS does.
    #[error(
        "encoding is '{found}', expected one of {supported}; convert the images or choose another topic with --image-topic"
    )]
    Encoding {
        /// The message's `encoding` field.
        found: String,
        /// The names that are read.
        supported: &'static str,
    },
    /// `step` is shorter than a row of pixels.
    #[error("step is {step} bytes, but a row of {width} {encoding} pixels needs at least {needed}")]
    Step {
        /// The message's `step` field, bytes.
        step: u32,
        /// Width, pixels.
        width: u32,
        /// Name of the pixel encoding.
        encoding: &'static str,
        /// Bytes that a row needs.
        needed: u64,
    },
    /// `data` is not `step * height` bytes long.
    #[error("data holds {found} bytes, expected {expected} (step {step} x height {height})")]
    DataLength {
        /// Bytes that were there.
        found: usize,
        /// `step * height`.
        expected: u64,
        /// The message's `step` field, bytes.
        step: u32,
        /// The message's `height` field, rows.
        height: u32,
    },
    /// The bytes are neither PNG nor JPEG.
    #[error(
        "compressed image of {length} bytes begins with {magic}{}, expected a PNG or a JPEG",
        .looks_like.map(|kind| format!(" ({kind})")).unwrap_or_default()
    )]
    UnknownImageFile {
        /// Bytes that were there.
        length: usize,
        /// The first bytes in hexadecimal, or `nothing`.
        magic: String,
        /// What else they are those of.
        looks_like: Option<&'static str>,
    },
    /// A compressed depth image: ranges, no colours.
    #[error(
        "format field is '{field}', a depth image, expected a PNG or JPEG of colours; choose another topic with \
         --image-topic"
    )]
    DepthImage {
        /// The message's `format` field.
        field: String,
    },
    /// A grey picture of 16 bits, which Pillow's `convert("RGB")` cuts off at 255.
    #[error(
        "a grey {format} of 16 bits: training cuts its values off at 255, which leaves next to nothing of it, expected 8 \
         bits or colours; save it with 8 bits"
    )]
    WideGrey {
        /// `PNG` or `JPEG`.
        format: &'static str,
    },
    /// The `format` field of a compressed image names something other than what the bytes are.
    #[error("format field is '{field}', but the bytes are a {content}; correct the publisher's format field")]
    FormatDisagrees {
        /// The message's `format` field.
        field: String,
        /// What the first bytes say: `PNG` or `JPEG`.
        content: &'static str,
    },
    /// A PNG or JPEG that does not decode.
    #[error("{format} of {length} bytes does not decode: {reason}")]
    Decode {
        /// `PNG` or `JPEG`.
        format: &'static str,
        /// Bytes that were there.
        length: usize,
        /// What the decoder said.
        reason: String,
    },
    /// A velocity that no ground robot has, or not a number at all.
    #[error("{component} velocity is {value}, expected a finite value within ±{limit}; check the odometry source")]
    Velocity {
        /// `linear` or `angular`.
        component: &'static str,
        /// What was found (m/s or rad/s).
        value: f64,
        /// Largest accepted magnitude (m/s or rad/s).
        limit: f64,
    },
    /// History offsets that name no past frames.
    #[error(
        "history offsets are {found:?}, expected 1 to {max} in rising order, such as [1, 2]; check history_offsets"
    )]
    HistoryOffsets {
        /// The offsets that were given.
        found: Vec<usize>,
        /// Largest accepted offset, decision steps.
        max: usize,
    },
}
