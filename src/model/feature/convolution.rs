//! Convolutions that can be learned through quickly.
//!
//! candle's convolutions have a gradient, but it is computed by plain loops. Where one is asked for, the windows are laid
//! side by side instead and multiplied as one matrix, forth and back; both agree up to rounding.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, VarBuilder, conv1d, conv1d_no_bias, conv2d};

/// torch's `Conv1d` that keeps the length: an odd kernel, padded by half of it.
#[derive(Debug)]
pub struct SequenceConvolution {
    kernel: Conv1d,
    width: usize,
}

impl SequenceConvolution {
    /// Reads `weight` and `bias` for as many channels out as in.
    pub fn new(channels: usize, width: usize, vb: VarBuilder) -> Result<Self> {
        let same_length = Conv1dConfig { padding: width / 2, ..Default::default() };
        Ok(Self { kernel: conv1d(channels, channels, width, same_length, vb)?, width })
    }

    /// Reads `weight` alone.
    pub fn without_bias(channels: usize, width: usize, vb: VarBuilder) -> Result<Self> {
        let same_length = Conv1dConfig { padding: width / 2, ..Default::default() };
        Ok(Self { kernel: conv1d_no_bias(channels, channels, width, same_length, vb)?, width })
    }
}

impl Module for SequenceConvolution {
    /// `[1, channels, seq]` in and out.
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let weight = self.kernel.weight(); // [out, in, width]
        if !xs.track_op() && !weight.track_op() {
            return self.kernel.forward(xs);
        }
        let (_, channels, length) = xs.dims3()?;
        let padded = xs.squeeze(0)?.pad_with_zeros(1, self.width / 2, self.width / 2)?;
        let shifted = (0..self.width).map(|shift| padded.narrow(1, shift, length)).collect::<Result<Vec<_>>>()?;
        let windows = Tensor::cat(&shifted, 0)?; // [width * in, seq]
        let weight = weight.permute((0, 2, 1))?.reshape((weight.dim(0)?, self.width * channels))?;
        let product = weight.matmul(&windows)?; // [out, seq]
        match self.kernel.bias() {
            Some(bias) => product.broadcast_add(&bias.unsqueeze(1)?)?.unsqueeze(0),
            None => product.unsqueeze(0),
        }
    }
}

/// torch's `Conv2d` with a square kernel.
#[derive(Debug)]
pub struct ImageConvolution {
    kernel: Conv2d,
    width: usize,
}

impl ImageConvolution {
    /// Reads `weight` and `bias`.
    pub fn new([from, to]: [usize; 2], width: usize, config: Conv2dConfig, vb: VarBuilder) -> Result<Self> {
        Ok(Self { kernel: conv2d(from, to, width, config, vb)?, width })
    }
}

impl Module for ImageConvolution {
    /// `[1, channels, height, width]` in and out.
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let weight = self.kernel.weight(); // [out, in, width, width]
        if !xs.track_op() && !weight.track_op() {
            return self.kernel.forward(xs);
        }
        let Conv2dConfig { padding, stride, .. } = *self.kernel.config();
        let padded = xs.squeeze(0)?.pad_with_zeros(1, padding, padding)?.pad_with_zeros(2, padding, padding)?;
        let (channels, height, width) = padded.dims3()?;
        let windows = Windows { channels, height, width, size: self.width, stride };
        let places = Tensor::from_vec(windows.places(), windows.places_shape(), xs.device())?;
        let windows_of =
            padded.contiguous()?.flatten_all()?.index_select(&places.flatten_all()?, 0)?.reshape(places.dims())?;
        let weight = weight.flatten_from(1)?; // [out, in * size * size]
        let product = weight.matmul(&windows_of)?; // [out, rows * columns]
        let product = match self.kernel.bias() {
            Some(bias) => product.broadcast_add(&bias.unsqueeze(1)?)?,
            None => product,
        };
        let [rows, columns] = windows.counts();
        product.reshape((1, weight.dim(0)?, rows, columns))
    }
}

