//! What can be wrong with an image or a velocity that comes from outside.

/// Why a frame or a velocity was refused. Nothing is allocated before the sizes below have been checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
}
