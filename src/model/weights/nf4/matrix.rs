//! A matrix in 4 bits.

use super::{Absmax, AbsmaxFormat, BLOCK, NESTED_BLOCK, Nf4Error};

/// A matrix `[rows, cols]`, the weight of a linear layer as `[out, in]`, quantised to NormalFloat4.
///
/// Blocks of 64 run over the row-major values and cross rows where a row is no multiple of 64; the last may be short.
#[derive(Debug, Clone, PartialEq)]
pub struct Nf4Matrix {
    shape: [usize; 2],
    packed: Vec<u8>,
    absmax: Absmax,
    dequantised: DequantisedFormat,
}

/// What the products of code and magnitude are rounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DequantisedFormat {
    /// Nothing: they are f32.
    #[default]
    F32,
    /// bfloat16, as bitsandbytes does for a matrix that was bf16 before it was quantised.
    Bf16,
}

impl Nf4Matrix {
    /// From parts that were made elsewhere: `packed` holds two codes a byte, the first in the upper half.
    ///
    /// # Errors
    /// [`Nf4Error::Size`] when a part is larger or smaller than the shape asks for.
    pub fn from_parts(shape: [usize; 2], packed: Vec<u8>, absmax: Absmax) -> Result<Self, Nf4Error> {
        let size = |part, expected, found| {
            if expected == found { Ok(()) } else { Err(Nf4Error::Size { shape, part, expected, found }) }
        };
        let values = shape[0].saturating_mul(shape[1]);
        size("bytes of codes", values.div_ceil(2), packed.len())?;
        size("block magnitudes", values.div_ceil(BLOCK), absmax.blocks())?;
        if let Absmax::Double(double) = &absmax {
            let expected = absmax.blocks().div_ceil(NESTED_BLOCK);
            size("nested magnitudes", expected, double.nested_absmax.len())?;
        }
        Ok(Self { shape, packed, absmax, dequantised: DequantisedFormat::default() })
    }

    /// The same matrix, its values rounded to `format` whenever they are dequantised.
    #[must_use]
    pub fn with_dequantised(self, format: DequantisedFormat) -> Self {
        Self { dequantised: format, ..self }
    }

    /// Rows and columns.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    /// Two codes a byte, the first in the upper half, row-major.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// The magnitudes of the blocks.
    pub fn absmax(&self) -> &Absmax {
        &self.absmax
    }

    /// What dequantised values are rounded to.
    pub fn dequantised(&self) -> DequantisedFormat {
        self.dequantised
    }

    /// Memory that a matrix of this shape would take, bytes.
    pub fn bytes_of([rows, cols]: [usize; 2], format: AbsmaxFormat) -> u64 {
        let values = (rows as u64).saturating_mul(cols as u64);
        values.div_ceil(2).saturating_add(Absmax::bytes_of(values, format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_another_size_are_named() {
        let refused = |shape, bytes, blocks| {
            Nf4Matrix::from_parts(shape, vec![0; bytes], Absmax::Single(vec![1.0; blocks])).unwrap_err().to_string()
        };
        assert_eq!(refused([3, 43], 64, 3), "a 4-bit matrix of shape [3, 43] has 65 bytes of codes, found 64");
        assert_eq!(refused([3, 43], 65, 2), "a 4-bit matrix of shape [3, 43] has 3 block magnitudes, found 2");
        assert!(refused([usize::MAX, 2], 64, 1).contains("found 64"));
        let double = Absmax::new(vec![1.0; 2], AbsmaxFormat::Double);
        let Absmax::Double(double) = double else { unreachable!() };
        let longer = Absmax::Double(super::super::DoubleAbsmax { nested_absmax: vec![1.0; 2], ..double });
        let error = Nf4Matrix::from_parts([1, 128], vec![0; 64], longer).unwrap_err().to_string();
        assert_eq!(error, "a 4-bit matrix of shape [1, 128] has 1 nested magnitudes, found 2");
    }
}
