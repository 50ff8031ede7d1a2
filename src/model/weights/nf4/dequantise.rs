//! From codes back to values.

use rayon::prelude::*;

use super::code::{BLOCK_BYTES, decode_block, decode_byte};
use super::{BLOCK, DequantisedFormat, Nf4Matrix};

/// What one task of [`Nf4Matrix::dequantise`] writes.
const TASK_VALUES: usize = 1024 * BLOCK;

impl Nf4Matrix {
    /// All values, row-major, in parallel on the current rayon pool.
    pub fn dequantise(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.len()];
        values
            .par_chunks_mut(TASK_VALUES)
            .enumerate()
            .for_each(|(task, values)| self.dequantise_flat(task * TASK_VALUES, values));
        values
    }

    /// Writes the values from `start` on, counted row-major.
    fn dequantise_flat(&self, start: usize, out: &mut [f32]) {
        let to_next_block = (start.next_multiple_of(BLOCK) - start).min(out.len());
        let (head, rest) = out.split_at_mut(to_next_block);
        self.dequantise_within_block(start, head);
        let (whole, tail) = rest.as_chunks_mut::<BLOCK>();
        let first = start.div_ceil(BLOCK);
        let packed = self.packed().as_chunks::<BLOCK_BYTES>().0.iter().skip(first);
        for ((block, packed), values) in (first..).zip(packed).zip(whole.iter_mut()) {
            decode_block(packed, self.absmax().of_block(block), values);
        }
        self.dequantise_within_block((first + whole.len()) * BLOCK, tail);
        if self.dequantised() == DequantisedFormat::Bf16 {
            out.iter_mut().for_each(|value| *value = rounded_to_bf16(*value));
        }
    }

    /// The part of one block that begins at `start`.
    fn dequantise_within_block(&self, start: usize, out: &mut [f32]) {
        let absmax = self.absmax().of_block(start / BLOCK);
        let bytes = self.packed().iter().skip(start / 2);
        let values = bytes.flat_map(|&byte| decode_byte(byte, absmax)).skip(start % 2);
        out.iter_mut().zip(values).for_each(|(out, value)| *out = value);
    }
}

/// The nearest bf16, to even on a tie. Products of code and magnitude are never NaN, and without that case the loop
/// vectorises where `bf16::from_f32` does not.
pub(super) fn rounded_to_bf16(value: f32) -> f32 {
    let bits = value.to_bits();
    let to_nearest = 0x7fff + ((bits >> 16) & 1);
    f32::from_bits(bits.wrapping_add(to_nearest) & 0xffff_0000)
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;
    use crate::weights::nf4::AbsmaxFormat;

    #[test]
    fn bf16_rounding_is_to_nearest_even_up_to_infinity() {
        for upper in (0..=u16::MAX).map(|bits| u32::from(bits) << 16).filter(|&bits| f32::from_bits(bits).is_finite()) {
            for lower in [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
                let value = f32::from_bits(upper | lower);
                assert_eq!(rounded_to_bf16(value).to_bits(), bf16::from_f32(value).to_f32().to_bits(), "{value}");
            }
        }
    }

    #[test]
    fn bf16_results_are_the_f32_results_rounded() {
        let values: Vec<f32> = (0..640).map(|i| (i as f32 * 0.7).sin()).collect();
        let matrix = Nf4Matrix::quantise(&values, [10, 64], AbsmaxFormat::Single).unwrap();
        let rounded: Vec<f32> = matrix.dequantise().iter().map(|&value| bf16::from_f32(value).to_f32()).collect();
        assert_eq!(matrix.with_dequantised(DequantisedFormat::Bf16).dequantise(), rounded);
    }
}