/// Where a square window stops on an image.
struct Windows {
    channels: usize,
    height: usize,
    width: usize,
    size: usize,
    stride: usize,
}

impl Windows {
    /// Stops in a column, in a row.
    fn counts(&self) -> [usize; 2] {
        [self.height, self.width].map(|length| (length.saturating_sub(self.size)) / self.stride + 1)
    }

    fn places_shape(&self) -> (usize, usize) {
        let [rows, columns] = self.counts();
        (self.channels * self.size * self.size, rows * columns)
    }

    /// For each number of a kernel the pixel that it meets at each stop.
    fn places(&self) -> Vec<u32> {
        let [rows, columns] = self.counts();
        let (kernels, stops) = self.places_shape();
        let mut places = Vec::with_capacity(kernels * stops);
        for channel in 0..self.channels {
            for (down, right) in (0..self.size).flat_map(|down| (0..self.size).map(move |right| (down, right))) {
                for row in 0..rows {
                    let line = (channel * self.height + row * self.stride + down) * self.width + right;
                    places.extend((0..columns).map(|column| (line + column * self.stride) as u32));
                }
            }
        }
        places
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;

    use candle_core::{DType, Device, Var};

    use super::*;

    fn numbers(shape: &[usize], phase: f32) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * 0.61 + phase).sin()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// The same weights, fixed and learning.
    fn weights(shape: &[usize], learns: bool) -> VarBuilder<'static> {
        let part = |shape: &[usize], phase| {
            let plain = numbers(shape, phase);
            if learns { Var::from_tensor(&plain).unwrap().into_inner() } else { plain }
        };
        let outputs = shape.iter().take(1).copied().collect::<Vec<_>>();
        let tensors =
            HashMap::from([("weight".to_owned(), part(shape, 0.2)), ("bias".to_owned(), part(&outputs, 1.0))]);
        VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)
    }

    fn assert_close(a: &Tensor, b: &Tensor) {
        assert_eq!(a.dims(), b.dims());
        let largest: f32 = (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap();
        assert!(largest < 1e-4, "{largest}");
    }

    /// The gradients of weights by candle's own loops and by ours.
    fn assert_same_gradient(weight: &Tensor, theirs: &Tensor, ours: &Tensor) {
        let gradient = |output: &Tensor| {
            let scaled = (output * numbers(output.dims(), 0.4)).unwrap().sum_all().unwrap();
            scaled.backward().unwrap().get(weight).unwrap().clone()
        };
        assert_close(&gradient(theirs), &gradient(ours));
    }

    #[test]
    fn sequences() {
        for (width, length) in [(1, 5), (3, 1), (3, 9)] {
            let xs = numbers(&[1, 6, length], 0.0);
            let build = |learns| SequenceConvolution::new(6, width, weights(&[6, 6, width], learns)).unwrap();
            let (fixed, learning) = (build(false), build(true));
            let output = learning.forward(&xs).unwrap();
            assert!(output.track_op());
            assert_close(&fixed.forward(&xs).unwrap(), &output);
            assert_same_gradient(learning.kernel.weight(), &learning.kernel.forward(&xs).unwrap(), &output);
        }
    }

    #[test]
    fn images() {
        for (width, stride, side) in [(7, 4, 32), (3, 2, 9), (3, 1, 4), (7, 4, 21)] {
            let xs = numbers(&[1, 3, side, side], 0.0);
            let config = Conv2dConfig { stride, padding: width / 2, ..Default::default() };
            let shape = [5, 3, width, width];
            let build = |learns| ImageConvolution::new([3, 5], width, config, weights(&shape, learns)).unwrap();
            let (fixed, learning) = (build(false), build(true));
            let output = learning.forward(&xs).unwrap();
            assert_close(&fixed.forward(&xs).unwrap(), &output);
            assert_same_gradient(learning.kernel.weight(), &learning.kernel.forward(&xs).unwrap(), &output);
        }
    }
}
