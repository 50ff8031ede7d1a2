//! A device's kernels beside candle's operations there, and beside the CPU: whether they agree.

use candle_core::{DType, Device, Result, Tensor};

use super::{AttentionPlan, attention};
use crate::vision_language::nf4_on_device::Nf4OnDevice;
use crate::weights::nf4::{AbsmaxFormat, Nf4Matrix};

/// A whole number of blocks, and neither a whole number of blocks nor of what a thread makes.
const NF4_SHAPES: [[usize; 2]; 2] = [[512, 256], [37, 43]];
/// Query heads, key heads, rows, tokens, columns of a head: enough to fill a GPU, behind a remembered prefix.
const ATTENTION: [usize; 5] = [16, 2, 1100, 1305, 128];

/// How the kernels of a device differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceTrial {
    /// NF4 values that were compared with candle's operations.
    pub nf4_values: usize,
    /// Those that became another bf16; 0 where all is well.
    pub nf4_differing: usize,
    /// Largest difference of attention in f32 from the CPU's; below [`ATTENTION_BAR`](Self::ATTENTION_BAR) where all is well.
    pub attention_difference: f32,
}

impl DeviceTrial {
    /// What the order of sums may make of attention.
    pub const ATTENTION_BAR: f32 = 1e-5;

    /// Tries a device.
    ///
    /// # Errors
    /// What candle reports.
    pub fn run(device: &Device) -> Result<Self> {
        let (nf4_values, nf4_differing) = nf4(device)?;
        Ok(Self { nf4_values, nf4_differing, attention_difference: attention_difference(device)? })
    }

    /// Whether the kernels may be trusted.
    pub fn passed(self) -> bool {
        self.nf4_differing == 0 && self.attention_difference < Self::ATTENTION_BAR
    }
}

fn waves(shape: &[usize], step: f32) -> Vec<f32> {
    (0..shape.iter().product()).map(|at: usize| (at as f32 * step).sin()).collect()
}

fn nf4(device: &Device) -> Result<(usize, usize)> {
    let (mut values, mut differing) = (0, 0);
    for shape in NF4_SHAPES {
        let matrix = Nf4Matrix::quantise(&waves(&shape, 0.37), shape, AbsmaxFormat::Double);
        let on_device = Nf4OnDevice::new(&matrix.map_err(candle_core::Error::wrap)?, device)?;
        let read = |tensor: Tensor| tensor.flatten_all()?.to_vec1::<half::bf16>();
        let fast = read(on_device.dequantise(DType::BF16)?)?;
        let plain = read(on_device.dequantise_plainly(DType::BF16)?)?;
        values += fast.len();
        differing += fast.iter().zip(&plain).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    }
    Ok((values, differing))
}

fn attention_difference(device: &Device) -> Result<f32> {
    let [heads, kv_heads, rows, seq, dim] = ATTENTION;
    let wave = |shape: [usize; 3], step| Tensor::from_vec(waves(&shape, step), &shape, &Device::Cpu);
    let parts = [wave([heads, rows, dim], 0.73)?, wave([kv_heads, seq, dim], 0.41)?, wave([kv_heads, seq, dim], 0.29)?];
    let (plan, scale) = (AttentionPlan::causal(rows, seq), (dim as f64).powf(-0.5));
    let [query, key, value] = &parts;
    let expected = attention(query, key, value, scale, plan.spans())?;
    let [query, key, value] = parts.each_ref().map(|part| part.to_device(device));
    let Some(found) = plan.attend(&query?, &key?, &value?, scale)? else { return Ok(0.0) };
    (found.to_device(&Device::Cpu)? - expected)?.abs()?.max_all()?.to_scalar()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_cpu_beside_itself_differs_in_nothing() {
        let trial = DeviceTrial::run(&Device::Cpu).unwrap();
        assert!(trial.passed() && trial.attention_difference == 0.0 && trial.nf4_values > 100_000, "{trial:?}");
        assert!(!DeviceTrial { nf4_differing: 1, ..trial }.passed());
        assert!(!DeviceTrial { attention_difference: f32::NAN, ..trial }.passed());
    }
}
