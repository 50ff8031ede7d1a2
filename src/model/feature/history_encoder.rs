//! The previous frames become one vector.

use candle_core::{D, DType, Device, Module, Result, Tensor};
use candle_nn::{Conv2dConfig, Linear, VarBuilder, linear};

use super::convolution::ImageConvolution;
use super::learned_linear::forward_rows;
use super::norm::Norm;
use crate::vision_language::softmax_last_dim;
use crate::weights::WeightSource;

/// Channels after each convolution.
const CHANNELS: [usize; 3] = [32, 64, 128];
/// Side of the pooled feature map.
const POOLED_SIDE: usize = 4;
/// Attention heads of a transformer layer; cannot be read from the tensors.
const NUM_HEADS: usize = 4;

/// Sizes of a history encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistorySizes {
    /// Width of the history vector.
    pub dim: usize,
    /// Frames that are encoded.
    pub frames: usize,
    /// Width inside the transformer's feed-forward part.
    pub feed_forward: usize,
}

impl HistorySizes {
    /// `dim` and `frames` are the configuration's; the width of the feed-forward part is in the tensors alone. Where
    /// even that is missing, twice `dim` is used to list what else is.
    pub fn of(source: &dyn WeightSource, prefix: &str, dim: usize, frames: usize) -> Self {
        let name = format!("{prefix}temporal_transformer.layers.0.linear1.weight");
        let stored = source.shape(&name).and_then(|shape| shape.first().copied());
        Self { dim, frames, feed_forward: stored.unwrap_or(2 * dim) }
    }
}

/// A small CNN for each frame, two transformer layers over them; the output at the last position is the history vector.
///
/// Frames are given newest first, so the last position is the oldest frame.
#[derive(Debug)]
pub struct HistoryEncoder {
    convs: [ImageConvolution; 3],
    linear: Linear,
    pos_embedding: Tensor, // [1, frames, dim]
    layers: [EncoderLayer; 2],
}

impl HistoryEncoder {
    /// Reads `img_encoder`, `pos_embedding` and `temporal_transformer`.
    pub fn new(sizes: HistorySizes, vb: VarBuilder) -> Result<Self> {
        let HistorySizes { dim, frames, .. } = sizes;
        if !dim.is_multiple_of(NUM_HEADS) {
            candle_core::bail!("history_dim is {dim}, expected a multiple of the {NUM_HEADS} attention heads");
        }
        let [first, second, third] = CHANNELS;
        let images = vb.pp("img_encoder");
        let first_step = Conv2dConfig { stride: 4, padding: 3, ..Default::default() };
        let later_step = Conv2dConfig { stride: 2, padding: 1, ..Default::default() };
        let layers = vb.pp("temporal_transformer").pp("layers");
        Ok(Self {
            convs: [
                ImageConvolution::new([3, first], 7, first_step, images.pp("0"))?,
                ImageConvolution::new([first, second], 3, later_step, images.pp("2"))?,
                ImageConvolution::new([second, third], 3, later_step, images.pp("4"))?,
            ],
            linear: linear(third * POOLED_SIDE * POOLED_SIDE, dim, images.pp("8"))?,
            pos_embedding: vb.get((1, frames, dim), "pos_embedding")?,
            layers: [EncoderLayer::new(sizes, layers.pp(0))?, EncoderLayer::new(sizes, layers.pp(1))?],
        })
    }

    /// One frame `[3, side, side]` (normalised) becomes `[1, dim]`, still without its position.
    pub fn encode_frame(&self, frame: &Tensor) -> Result<Tensor> {
        let mut xs = frame.unsqueeze(0)?;
        for conv in &self.convs {
            xs = conv.forward(&xs)?.relu()?;
        }
        self.linear.forward(&adaptive_average_pool(&xs, POOLED_SIDE)?.flatten_from(1)?)
    }

    /// Frames `[batch, 3, side, side]` become `[batch, dim]` as in [`Self::encode_frame`], with a gradient.
    pub fn encode_frames(&self, frames: &Tensor) -> Result<Tensor> {
        let mut xs = frames.permute((1, 2, 3, 0))?.contiguous()?; // the batch last, as the convolutions take it
        for conv in &self.convs {
            xs = conv.forward_batch(&xs)?.relu()?;
        }
        let (channels, height, width, batch) = xs.dims4()?;
        let pooling = pooling_of_a_plane(height, width, POOLED_SIDE, xs.device())?; // [bins, height * width]
        let pooled = pooling.broadcast_matmul(&xs.reshape((channels, height * width, batch))?)?;
        self.encode_maps(&pooled.reshape((channels * POOLED_SIDE * POOLED_SIDE, batch))?.t()?.contiguous()?)
    }

    /// The pooled maps of frames `[batch, channels * 16]` become `[batch, dim]`: the end of [`Self::encode_frames`].
    pub fn encode_maps(&self, maps: &Tensor) -> Result<Tensor> {
        forward_rows(&self.linear, maps)
    }

    /// Sequences of encoded frames `[batch, frames, dim]`, newest first, become history vectors `[batch, dim]`, with a
    /// gradient.
    pub fn encode_sequences(&self, sequences: &Tensor) -> Result<Tensor> {
        let (batch, frames, dim) = sequences.dims3()?;
        let xs = sequences.broadcast_add(&self.pos_embedding.narrow(1, 0, frames)?)?;
        let mut xs = xs.reshape((batch * frames, dim))?;
        for layer in &self.layers {
            xs = layer.forward(&xs, frames)?;
        }
        xs.reshape((batch, frames, dim))?.narrow(1, frames - 1, 1)?.squeeze(1)
    }

