//! A device's kernels beside candle's operations there, and beside the CPU: whether they agree.

use candle_core::{DType, Device, Result, Tensor};

use super::{AttentionPlan, AttentionSpan, attention};
use crate::vision_language::nf4_on_device::Nf4OnDevice;
use crate::weights::nf4::{AbsmaxFormat, Nf4Matrix};

/// A whole number of blocks, and neither a whole number of blocks nor of what a thread makes.
const NF4_SHAPES: [[usize; 2]; 2] = [[512, 256], [37, 43]];
/// An attention to try: enough rows to fill a GPU.
struct Case {
    heads: usize,
    kv_heads: usize,
    seq: usize,
    dim: usize,
    plan: AttentionPlan,
    rows: usize,
}

impl Case {
    /// Behind a remembered prefix, as in the language model; windows of the 3B vision tower's sizes; and its whole image.
    fn all() -> [Self; 3] {
        let windows = [64; 12].iter().chain(&[32; 6]).chain(&[16; 4]).scan(0, |end, size| {
            *end += size;
            Some(*end - size..*end)
        });
        let windows: Vec<AttentionSpan> = windows.flat_map(AttentionSpan::full).collect();
        let patches = windows.last().map_or(0, |span| span.queries.end);
        [
            Self { heads: 16, kv_heads: 2, rows: 1100, seq: 1305, dim: 128, plan: AttentionPlan::causal(1100, 1305) },
            Self { heads: 16, kv_heads: 16, rows: patches, seq: patches, dim: 80, plan: AttentionPlan::new(windows) },
            Self {
                heads: 16,
                kv_heads: 16,
                rows: 1176,
                seq: 1176,
                dim: 80,
                plan: AttentionPlan::new(AttentionSpan::full(0..1176).collect()),
            },
        ]
    }
}

/// How the kernels of a device differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceTrial {
    /// NF4 values that were compared with candle's operations.
    pub nf4_values: usize,
    /// Those that became another bf16; 0 where all is well.
    pub nf4_differing: usize,
    /// Largest difference of attention in f32 from the CPU's; below [`ATTENTION_BAR`](Self::ATTENTION_BAR) where all is well.
    pub attention_difference: f32,
    /// The same with values and results in bf16, as a share of the largest result; below [`BF16_BAR`](Self::BF16_BAR) where
    /// all is well.
    pub bf16_attention_difference: f32,
}

impl DeviceTrial {
    /// What the order of sums may make of attention.
    pub const ATTENTION_BAR: f32 = 1e-5;
    /// Half a unit in the last place of bf16.
    pub const BF16_BAR: f32 = 4e-3;

    /// Tries a device.
    ///
    /// # Errors
    /// What candle reports.
    pub fn run(device: &Device) -> Result<Self> {
        let (nf4_values, nf4_differing) = nf4(device)?;
        let [attention_difference, bf16_attention_difference] = attention_differences(device)?;
        Ok(Self { nf4_values, nf4_differing, attention_difference, bf16_attention_difference })
    }

    /// Whether the kernels may be trusted.
    pub fn passed(self) -> bool {
        self.nf4_differing == 0
            && self.attention_difference < Self::ATTENTION_BAR
            && self.bf16_attention_difference < Self::BF16_BAR
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

/// In f32, and in bf16.
fn attention_differences(device: &Device) -> Result<[f32; 2]> {
    let mut largest = [0.0_f32; 2];
    for Case { heads, kv_heads, rows, seq, dim, plan } in Case::all() {
        let wave = |shape: [usize; 3], step| Tensor::from_vec(waves(&shape, step), &shape, &Device::Cpu);
        let (query, key) = (wave([heads, rows, dim], 0.73)?, wave([kv_heads, seq, dim], 0.41)?);
        let exact = wave([kv_heads, seq, dim], 0.29)?;
        let narrow = exact.to_dtype(DType::BF16)?;
        let scale = (dim as f64).powf(-0.5);
        // A CPU has no attention in bf16, and needs none.
        let values = if device.is_cpu() { vec![&exact] } else { vec![&exact, &narrow] };
        for (value, largest) in values.into_iter().zip(&mut largest) {
            let expected = attention(&query, &key, &value.to_dtype(DType::F32)?, scale, plan.spans())?;
            let [on_query, on_key, on_value] = [&query, &key, value].map(|part| part.to_device(device));
            let Some(found) = plan.attend(&on_query?, &on_key?, &on_value?, scale)? else {
                candle_core::bail!("no kernel takes {rows} rows of {heads} heads on this device");
            };
            let found = found.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
            let most = |tensor: &Tensor| tensor.abs()?.max_all()?.to_scalar::<f32>();
            let unit = if value.dtype() == DType::BF16 { most(&expected)? } else { 1.0 };
            let distance = most(&(found - expected)?)? / unit;
            // `f32::max` would swallow a NaN.
            if distance.is_nan() || distance > *largest {
                *largest = distance;
            }
        }
    }
    Ok(largest)
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
