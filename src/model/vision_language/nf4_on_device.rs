//! A matrix in 4 bits on a GPU: dequantised there for each product, and forgotten after it.

#[cfg(feature = "cuda")]
use candle_core::{CpuStorage, CudaStorage, CustomOp2, Layout, Shape};
use candle_core::{DType, Device, Result, Tensor};

use crate::weights::nf4::{BLOCK, DequantisedFormat, Nf4Matrix, byte_values};

/// An [`Nf4Matrix`] in the memory of a device, dequantised there: each code is looked up and multiplied with the magnitude
/// of its block. The values are bitsandbytes', bit for bit.
///
/// Magnitudes that were quantised themselves are kept as f32: 6 % more memory for one multiplication less.
#[derive(Debug, Clone)]
pub struct Nf4OnDevice {
    /// `[blocks * 32]`, u8
    packed: Tensor,
    /// `[blocks, 1]`, f32
    absmax: Tensor,
    shape: [usize; 2],
    /// What it is dequantised to: zeros behind its rows and columns.
    padded: [usize; 2],
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
            shape: matrix.shape(),
            padded: matrix.shape(),
            dequantised: matrix.dequantised(),
        })
    }

    /// As it is, with so many rows and columns in all, those behind its own zero.
    pub fn padded(self, rows: usize, cols: usize) -> Self {
        let [own_rows, own_cols] = self.shape;
        Self { padded: [rows.max(own_rows), cols.max(own_cols)], ..self }
    }

    /// The matrix `[out, in]` in this format.
    ///
    /// # Errors
    /// When an operation fails, for want of memory for instance.
    pub fn dequantise(&self, dtype: DType) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if dtype == DType::BF16 && self.packed.device().is_cuda() {
            return self.packed.apply_op2_no_bwd(&self.absmax, &Nf4ToBf16 { shape: self.shape, padded: self.padded });
        }
        self.dequantise_plainly(dtype)
    }

    /// By candle's operations: the kernel's oracle, and what f32 takes.
    ///
    /// # Errors
    /// As [`Self::dequantise`].
    pub fn dequantise_plainly(&self, dtype: DType) -> Result<Tensor> {
        // Looked up as u32: candle takes the largest number of an index's type, 255 here, for "nothing".
        let bytes = self.packed.to_dtype(DType::U32)?;
        let byte_values = Tensor::new(byte_values(), self.packed.device())?; // [256, 2]
        let ratios = byte_values.index_select(&bytes, 0)?.reshape((self.absmax.dim(0)?, BLOCK))?;
        let values = ratios.broadcast_mul(&self.absmax)?.flatten_all()?; // [blocks * 64]
        let [rows, cols] = self.shape;
        let matrix = values.narrow(0, 0, rows * cols)?.reshape((rows, cols))?;
        let [all_rows, all_cols] = self.padded;
        let matrix = matrix.pad_with_zeros(0, 0, all_rows - rows)?.pad_with_zeros(1, 0, all_cols - cols)?;
        match self.dequantised {
            DequantisedFormat::F32 => matrix.to_dtype(dtype),
            DequantisedFormat::Bf16 => matrix.to_dtype(DType::BF16)?.to_dtype(dtype),
        }
    }

    /// Rows and columns, without the zeros.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }
}

#[cfg(feature = "cuda")]
/// `nf4_to_bf16`: codes and magnitudes to the matrix, in one pass on a GPU.
struct Nf4ToBf16 {
    shape: [usize; 2],
    padded: [usize; 2],
}

#[cfg(feature = "cuda")]
impl CustomOp2 for Nf4ToBf16 {
    fn name(&self) -> &'static str {
        "nf4-to-bf16"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        candle_core::bail!("{} is for a GPU; a CPU keeps panels", self.name())
    }

    fn cuda_fwd(
        &self,
        packed: &CudaStorage,
        packed_layout: &Layout,
        absmax: &CudaStorage,
        absmax_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        use candle_core::backend::BackendStorage as _;
        use candle_core::cuda_backend::WrapErr as _;
        use candle_core::cuda_backend::cudarc::driver::PushKernelArg as _;
        let [rows, cols] = self.shape;
        let count = rows * cols;
        let too_large = || candle_core::Error::Msg(format!("a matrix of {rows}x{cols} values is beyond the kernel"));
        let [all_rows, stride] = self.padded;
        let launch = super::cuda::nf4_launch(all_rows * stride).and(super::cuda::nf4_launch(count));
        let launch = launch.ok_or_else(too_large)?;
        let numbers = [count, cols, stride].map(|number| number as u32);
        let device = packed.device().clone();
        let packed = packed.as_cuda_slice::<u8>()?.slice(packed_layout.start_offset()..);
        let absmax = absmax.as_cuda_slice::<f32>()?.slice(absmax_layout.start_offset()..);
        let kernel = device.get_or_load_custom_func("nf4_to_bf16", "planner_tuner_nf4", super::cuda::NF4)?;
        #[allow(unsafe_code)]
        // SAFETY: every value is zero or written by the launch below, and nobody reads them before: there is one stream. The kernel
        // reads ceil(count / 64) * 32 bytes and as many magnitudes as there are blocks, which is what `new` made.
        let out = unsafe {
            let out = match self.shape == self.padded {
                true => device.alloc::<half::bf16>(count)?,
                false => device.alloc_zeros::<half::bf16>(all_rows * stride)?,
            };
            let mut builder = kernel.builder();
            builder.arg(&packed).arg(&absmax).arg(&out);
            let [count, cols, stride] = &numbers;
            builder.arg(count).arg(cols).arg(stride);
            builder.launch(launch).w()?;
            out
        };
        Ok((CudaStorage::wrap_cuda_slice(out, device), Shape::from((all_rows, stride))))
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
                let [rows, cols] = shape;
                let padded = on_device.padded(rows + 1, cols + 3).dequantise(DType::F32).unwrap();
                assert_eq!(padded.dims(), [rows + 1, cols + 3]);
                let own = padded.narrow(0, 0, rows).unwrap().narrow(1, 0, cols).unwrap();
                let sum = |tensor: &Tensor| tensor.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
                assert_eq!(sum(&(own - &tensor).unwrap()), 0.0);
                assert!((sum(&padded) - sum(&tensor)).abs() <= 1e-6 * sum(&tensor), "zeros around it");
            }
        }
    }
}
