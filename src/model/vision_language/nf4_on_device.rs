//! A matrix in 4 bits on a GPU: dequantised there for each product, and forgotten after it.

use candle_core::{DType, Device, Result, Tensor};

use crate::weights::nf4::{BLOCK, DequantisedFormat, Nf4Matrix, byte_values};

/// An [`Nf4Matrix`] in the memory of a device, dequantised by operations that run on it: two codes at a time are looked
/// up, then multiplied with the magnitude of their block. The values are bitsandbytes', bit for bit.
///
/// Magnitudes that were quantised themselves are kept as f32: 6 % more memory for one multiplication less.
#[derive(Debug, Clone)]
pub struct Nf4OnDevice {
    /// `[blocks * 32]`, u8
    packed: Tensor,
    /// `[blocks, 1]`, f32
    absmax: Tensor,
    /// `[256, 2]`, f32
    byte_values: Tensor,
    shape: [usize; 2],
    dequantised: DequantisedFormat,
}

impl Nf4OnDevice {
    /// Copies a matrix to a device.
    ///
    /// # Errors
    /// When the device refuses it.
    pub fn new(matrix: &Nf4Matrix, device: &Device) -> Result<Self> {
        let blocks = matrix.absmax().blocks();
        let mut packed = matrix.packed().to_vec();
        packed.resize(blocks * BLOCK / 2, 0);
        let bytes = packed.len();
        let absmax: Vec<f32> = (0..blocks).map(|block| matrix.absmax().of_block(block)).collect();
        Ok(Self {
            packed: Tensor::from_vec(packed, bytes, device)?,
            absmax: Tensor::from_vec(absmax, (blocks, 1), device)?,
            byte_values: Tensor::new(byte_values(), device)?,
            shape: matrix.shape(),
            dequantised: matrix.dequantised(),
        })
    }

    /// The matrix `[out, in]` in this format.
    ///
    /// # Errors
    /// When an operation fails, for want of memory for instance.
    pub fn dequantise(&self, dtype: DType) -> Result<Tensor> {
        // Looked up as u32: candle takes the largest number of an index's type, 255 here, for "nothing".
        let bytes = self.packed.to_dtype(DType::U32)?;
        let ratios = self.byte_values.index_select(&bytes, 0)?.reshape((self.absmax.dim(0)?, BLOCK))?;
        let values = ratios.broadcast_mul(&self.absmax)?.flatten_all()?; // [blocks * 64]
        let [rows, cols] = self.shape;
        let matrix = values.narrow(0, 0, rows * cols)?.reshape((rows, cols))?;
        match self.dequantised {
            DequantisedFormat::F32 => matrix.to_dtype(dtype),
            DequantisedFormat::Bf16 => matrix.to_dtype(DType::BF16)?.to_dtype(dtype),
        }
    }

    /// Rows and columns.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::weights::nf4::AbsmaxFormat;

    #[test]
    fn the_values_are_those_of_the_matrix() {
        for (shape, format) in [
            ([3, 64], AbsmaxFormat::Single),
            ([5, 43], AbsmaxFormat::Double),
            ([1, 1], AbsmaxFormat::Single),
            ([9, 7], AbsmaxFormat::Double),
        ] {
            let values: Vec<f32> = (0..shape[0] * shape[1]).map(|at| (at as f32 * 0.37).sin() * 3.0).collect();
            let matrix = Nf4Matrix::quantise(&values, shape, format).unwrap();
            for matrix in [matrix.clone(), matrix.with_dequantised(DequantisedFormat::Bf16)] {
                let on_device = Nf4OnDevice::new(&matrix, &Device::Cpu).unwrap();
                let tensor = on_device.dequantise(DType::F32).unwrap();
                assert_eq!(tensor.dims(), shape);
                assert_eq!(tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(), matrix.dequantise());
            }
        }
    }
}