    /// Encoded frames `[1, dim]`, newest first, become the history vector `[1, dim]`.
    pub fn encode_sequence(&self, frames: &[Tensor]) -> Result<Tensor> {
        let xs = Tensor::cat(frames, 0)?; // [frames, dim]
        let positions = self.pos_embedding.squeeze(0)?.narrow(0, 0, frames.len())?;
        let mut xs = (xs + positions)?;
        for layer in &self.layers {
            xs = layer.forward(&xs, frames.len())?;
        }
        xs.narrow(0, frames.len() - 1, 1)
    }
}

/// torch's `TransformerEncoderLayer` with post-norm and ReLU.
#[derive(Debug)]
struct EncoderLayer {
    in_proj: Linear,
    out_proj: Linear,
    linear1: Linear,
    linear2: Linear,
    norm1: Norm,
    norm2: Norm,
}

impl EncoderLayer {
    fn new(sizes: HistorySizes, vb: VarBuilder) -> Result<Self> {
        let HistorySizes { dim, feed_forward, .. } = sizes;
        let attention = vb.pp("self_attn");
        let in_proj = Linear::new(
            attention.get((3 * dim, dim), "in_proj_weight")?,
            Some(attention.get(3 * dim, "in_proj_bias")?),
        );
        Ok(Self {
            in_proj,
            out_proj: linear(dim, dim, attention.pp("out_proj"))?,
            linear1: linear(dim, feed_forward, vb.pp("linear1"))?,
            linear2: linear(feed_forward, dim, vb.pp("linear2"))?,
            norm1: Norm::new(dim, vb.pp("norm1"))?,
            norm2: Norm::new(dim, vb.pp("norm2"))?,
        })
    }

    /// `[sequences * frames, dim]` in and out; a frame attends to those of its own sequence.
    fn forward(&self, xs: &Tensor, frames: usize) -> Result<Tensor> {
        let xs = self.norm1.forward(&(xs + self.attend(xs, frames)?)?)?;
        let refined = forward_rows(&self.linear2, &forward_rows(&self.linear1, &xs)?.relu()?)?;
        self.norm2.forward(&(xs + refined)?)
    }

    fn attend(&self, xs: &Tensor, frames: usize) -> Result<Tensor> {
        let (rows, dim) = xs.dims2()?;
        let (sequences, head_dim) = (rows / frames.max(1), dim / NUM_HEADS);
        let qkv = forward_rows(&self.in_proj, xs)?.reshape((sequences, frames, 3, NUM_HEADS, head_dim))?;
        let part = |index: usize| qkv.narrow(2, index, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let query = (part(0)? * (head_dim as f64).powf(-0.5))?; // [sequences, heads, frames, head_dim]
        let weights = softmax_last_dim(&query.matmul(&part(1)?.t()?)?)?;
        let attended = weights.matmul(&part(2)?)?.transpose(1, 2)?.reshape((rows, dim))?;
        forward_rows(&self.out_proj, &attended)
    }
}

/// torch's `adaptive_avg_pool2d` to `side x side`: `[batch, channels, h, w] -> [batch, channels, side, side]`. The bins
/// overlap where the size is no multiple of `side`.
fn adaptive_average_pool(xs: &Tensor, side: usize) -> Result<Tensor> {
    let (height, width) = (xs.dim(D::Minus2)?, xs.dim(D::Minus1)?);
    let rows = pooling_matrix(height, side, xs.device())?; // [side, height]
    let cols = pooling_matrix(width, side, xs.device())?; // [side, width]
    xs.broadcast_matmul(&cols.t()?)?
        .transpose(D::Minus2, D::Minus1)?
        .broadcast_matmul(&rows.t()?)?
        .transpose(D::Minus2, D::Minus1)
}

fn pooling_matrix(length: usize, bins: usize, device: &Device) -> Result<Tensor> {
    let weights: Vec<f32> = (0..bins)
        .flat_map(|bin| {
            let (start, end) = (bin * length / bins, ((bin + 1) * length).div_ceil(bins));
            let weight = 1.0 / (end - start) as f32;
            (0..length).map(move |place| if (start..end).contains(&place) { weight } else { 0.0 })
        })
        .collect();
    Tensor::from_vec(weights, (bins, length), device)?.to_dtype(DType::F32)
}

/// Both directions of [`adaptive_average_pool`] as one matrix, `[side * side, height * width]`.
fn pooling_of_a_plane(height: usize, width: usize, side: usize, device: &Device) -> Result<Tensor> {
    let rows = pooling_matrix(height, side, device)?.reshape((side, 1, height, 1))?;
    let cols = pooling_matrix(width, side, device)?.reshape((1, side, 1, width))?;
    rows.broadcast_mul(&cols)?.reshape((side * side, height * width))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bins_overlap_as_torch_has_them() {
        // torch.nn.functional.adaptive_avg_pool1d(torch.arange(14.), 4) = [1.5, 4.5, 8.5, 11.5]
        let pooling = pooling_matrix(14, 4, &Device::Cpu).unwrap();
        let ramp = Tensor::arange(0f32, 14., &Device::Cpu).unwrap().unsqueeze(1).unwrap();
        let pooled = pooling.matmul(&ramp).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(pooled, [1.5, 4.5, 8.5, 11.5]);
    }
}
