//! NF4 on a device by the project's kernel and by candle's operations: whether they agree.

use candle_core::{DType, Device, Result};

use crate::vision_language::nf4_on_device::Nf4OnDevice;
use crate::weights::nf4::{AbsmaxFormat, Nf4Matrix};

/// A whole number of blocks, and neither a whole number of blocks nor of what a thread makes.
const SHAPES: [[usize; 2]; 2] = [[512, 256], [37, 43]];

/// How many values of trial matrices the device's kernel makes another bf16 of than candle's operations do there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nf4Trial {
    /// Values that were compared.
    pub values: usize,
    /// Those that differ; 0 where all is well.
    pub differing: usize,
}

impl Nf4Trial {
    /// Widens trial matrices on a device.
    ///
    /// # Errors
    /// What candle reports.
    pub fn run(device: &Device) -> Result<Self> {
        let mut trial = Self { values: 0, differing: 0 };
        for shape in SHAPES {
            let values: Vec<f32> = (0..shape[0] * shape[1]).map(|at| (at as f32 * 0.37).sin() * 0.1).collect();
            let matrix = Nf4Matrix::quantise(&values, shape, AbsmaxFormat::Double).map_err(candle_core::Error::wrap)?;
            let on_device = Nf4OnDevice::new(&matrix, device)?;
            let read = |tensor: candle_core::Tensor| tensor.flatten_all()?.to_vec1::<half::bf16>();
            let fast = read(on_device.dequantise(DType::BF16)?)?;
            let plain = read(on_device.dequantise_plainly(DType::BF16)?)?;
            trial.values += fast.len();
            trial.differing += fast.iter().zip(&plain).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        }
        Ok(trial)
    }

    /// Whether the kernel may be trusted.
    pub fn passed(self) -> bool {
        self.differing == 0
    }
}
