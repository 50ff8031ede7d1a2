//! The largest magnitude of each block, as it is or compressed in turn.

use rayon::prelude::*;

use super::dynamic_map::DYNAMIC_MAP;
use super::mean::mean;
use super::{BLOCK, NESTED_BLOCK};

/// How the magnitudes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsmaxFormat {
    /// f32: half a bit for each value of the matrix.
    Single,
    /// Quantised to 8 bits about their mean, in blocks of 256 ("double quantisation", `bnb_4bit_use_double_quant`).
    Double,
}

/// The largest magnitude of each block.
#[derive(Debug, Clone, PartialEq)]
pub enum Absmax {
    /// As f32.
    Single(Vec<f32>),
    /// As 8-bit codes.
    Double(DoubleAbsmax),
}

/// Compressed magnitudes: `absmax[b] = nested_code[codes[b]] * nested_absmax[b / 256] + offset`.
#[derive(Debug, Clone, PartialEq)]
pub struct DoubleAbsmax {
    /// One code for each block.
    pub codes: Vec<u8>,
    /// The largest distance from the offset, for each 256 blocks.
    pub nested_absmax: Vec<f32>,
    /// What the codes stand for.
    pub nested_code: Box<[f32; 256]>,
    /// The mean of all magnitudes.
    pub offset: f32,
}

impl Absmax {
    /// Keeps magnitudes in a format.
    pub(super) fn new(magnitudes: Vec<f32>, format: AbsmaxFormat) -> Self {
        match format {
            AbsmaxFormat::Single => Self::Single(magnitudes),
            AbsmaxFormat::Double => Self::Double(DoubleAbsmax::compress(magnitudes)),
        }
    }

    /// How they are kept.
    pub fn format(&self) -> AbsmaxFormat {
        match self {
            Self::Single(_) => AbsmaxFormat::Single,
            Self::Double(_) => AbsmaxFormat::Double,
        }
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        match self {
            Self::Single(magnitudes) => magnitudes.len(),
            Self::Double(double) => double.codes.len(),
        }
    }

    /// Memory they take, bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Single(magnitudes) => size_of_val(magnitudes.as_slice()),
            Self::Double(double) => {
                double.codes.len() + size_of_val(double.nested_absmax.as_slice()) + size_of_val(&*double.nested_code)
            }
        }
    }

    /// Memory that the magnitudes of `values` values would take, bytes.
    pub(super) fn bytes_of(values: u64, format: AbsmaxFormat) -> u64 {
        let blocks = values.div_ceil(BLOCK as u64);
        match format {
            AbsmaxFormat::Single => blocks * 4,
            AbsmaxFormat::Double => blocks + blocks.div_ceil(NESTED_BLOCK as u64) * 4 + 256 * 4,
        }
    }

    /// Magnitude of a block; 0 past the last.
    pub fn of_block(&self, block: usize) -> f32 {
        match self {
            Self::Single(magnitudes) => magnitudes.get(block).copied().unwrap_or_default(),
            Self::Double(double) => double.of_block(block),
        }
    }

    /// All magnitudes as f32.
    pub fn to_vec(&self) -> Vec<f32> {
        (0..self.blocks()).map(|block| self.of_block(block)).collect()
    }
}

impl DoubleAbsmax {
    fn compress(mut magnitudes: Vec<f32>) -> Self {
        let offset = mean(&magnitudes);
        magnitudes.iter_mut().for_each(|magnitude| *magnitude -= offset);
        let map = &*DYNAMIC_MAP;
        let mut codes = vec![0; magnitudes.len()];
        let nested_absmax = magnitudes
            .par_chunks(NESTED_BLOCK)
            .zip(codes.par_chunks_mut(NESTED_BLOCK))
            .map(|(distances, codes)| {
                let largest = distances.iter().fold(0.0, |largest: f32, distance| largest.max(distance.abs()));
                // Without distances any code will do, it is multiplied by zero; bitsandbytes writes 0.
                if largest > 0.0 {
                    let reciprocal = 1.0 / largest;
                    for (code, distance) in codes.iter_mut().zip(distances) {
                        *code = map.code(distance * reciprocal);
                    }
                }
                largest
            })
            .collect();
        Self { codes, nested_absmax, nested_code: Box::new(*map.values()), offset }
    }

    #[allow(clippy::indexing_slicing)] // a code is below 256
    fn of_block(&self, block: usize) -> f32 {
        let code = self.codes.get(block).copied().unwrap_or_default();
        let largest = self.nested_absmax.get(block / NESTED_BLOCK).copied().unwrap_or_default();
        self.nested_code[usize::from(code)] * largest + self.offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_magnitudes_come_back_exactly() {
        for blocks in [1, 2, 256, 257] {
            let double = Absmax::new(vec![0.75; blocks], AbsmaxFormat::Double);
            assert_eq!(double.to_vec(), vec![0.75; blocks]);
        }
    }

    #[test]
    fn the_bytes_foreseen_are_the_bytes_taken() {
        for (values, blocks) in [(1, 1), (64, 1), (65, 2), (64 * 256, 256), (64 * 256 + 1, 257)] {
            for format in [AbsmaxFormat::Single, AbsmaxFormat::Double] {
                let absmax = Absmax::new(vec![1.0; blocks], format);
                assert_eq!(Absmax::bytes_of(values, format), absmax.bytes() as u64, "{values} values, {format:?}");
            }
        }
    }
}
