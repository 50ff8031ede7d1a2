//! Convolutions that can be learned through quickly.
//!
//! candle's convolutions have a gradient, but it is computed by plain loops. Where one is asked for, the windows are laid
//! side by side instead and multiplied as one matrix, forth and back; both agree up to rounding.

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Device, Layout, Module, Result, Shape, Storage, Tensor};
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
        let windows_of = padded.contiguous()?.flatten_all()?.apply_op1(LayWindows::new(&windows, xs.device())?)?;
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

/// `[pixels] -> [numbers of a kernel, stops]`: lays the windows of an image side by side. Its gradient collects for each pixel
/// what came back from the windows that show it, by a table made beforehand: candle's own gradient of an `index_select` adds
/// one number after the other, in a single thread of a GPU.
struct LayWindows {
    /// For each number of a window its pixel, u32 `[numbers * stops]`.
    places: Tensor,
    /// For each pixel the windows' numbers that show it, u32 `[pixels * most]`; where there are fewer, [`NOTHING`].
    shown_in: Tensor,
    shape: (usize, usize),
    pixels: usize,
}

/// The index that candle's `index_select` takes for no index: its result is zero there.
const NOTHING: u32 = u32::MAX;

impl LayWindows {
    fn new(windows: &Windows, device: &Device) -> Result<Self> {
        let pixels = windows.channels * windows.height * windows.width;
        let places = windows.places();
        let shown_in = inverse(&places, pixels);
        Ok(Self {
            places: Tensor::from_slice(&places, places.len(), device)?,
            shown_in: Tensor::from_slice(&shown_in, shown_in.len(), device)?,
            shape: windows.places_shape(),
            pixels,
        })
    }
}

impl CustomOp1 for LayWindows {
    fn name(&self) -> &'static str {
        "lay-windows"
    }

    fn cpu_fwd(&self, image: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (places, places_layout) = self.places.storage_and_layout();
        match &*places {
            Storage::Cpu(places) => Ok((image.index_select(places, layout, places_layout, 0)?, self.shape.into())),
            _ => candle_core::bail!("{}: the image is on a CPU, its windows are not", self.name()),
        }
    }

    fn cuda_fwd(&self, image: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (places, places_layout) = self.places.storage_and_layout();
        match &*places {
            Storage::Cuda(places) => Ok((image.index_select(places, layout, places_layout, 0)?, self.shape.into())),
            _ => candle_core::bail!("{}: the image is on a GPU, its windows are not", self.name()),
        }
    }

    fn bwd(&self, image: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let shown = gradient.flatten_all()?.index_select(&self.shown_in, 0)?; // [pixels * most]
        Ok(Some(shown.reshape((self.pixels, ()))?.sum(1)?.reshape(image.shape())?))
    }
}

/// For each of `pixels` where it stands in `places`, as many for each as the most there are.
fn inverse(places: &[u32], pixels: usize) -> Vec<u32> {
    let mut shown = vec![Vec::new(); pixels];
    for (at, &place) in places.iter().enumerate() {
        if let Some(shown) = shown.get_mut(place as usize) {
            shown.push(at as u32);
        }
    }
    let most = shown.iter().map(Vec::len).max().unwrap_or_default().max(1);
    shown.into_iter().flat_map(|shown| shown.into_iter().chain(std::iter::repeat(NOTHING)).take(most)).collect()
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
    fn the_gradient_reaches_the_image_as_through_candles_own() {
        for (width, stride, side) in [(7, 4, 32), (3, 2, 9), (3, 1, 4), (5, 7, 12)] {
            let image = Var::from_tensor(&numbers(&[1, 3, side, side], 0.0)).unwrap();
            let config = Conv2dConfig { stride, padding: width / 2, ..Default::default() };
            let layer = ImageConvolution::new([3, 5], width, config, weights(&[5, 3, width, width], true)).unwrap();
            let gradient = |output: &Tensor| {
                let scaled = (output * numbers(output.dims(), 0.4)).unwrap().sum_all().unwrap();
                scaled.backward().unwrap().get(&image).unwrap().clone()
            };
            let theirs = layer.kernel.forward(&image).unwrap();
            assert_close(&gradient(&theirs), &gradient(&layer.forward(&image).unwrap()));
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
