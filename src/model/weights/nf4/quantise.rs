//! From weights to codes.

use rayon::prelude::*;

use super::code::{BLOCK_BYTES, encode_block};
use super::{Absmax, AbsmaxFormat, BLOCK, NESTED_BLOCK, Nf4Error, Nf4Matrix};
use crate::weights::Widen;

/// What one task quantises: enough to be worth a task, little enough to share out.
const TASK_BLOCKS: usize = NESTED_BLOCK;

/// A smaller magnitude would make the reciprocal infinite.
const LEAST_DIVISOR: f32 = 1e-38;

impl Nf4Matrix {
    /// Quantises row-major values `[rows, cols]`, in parallel on the current rayon pool.
    ///
    /// # Errors
    /// [`Nf4Error::Size`] when the number of values is not that of the shape, [`Nf4Error::NotFinite`] for the first
    /// value that is NaN or infinite.
    pub fn quantise<T: Widen>(values: &[T], shape: [usize; 2], format: AbsmaxFormat) -> Result<Self, Nf4Error> {
        let [rows, cols] = shape;
        let expected = rows.saturating_mul(cols);
        if values.len() != expected {
            return Err(Nf4Error::Size { shape, part: "values", expected, found: values.len() });
        }
        let mut packed = vec![0; expected.div_ceil(2)];
        let mut magnitudes = vec![0.0; expected.div_ceil(BLOCK)];
        values
            .par_chunks(TASK_BLOCKS * BLOCK)
            .zip(packed.par_chunks_mut(TASK_BLOCKS * BLOCK_BYTES))
            .zip(magnitudes.par_chunks_mut(TASK_BLOCKS))
            .for_each(|((values, packed), magnitudes)| quantise_blocks(values, packed, magnitudes));
        if magnitudes.iter().any(|magnitude| !magnitude.is_finite()) {
            return Err(first_not_finite(values, cols));
        }
        Self::from_parts(shape, packed, Absmax::new(magnitudes, format))
    }
}

/// Quantises consecutive blocks; only a matrix's last may be short.
fn quantise_blocks<T: Widen>(values: &[T], packed: &mut [u8], magnitudes: &mut [f32]) {
    let (whole, short) = values.as_chunks::<BLOCK>();
    // A short block of 63 values fills as many bytes as a whole one: the values decide which blocks are whole.
    let (whole_packed, short_packed) = packed.split_at_mut(whole.len() * BLOCK_BYTES);
    let whole_packed = whole_packed.as_chunks_mut::<BLOCK_BYTES>().0;
    for ((values, packed), magnitude) in whole.iter().zip(whole_packed).zip(magnitudes.iter_mut()) {
        let mut ratios = values.map(Widen::widen);
        *magnitude = largest_magnitude(&ratios);
        let reciprocal = 1.0 / magnitude.max(LEAST_DIVISOR);
        ratios.iter_mut().for_each(|value| *value *= reciprocal);
        encode_block(&ratios, packed);
    }
    if let (false, Some(magnitude)) = (short.is_empty(), magnitudes.last_mut()) {
        let mut ratios = [0.0; BLOCK];
        ratios.iter_mut().zip(short).for_each(|(ratio, value)| *ratio = value.widen());
        // bitsandbytes divides in a short block where it multiplies with a reciprocal in a whole one.
        *magnitude = largest_magnitude(&ratios).max(LEAST_DIVISOR);
        ratios.iter_mut().for_each(|value| *value /= *magnitude);
        let mut block = [0; BLOCK_BYTES];
        encode_block(&ratios, &mut block);
        short_packed.iter_mut().zip(block).for_each(|(byte, code)| *byte = code);
    }
}

/// Largest magnitude of a block; infinite or NaN if a value is.
///
/// Bit patterns of magnitudes are ordered as the magnitudes are, infinity and then NaN last, and their maximum
/// vectorises where that of floats does not.
fn largest_magnitude(values: &[f32; BLOCK]) -> f32 {
    let bits = |value: &f32| (value.to_bits() & 0x7fff_ffff) as i32;
    f32::from_bits(values.iter().map(bits).fold(0, i32::max) as u32)
}

fn first_not_finite<T: Widen>(values: &[T], cols: usize) -> Nf4Error {
    let found = values.iter().map(|value| value.widen()).enumerate().find(|(_, value)| !value.is_finite());
    let (index, value) = found.unwrap_or((0, f32::NAN));
    Nf4Error::NotFinite { row: index / cols, column: index % cols, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_of_one_value_keeps_it() {
        for format in [AbsmaxFormat::Single, AbsmaxFormat::Double] {
            let matrix = Nf4Matrix::quantise(&[-2.5_f32], [1, 1], format).unwrap();
            assert_eq!(matrix.packed(), [0x07], "the unused half byte means zero");
            assert_eq!(matrix.dequantise(), [-2.5]);
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        for format in [AbsmaxFormat::Single, AbsmaxFormat::Double] {
            for cols in [64, 100] {
                let matrix = Nf4Matrix::quantise(&vec![0.0_f32; 2 * cols], [2, cols], format).unwrap();
                assert!(matrix.packed().iter().all(|&byte| byte == 0x77));
                assert!(matrix.dequantise().iter().all(|&value| value == 0.0));
            }
        }
    }

    #[test]
    fn a_short_block_of_any_length_is_packed_to_its_last_value() {
        for count in 1..=2 * BLOCK {
            let matrix = Nf4Matrix::quantise(&vec![3.0_f32; count], [1, count], AbsmaxFormat::Single).unwrap();
            assert_eq!(matrix.dequantise(), vec![3.0; count], "{count} values");
        }
    }

    #[test]
    fn an_empty_matrix_is_one() {
        for format in [AbsmaxFormat::Single, AbsmaxFormat::Double] {
            let matrix = Nf4Matrix::quantise::<f32>(&[], [0, 64], format).unwrap();
            assert!(matrix.dequantise().is_empty());
        }
    }

    #[test]
    fn the_first_value_that_is_not_finite_is_named() {
        for (index, value) in [(0, f32::NAN), (70, f32::INFINITY), (149, f32::NEG_INFINITY)] {
            let mut values = vec![0.5_f32; 150];
            values[index] = value;
            let error = Nf4Matrix::quantise(&values, [3, 50], AbsmaxFormat::Single).unwrap_err().to_string();
            assert!(error.starts_with(&format!("row {}, column {} is {value}", index / 50, index % 50)), "{error}");
        }
    }

    #[test]
    fn another_number_of_values_is_refused() {
        let error = Nf4Matrix::quantise(&[0.0_f32; 7], [2, 4], AbsmaxFormat::Single).unwrap_err().to_string();
        assert_eq!(error, "a 4-bit matrix of shape [2, 4] has 8 values, found 7");
    }
}
