//! Why a matrix cannot be had in 4-bit form.

use crate::checkpoint::CheckpointError;

/// Why a matrix was not quantised, put together or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Nf4Error {
    /// A part has not the size that the shape asks for.
    #[error("a 4-bit matrix of shape {shape:?} has {expected} {part}, found {found}")]
    Size {
        /// Rows and columns.
        shape: [usize; 2],
        /// What was counted.
        part: &'static str,
        /// The number it must have; `usize::MAX` when the shape is beyond counting.
        expected: usize,
        /// The number it has.
        found: usize,
    },
    /// A weight that is not a number.
    #[error("row {row}, column {column} is {value}: only finite weights can be quantised; the checkpoint is damaged")]
    NotFinite {
        /// Row of the matrix.
        row: usize,
        /// Column of the matrix.
        column: usize,
        /// NaN or infinite.
        value: f32,
    },
    /// A matrix stored in a 4-bit form that is not read here.
    #[error("{file}: '{tensor}' is stored in 4 bits with {what}")]
    Stored {
        /// The file that holds the tensor.
        file: String,
        /// The tensor, such as `model.layers.0.mlp.up_proj.weight`, or the part of it that is wrong.
        tensor: String,
        /// What was found, what was expected, and what to do.
        what: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}
