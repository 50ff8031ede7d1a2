//! Softmax that can be learned through.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, Layout, Result, Shape, Tensor};
use candle_nn::ops;
use rayon::prelude::*;

use super::kernels::{is_cpu_f32, values};

/// Softmax over the last dimension: candle's kernel, which has no gradient, or where one is asked for its equal with one.
pub fn softmax_last_dim(xs: &Tensor) -> Result<Tensor> {
    match xs.track_op() {
        false => ops::softmax_last_dim(xs),
        true if is_cpu_f32(xs) => xs.contiguous()?.apply_op1(Softmax),
        true => ops::softmax(xs, D::Minus1),
    }
}

/// On a CPU in f32. Of plain operations three intermediate results would be kept for the way back; the scores of a vision block
/// of the 3B model take 88 MB each time.
struct Softmax;

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax-last-dim"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut numbers = values(xs, layout)?.to_vec();
        numbers.par_chunks_mut(width(layout)).for_each(|row| {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter_mut().for_each(|value| *value = (*value - largest).exp());
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|value| *value /= sum);
        });
        Ok((CpuStorage::F32(numbers), layout.shape().clone()))
    }

    fn bwd(&self, _xs: &Tensor, ys: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(ys.contiguous()?.apply_op2_no_bwd(&dy.contiguous()?, &SoftmaxGradient)?))
    }
}

/// `dx = y (dy - sum(y dy))`
struct SoftmaxGradient;

impl CustomOp2 for SoftmaxGradient {
    fn name(&self) -> &'static str {
        "softmax-last-dim-gradient"
    }

    fn cpu_fwd(
        &self,
        ys: &CpuStorage,
        layout: &Layout,
        dy: &CpuStorage,
        dy_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (ys, width) = (values(ys, layout)?, width(layout));
        let mut numbers = values(dy, dy_layout)?.to_vec();
        numbers.par_chunks_mut(width).zip(ys.par_chunks(width)).for_each(|(row, ys)| {
            let sum: f32 = row.iter().zip(ys).map(|(dy, y)| dy * y).sum();
            row.iter_mut().zip(ys).for_each(|(dy, y)| *dy = y * (*dy - sum));
        });
        Ok((CpuStorage::F32(numbers), layout.shape().clone()))
    }
}

fn width(layout: &Layout) -> usize {
    layout.shape().dims().last().copied().unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{Device, Var};

    use super::*;

    fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn it_is_candles_and_so_is_its_gradient() {
        let xs = Var::randn(0f32, 3., (3, 5, 70), &Device::Cpu).unwrap();
        let dy = Tensor::randn(0f32, 1., (3, 5, 70), &Device::Cpu).unwrap();
        let softened = softmax_last_dim(&xs).unwrap();
        assert!(largest_difference(&softened, &softmax_last_dim(&xs.as_detached_tensor()).unwrap()) < 1e-6);
        let gradient =
            |ys: &Tensor| (ys * &dy).unwrap().sum_all().unwrap().backward().unwrap().get(&xs).unwrap().clone();
        let plain = gradient(&ops::softmax(&xs, D::Minus1).unwrap());
        assert!(largest_difference(&gradient(&softened), &plain) < 1e-6);
    }

    #[test]
    fn what_is_masked_gets_nothing() {
        let xs = Var::new(&[[1f32, f32::NEG_INFINITY, 1.0]], &Device::Cpu).unwrap();
        let softened = softmax_last_dim(&xs).unwrap();
        assert_eq!(softened.to_vec2::<f32>().unwrap(), [[0.5, 0.0, 0.5]]);
        let gradient =
            softened.narrow(1, 0, 1).unwrap().sum_all().unwrap().backward().unwrap().get(&xs).unwrap().clone();
        assert_eq!(gradient.to_vec2::<f32>().unwrap(), [[0.25, 0.0, -0.25]]);
    }
}
