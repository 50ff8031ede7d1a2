//! Rotary position embedding, shared by both towers: only the angles differ.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::rotary_emb::{rope, rope_slow};

use super::kernels::{Heads, SplitHeads, is_cpu_f32};
use crate::vectors::Vectors;

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

    /// Cosines and sines by a factor, as scalings of the frequencies ask for.
    pub fn scaled(self, factor: f64) -> Result<Self> {
        if factor == 1.0 {
            return Ok(self);
        }
        Ok(Self { cos: (self.cos * factor)?, sin: (self.sin * factor)? })
    }

    /// Number of rows.
    pub fn rows(&self) -> Result<usize> {
        self.cos.dim(0)
    }

    /// `len` rows from `start` on.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        Ok(Self { cos: self.cos.narrow(0, start, len)?, sin: self.sin.narrow(0, start, len)? })
    }

    /// Some heads of `xs [rows, columns]`, rotated in f32, as HF does: `[heads, rows, dim]`, f32 whatever `xs` is.
    ///
    /// HF rounds them to the format of `xs` again; here scores are computed of what is returned, and keys with a large
    /// common part, as this model's biases give them, would lose their differences to that rounding.
    ///
    /// # Errors
    /// When there are no such heads, or another number of rows.
    pub fn split_and_rotate(&self, xs: &Tensor, heads: Heads) -> Result<Tensor> {
        if is_cpu_f32(xs) && !xs.track_op() {
            let (cos, sin) = (self.cos.contiguous()?, self.sin.contiguous()?);
            return xs.contiguous()?.apply_op3_no_bwd(&cos, &sin, &on_cpu(heads));
        }
        self.rotate(&split_plainly(xs, heads)?)
    }

    fn rotate(&self, xs: &Tensor) -> Result<Tensor> {
        let xs = xs.to_dtype(DType::F32)?.unsqueeze(0)?;
        // candle's kernel has no gradient.
        let rotate = if xs.track_op() { rope_slow } else { rope };
        rotate(&xs, &self.cos, &self.sin)?.squeeze(0)
    }
}

/// Some heads of `xs [rows, columns]`: `[heads, rows, dim]`.
///
/// # Errors
/// When there are no such heads.
pub fn split_heads(xs: &Tensor, heads: Heads) -> Result<Tensor> {
    match is_cpu_f32(xs) && !xs.track_op() {
        true => xs.contiguous()?.apply_op1_no_bwd(&on_cpu(heads)),
        false => split_plainly(xs, heads),
    }
}

fn on_cpu(heads: Heads) -> SplitHeads {
    SplitHeads { heads, vectors: Vectors::in_use() }
}

fn split_plainly(xs: &Tensor, Heads { first, count, dim }: Heads) -> Result<Tensor> {
    let rows = xs.dim(0)?;
    xs.narrow(1, first, count * dim)?.reshape((rows, count, dim))?.transpose(0, 1)?.contiguous()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_kernel_equals_the_plain_operations() {
        for (rows, heads, columns) in [
            (1, Heads { first: 0, count: 1, dim: 2 }, 2),
            (130, Heads { first: 48, count: 3, dim: 16 }, 100),
            (64, Heads { first: 5, count: 2, dim: 80 }, 170),
        ] {
            let xs = Tensor::randn(0f32, 1., (rows, columns), &Device::Cpu).unwrap();
            let angles = (0..rows * heads.dim / 2).map(|at| at as f32 * 0.37).collect();
            let table = RotaryTable::new(angles, rows, heads.dim / 2, &Device::Cpu).unwrap();
            let plain = split_plainly(&xs, heads).unwrap();
            let difference =
                |a: &Tensor, b: &Tensor| (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert_eq!(difference(&split_heads(&xs, heads).unwrap(), &plain), 0.0);
            let rotated = table.split_and_rotate(&xs, heads).unwrap();
            assert!(difference(&rotated, &table.rotate(&plain).unwrap()) < 1e-6);
        }
    }
}
