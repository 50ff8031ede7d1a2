//! Convolutions, as the robot computes them and as a batch is learned through.
//!
//! candle's convolutions have a gradient, but it is computed by plain loops. What learns takes a batch at once: the windows
//! of all of it are laid side by side and multiplied as one matrix, forward and backward. Both agree up to rounding.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

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

    /// `[batch, seq, channels]` in and out. A gradient leads back to input and weights.
    pub fn forward_batch(&self, xs: &Tensor) -> Result<Tensor> {
        let (batch, seq, channels) = xs.dims3()?;
        let weight = self.kernel.weight(); // [out, in, width]
        let outputs = weight.dim(0)?;
        let windows = if self.width == 1 {
            xs.clone()
        } else {
            let padded = xs.pad_with_zeros(1, self.width / 2, self.width / 2)?;
            let shifted = (0..self.width).map(|shift| padded.narrow(1, shift, seq)).collect::<Result<Vec<_>>>()?;
            Tensor::cat(&shifted, 2)?
        };
        let windows = windows.reshape((batch * seq, self.width * channels))?;
        let weight = weight.permute((2, 1, 0))?.reshape((self.width * channels, outputs))?;
        let product = windows.matmul(&weight)?;
        let product = match self.kernel.bias() {
            Some(bias) => product.broadcast_add(bias)?,
            None => product,
        };
        product.reshape((batch, seq, outputs))
    }
}

impl Module for SequenceConvolution {
    /// `[1, channels, seq]` in and out.
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        self.kernel.forward(xs)
    }
}

/// torch's `Conv2d` with a square kernel.
#[derive(Debug)]
pub struct ImageConvolution {
    kernel: Conv2d,
    width: usize,
    /// The tables for images of the size that was seen last: all of a history are of one size.
    tables: Mutex<Option<Arc<WindowTables>>>,
}

impl ImageConvolution {
    /// Reads `weight` and `bias`.
    pub fn new([from, to]: [usize; 2], width: usize, config: Conv2dConfig, vb: VarBuilder) -> Result<Self> {
        Ok(Self { kernel: conv2d(from, to, width, config, vb)?, width, tables: Mutex::new(None) })
    }

    /// `[channels, height, width, batch]` in and out: a window's numbers of all images lie beside each other. A gradient leads
    /// back to input and weights.
    pub fn forward_batch(&self, xs: &Tensor) -> Result<Tensor> {
        let (channels, height, width, batch) = xs.dims4()?;
        let Conv2dConfig { padding, stride, .. } = *self.kernel.config();
        let windows = Windows { channels, height, width, size: self.width, stride, padding };
        let tables = self.tables(windows, xs.device())?;
        let [rows, columns] = windows.counts();
        let pixels = xs.reshape((windows.pixels(), batch))?.contiguous()?;
        let windows = pixels.apply_op1(LayWindows(tables))?; // [in * size * size * rows * columns, batch]
        let weight = self.kernel.weight().flatten_from(1)?; // [out, in * size * size]
        let (outputs, numbers) = weight.dims2()?;
        let product = weight.matmul(&windows.reshape((numbers, rows * columns * batch))?)?;
        let product = match self.kernel.bias() {
            Some(bias) => product.broadcast_add(&bias.unsqueeze(1)?)?,
            None => product,
        };
        product.reshape((outputs, rows, columns, batch))
    }

    fn tables(&self, windows: Windows, device: &Device) -> Result<Arc<WindowTables>> {
        let mut known = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tables) = known.as_ref().filter(|tables| tables.windows == windows) {
            return Ok(Arc::clone(tables));
        }
        let tables = Arc::new(WindowTables::new(windows, device)?);
        *known = Some(Arc::clone(&tables));
        Ok(tables)
    }
}

impl Module for ImageConvolution {
    /// `[batch, channels, height, width]` in and out.
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        self.kernel.forward(xs)
    }
}

/// Which pixel stands where in the windows of an image, and back.
#[derive(Debug)]
struct WindowTables {
    windows: Windows,
    /// For each number of a window its pixel, u32 `[numbers * stops]`; in the padding, [`NOTHING`].
    places: Tensor,
    /// For each pixel the windows' numbers that show it, u32 `[pixels * most]`; where there are fewer, [`NOTHING`]. Made when
    /// a gradient first asks for it.
    shown_in: OnceLock<Tensor>,
}

impl WindowTables {
    fn new(windows: Windows, device: &Device) -> Result<Self> {
        let places = windows.places();
        let places = Tensor::from_slice(&places, places.len(), device)?;
        Ok(Self { windows, places, shown_in: OnceLock::new() })
    }

    fn shown_in(&self) -> Result<&Tensor> {
        if self.shown_in.get().is_none() {
            let shown_in = inverse(&self.windows.places(), self.windows.pixels());
            let shown_in = Tensor::from_slice(&shown_in, shown_in.len(), self.places.device())?;
            // Another thread may have been first; both say the same.
            self.shown_in.set(shown_in).ok();
        }
        self.shown_in.get().ok_or_else(|| candle_core::Error::Msg("a table that was made is missing".into()))
    }
}

/// `[pixels, batch] -> [numbers of a kernel * stops, batch]`: lays the windows of images side by side. Its gradient collects
/// for each pixel what came back from the windows that show it, by a table made beforehand: candle's own gradient of an
/// `index_select` adds one number after the other, in a single thread of a GPU.
struct LayWindows(Arc<WindowTables>);

