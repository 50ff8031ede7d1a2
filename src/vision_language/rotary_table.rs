//! Rotary position embedding, shared by both towers: only the angles differ.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::rotary_emb::rope;

/// Cosines and sines of each row's angles, `[rows, head_dim / 2]`, f32.
#[derive(Debug, Clone)]
pub struct RotaryTable {
    cos: Tensor,
    sin: Tensor,
}

impl RotaryTable {
    /// From `rows * half` angles, row by row.
    pub fn new(angles: Vec<f32>, rows: usize, half: usize, device: &Device) -> Result<Self> {
        let angles = Tensor::from_vec(angles, (rows, half), &Device::Cpu)?;
        Ok(Self { cos: angles.cos()?.to_device(device)?, sin: angles.sin()?.to_device(device)? })
    }

    /// Number of rows.
    pub fn rows(&self) -> Result<usize> {
        self.cos.dim(0)
    }

    /// `len` rows from `start` on.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        Ok(Self { cos: self.cos.narrow(0, start, len)?, sin: self.sin.narrow(0, start, len)? })
    }

    /// Rotates `[heads, rows, head_dim]` in f32, as HF does, and returns to the format it came in.
    pub fn rotate(&self, xs: &Tensor) -> Result<Tensor> {
        let rotated = rope(&xs.to_dtype(DType::F32)?.unsqueeze(0)?, &self.cos, &self.sin)?;
        rotated.squeeze(0)?.to_dtype(xs.dtype())
    }
}
