//! 2D rotary positions of the patches (HF `Qwen2_5_VisionRotaryEmbedding`).

use candle_core::{Device, Result};

use crate::vision_language::rotary_table::RotaryTable;

/// Base of the vision tower's rotary frequencies; not in any config file.
const THETA: f32 = 10_000.0;

/// For patches at (row, column), in the order in which they stand in the sequence: the first half of the frequencies
/// turns with the patch's row, the second with its column.
pub fn patch_rotary(positions: &[(u32, u32)], head_dim: usize, device: &Device) -> Result<RotaryTable> {
    let dim = head_dim / 2;
    let inverse_frequencies: Vec<f32> = (0..dim).step_by(2).map(|i| 1.0 / THETA.powf(i as f32 / dim as f32)).collect();
    let angles = positions
        .iter()
        .flat_map(|&(row, col)| [row, col])
        .flat_map(|position| inverse_frequencies.iter().map(move |frequency| position as f32 * frequency))
        .collect();
    RotaryTable::new(angles, positions.len(), dim, device)
}