/// The index that candle's `index_select` takes for no index: its result is zero there.
const NOTHING: u32 = u32::MAX;

impl CustomOp1 for LayWindows {
    fn name(&self) -> &'static str {
        "lay-windows"
    }

    fn cpu_fwd(&self, image: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (places, places_layout) = self.0.places.storage_and_layout();
        let shape = Shape::from((places_layout.shape().elem_count(), layout.shape().dims2()?.1));
        match &*places {
            Storage::Cpu(places) => Ok((image.index_select(places, layout, places_layout, 0)?, shape)),
            _ => candle_core::bail!("{}: the image is on a CPU, its windows are not", self.name()),
        }
    }

    fn cuda_fwd(&self, image: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (places, places_layout) = self.0.places.storage_and_layout();
        let shape = Shape::from((places_layout.shape().elem_count(), layout.shape().dims2()?.1));
        match &*places {
            Storage::Cuda(places) => Ok((image.index_select(places, layout, places_layout, 0)?, shape)),
            _ => candle_core::bail!("{}: the image is on a GPU, its windows are not", self.name()),
        }
    }

    fn bwd(&self, image: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (pixels, batch) = image.dims2()?;
        let shown = gradient.contiguous()?.index_select(self.0.shown_in()?, 0)?; // [pixels * most, batch]
        Ok(Some(shown.reshape((pixels, (), batch))?.sum(1)?))
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Windows {
    channels: usize,
    height: usize,
    width: usize,
    size: usize,
    stride: usize,
    padding: usize,
}

impl Windows {
    fn pixels(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Stops in a column, in a row.
    fn counts(&self) -> [usize; 2] {
        [self.height, self.width].map(|length| (length + 2 * self.padding).saturating_sub(self.size) / self.stride + 1)
    }

    /// For each number of a kernel the pixel that it meets at each stop; in the padding, [`NOTHING`].
    fn places(&self) -> Vec<u32> {
        let [rows, columns] = self.counts();
        let inside = |place: usize, length: usize| place.checked_sub(self.padding).filter(|place| *place < length);
        let mut places = Vec::with_capacity(self.channels * self.size * self.size * rows * columns);
        for channel in 0..self.channels {
            for (down, right) in (0..self.size).flat_map(|down| (0..self.size).map(move |right| (down, right))) {
                for row in 0..rows {
                    let line = inside(row * self.stride + down, self.height)
                        .map(|row| (channel * self.height + row) * self.width);
                    places.extend((0..columns).map(|column| {
                        let column = inside(column * self.stride + right, self.width);
                        line.zip(column).map_or(NOTHING, |(line, column)| (line + column) as u32)
                    }));
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

    /// Weights that learn.
    fn weights(shape: &[usize]) -> VarBuilder<'static> {
        let part = |shape: &[usize], phase| Var::from_tensor(&numbers(shape, phase)).unwrap().into_inner();
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

    /// A gradient by candle's own loops and by ours.
    fn assert_same_gradient(of: &Tensor, theirs: &Tensor, ours: &Tensor) {
        let gradient = |output: &Tensor| {
            let scaled = (output * numbers(output.dims(), 0.4)).unwrap().sum_all().unwrap();
            scaled.backward().unwrap().get(of).unwrap().clone()
        };
        assert_close(&gradient(theirs), &gradient(ours));
    }

    #[test]
    fn sequences() {
        for (width, length) in [(1, 5), (3, 1), (3, 9)] {
            let xs = Var::from_tensor(&numbers(&[2, 6, length], 0.0)).unwrap();
            let layer = SequenceConvolution::new(6, width, weights(&[6, 6, width])).unwrap();
            // One after the other: candle's own gradient is for a batch of one.
            let one = |index| layer.forward(&xs.narrow(0, index, 1).unwrap()).unwrap();
            let theirs = Tensor::cat(&[one(0), one(1)], 0).unwrap();
            let ours = layer.forward_batch(&xs.transpose(1, 2).unwrap()).unwrap().transpose(1, 2).unwrap();
            assert_close(&theirs, &ours);
            for of in [layer.kernel.weight(), layer.kernel.bias().unwrap(), xs.as_tensor()] {
                assert_same_gradient(of, &theirs, &ours);
            }
        }
    }

    #[test]
    fn images() {
        for (width, stride, side) in [(7, 4, 32), (3, 2, 9), (3, 1, 4), (7, 4, 21), (5, 7, 12)] {
            let images = Var::from_tensor(&numbers(&[2, 3, side, side], 0.0)).unwrap();
            let config = Conv2dConfig { stride, padding: width / 2, ..Default::default() };
            let layer = ImageConvolution::new([3, 5], width, config, weights(&[5, 3, width, width])).unwrap();
            let theirs = layer.forward(&images).unwrap();
            let ours = layer.forward_batch(&images.permute((1, 2, 3, 0)).unwrap()).unwrap();
            let ours = ours.permute((3, 0, 1, 2)).unwrap();
            assert_close(&theirs, &ours);
            for of in [layer.kernel.weight(), layer.kernel.bias().unwrap(), images.as_tensor()] {
                assert_same_gradient(of, &theirs, &ours);
            }
        }
    }
}
