//! 2D rotary positions of the patches (HF `Qwen2_5_VisionRotaryEmbedding`).

use candle_core::{Device, Result, Tensor};

/// Base of the vision tower's rotary frequencies; not in any config file.
const THETA: f32 = 10_000.0;

/// Cosines and sines `[patches, head_dim / 2]`, f32: the first half of the frequencies turns with the patch's row, the
/// second with its column.
#[derive(Debug, Clone)]
pub struct VisionRotary {
    pub cos: Tensor,
    pub sin: Tensor,
}

impl VisionRotary {
    /// For patches at (row, column), in the order in which they stand in the sequence.
    pub fn new(positions: &[(u32, u32)], head_dim: usize, device: &Device) -> Result<Self> {
        let dim = head_dim / 2;
        let inverse_frequencies: Vec<f32> =
            (0..dim).step_by(2).map(|i| 1.0 / THETA.powf(i as f32 / dim as f32)).collect();
        let angles: Vec<f32> = positions
            .iter()
            .flat_map(|&(row, col)| [row, col])
            .flat_map(|position| inverse_frequencies.iter().map(move |frequency| position as f32 * frequency))
            .collect();
        let angles = Tensor::from_vec(angles, (positions.len(), dim), &Device::Cpu)?; // [patches, head_dim / 2]
        Ok(Self { cos: angles.cos()?.to_device(device)?, sin: angles.sin()?.to_device(device)? })
    }
}
