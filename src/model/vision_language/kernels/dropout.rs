//! Dropout whose mask is a function of a seed and a number's place: the same on every device, and again on the way back, without
//! being kept.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::attention::values;

/// Numbers that one task works on.
const TASK: usize = 1 << 14;

/// Some numbers become zero, the others larger by as much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DropoutMask {
    seed: [u32; 2],
    /// Whatever is drawn below it is left out.
    threshold: u32,
    kept: f32,
}

impl DropoutMask {
    /// Leaves out a share in [0, 1).
    pub fn new(seed: u64, share: f64) -> Self {
        let threshold = (share.clamp(0.0, 1.0) * f64::from(u32::MAX)) as u32;
        Self { seed: [seed as u32, (seed >> 32) as u32], threshold, kept: (1.0 / (1.0 - share)) as f32 }
    }

    /// Seed, threshold and factor, as the CUDA kernel takes them.
    #[cfg(test)]
    pub(in crate::vision_language) fn numbers(self) -> ([u32; 2], u32, f32) {
        (self.seed, self.threshold, self.kept)
    }

    /// What a number of this place is multiplied by.
    fn factor(self, index: u32) -> f32 {
        if draw(index, self.seed) < self.threshold { 0.0 } else { self.kept }
    }
}

/// Mixes a place with the seed: the rounds of a 32-bit hash, each half of the seed before one of them. `cuda/dropout.cu` has it as
/// well.
fn draw(index: u32, [low, high]: [u32; 2]) -> u32 {
    let mut bits = index.wrapping_mul(0x9E37_79B9) ^ low;
    bits ^= bits >> 16;
    bits = bits.wrapping_mul(0x21F0_AAAD).wrapping_add(high);
    bits ^= bits >> 15;
    bits = bits.wrapping_mul(0xD35A_2D97);
    bits ^ (bits >> 15)
}

impl CustomOp1 for DropoutMask {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut numbers = values(xs, layout)?.to_vec();
        numbers.par_chunks_mut(TASK).enumerate().for_each(|(task, numbers)| {
            let first = (task * TASK) as u32;
            numbers.iter_mut().zip(first..).for_each(|(number, index)| *number *= self.factor(index));
        });
        Ok((CpuStorage::F32(numbers), layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, xs: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        use crate::vision_language::cuda;
        use candle_core::backend::BackendStorage as _;
        use candle_core::cuda_backend::WrapErr as _;
        use candle_core::cuda_backend::cudarc::driver::PushKernelArg as _;
        let gaps = || candle_core::Error::Msg("a tensor for dropout has gaps".into());
        let (start, end) = layout.contiguous_offsets().ok_or_else(gaps)?;
        let too_many = || candle_core::Error::Msg(format!("{} numbers are beyond the kernel", end - start));
        let launch = cuda::dropout_launch(end - start).ok_or_else(too_many)?;
        let device = xs.device().clone();
        let xs = xs.as_cuda_slice::<f32>()?.slice(start..end);
        let kernel = device.get_or_load_custom_func("dropout_f32", "planner_tuner_dropout", cuda::DROPOUT)?;
        let (count, [low, high]) = ((end - start) as u32, self.seed);
        #[allow(unsafe_code)]
        // SAFETY: the launch below writes every one of `count` numbers and reads as many of `xs`, before anybody reads them: there
        // is one stream.
        let out = unsafe {
            let out = device.alloc::<f32>(end - start)?;
            let mut builder = kernel.builder();
            builder.arg(&xs).arg(&out).arg(&count).arg(&low).arg(&high).arg(&self.threshold).arg(&self.kept);
            builder.launch(launch).w()?;
            out
        };
        Ok((CudaStorage::wrap_cuda_slice(out, device), layout.shape().clone()))
    }

    fn bwd(&self, _xs: &Tensor, _ys: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        dy.contiguous()?.apply_op1_no_bwd(self).map(Some)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{DType, Device, Var};

    use super::*;

    #[test]
    fn a_share_is_left_out_and_the_way_back_leaves_out_the_same() {
        let ones = Var::ones((300, 400), DType::F32, &Device::Cpu).unwrap();
        for share in [0.05, 0.25, 0.5] {
            let mask = DropoutMask::new(0x1234_5678_9abc_def0, share);
            let ys = ones.apply_op1(mask).unwrap();
            let found = ys.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let zeros = found.iter().filter(|value| **value == 0.0).count() as f64 / found.len() as f64;
            assert!((zeros - share).abs() < 0.005, "{zeros} of {share}");
            assert!(found.iter().all(|value| *value == 0.0 || *value == (1.0 / (1.0 - share)) as f32));
            let gradient = ys.sum_all().unwrap().backward().unwrap().get(&ones).unwrap().clone();
            assert_eq!(gradient.flatten_all().unwrap().to_vec1::<f32>().unwrap(), found);
        }
    }

    /// Neither neighbours in a row nor rows below each other share a fate.
    #[test]
    fn places_are_drawn_for_on_their_own() {
        let zero = |index: u32, seed: u64| DropoutMask::new(seed, 0.5).factor(index) == 0.0;
        for step in [1, 2, 64, 128, 2048, 11008] {
            let same = (0..100_000).filter(|index| zero(*index, 7) == zero(index + step, 7)).count();
            assert!((49_000..51_000).contains(&same), "{same} pairs {step} apart agree");
        }
        let same = (0..100_000).filter(|index| zero(*index, 7) == zero(*index, 8)).count();
        assert!((49_000..51_000).contains(&same), "{same} of two seeds agree");
    }
}
