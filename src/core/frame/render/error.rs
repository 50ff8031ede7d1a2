//! Why a scene was not drawn.

use crate::frame::FrameError;

/// Why a scene was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// More beams than any planar scanner has.
    #[error("scan has {found} ranges, expected at most {max}; check the LaserScan publisher")]
    TooManyRanges {
        /// Beams in the message.
        found: usize,
        /// Most that are accepted.
        max: usize,
    },
    /// Without finite angles and limits no beam can be placed.
    #[error("scan {field} is {value}, expected {expected}; check the LaserScan publisher")]
    Scan {
        /// Field of the message.
        field: &'static str,
        /// What was found (rad or m).
        value: f32,
        /// What is accepted.
        expected: &'static str,
    },
    /// The robot is nowhere.
    #[error("pose {field} is {value}, expected a finite number; check the odometry source")]
    Pose {
        /// `x`, `y` or `yaw`.
        field: &'static str,
        /// What was found (m or rad).
        value: f64,
    },
    /// A plan of absurd length.
    #[error("path has {found} points, expected at most {max}; check the plan's publisher")]
    TooManyPathPoints {
        /// Points in the message.
        found: usize,
        /// Most that are accepted.
        max: usize,
    },
    /// The buffer to draw into does not fit the picture.
    #[error("buffer has {found} bytes, a picture needs {expected}")]
    Buffer {
        /// Bytes of a picture.
        expected: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// A scene file that is not the JSON that `planner_tuner render --help` describes.
    #[error("scene file {file}: {source}; expected scan, pose and path")]
    SceneFile {
        /// The file.
        file: String,
        /// Where and what.
        source: serde_json::Error,
    },
    /// The picture was refused as a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
}
