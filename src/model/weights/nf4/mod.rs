//! 4-bit NormalFloat weights, value for value those of bitsandbytes.
//!
//! A matrix is cut, row-major and across its rows, into blocks of 64 values. A block keeps its largest magnitude
//! (`absmax`) and for each value the 4-bit code of its ratio to it (QLoRA, Dettmers et al. 2023, section 3).
//! That makes 4.5 bits a value; [double quantisation](AbsmaxFormat::Double) compresses the magnitudes and makes 4.127.
//!
//! Codes and magnitudes are bit for bit those that bitsandbytes 0.50 computes on a CPU; the decision thresholds, the
//! use of a reciprocal and the order of the mean are its, including where they differ from the shortest way.

mod absmax;
mod code;
mod dequantise;
mod dynamic_map;
mod error;
mod lookup;
mod matrix;
mod mean;
mod panels;
mod quantise;
mod stored;

pub use absmax::{Absmax, AbsmaxFormat, DoubleAbsmax};
pub use code::byte_values;
pub use error::Nf4Error;
pub use matrix::{DequantisedFormat, Nf4Matrix};
pub use panels::Nf4Panels;
pub use stored::{StoredNf4, companion_of};

/// Values that share one `absmax`.
pub const BLOCK: usize = 64;

/// `absmax` values that share one `nested_absmax` in double quantisation.
pub const NESTED_BLOCK: usize = 256;
