//! Why a picture was not made.

use std::path::PathBuf;

use crate::frame::{EncodeError, FrameError};

/// Why a picture was not made or not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The picture cannot be written where it was wanted.
    #[error("cannot write picture {path}: {source}; check that the folder exists and is writable")]
    Write {
        /// The wanted file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There is no decision to plot.
    #[error("there is no decision to plot; was every frame of the recording skipped?")]
    NothingToPlot,
    /// Panels belong to one planner's parameters.
    #[error("a plot shows one planner, found decisions for {first} and {other}")]
    SeveralPlanners {
        /// Planner of the first decision.
        first: String,
        /// Another planner among the decisions.
        other: String,
    },
    /// The plotting library gave up.
    #[error("cannot draw the plot: {0}")]
    Draw(String),
    /// The picture was refused as a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The picture cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}
