//! Multimodal rotary positions (HF `apply_multimodal_rotary_pos_emb`) and the causal mask.

use candle_core::{Device, Result, Tensor};

use crate::vision_language::TextConfig;
use crate::vision_language::kernels::{AttentionPlan, Heads};
use crate::vision_language::processor::MropePositions;
use crate::vision_language::rotary_table::RotaryTable;

/// All that depends on the lengths of the sequence's parts alone: rotary tables and mask.
///
/// A geometry may stand for the later rows of a sequence only; the mask's columns are then those of the whole.
#[derive(Debug)]
pub struct SequenceGeometry {
    rotary: RotaryTable,
    plan: AttentionPlan,
    causal_mask: Tensor, // [1, rows, seq] f32: 0 to the left and on the diagonal, -inf to the right
}

impl SequenceGeometry {
    /// For the positions of one prompt.
    ///
    /// Each rotary frequency follows one of the three: the first `mrope_section[0]` the time, the next the height, the
    /// last the width. HF splits the doubled table in six and picks the same ones.
    pub fn new(positions: &MropePositions, config: &TextConfig, device: &Device) -> Result<Self> {
        let [time, height, width] = positions.axes();
        let seq = time.len();
        let half = config.head_dim / 2;
        let [time_section, height_section, _] = config.rope.section();
        let inverse_frequencies = config.rope.inverse_frequencies(config.head_dim);
        let angles = time
            .iter()
            .zip(height)
            .zip(width)
            .flat_map(|((&t, &h), &w)| {
                inverse_frequencies.iter().enumerate().map(move |(i, frequency)| {
                    let position = match i {
                        i if i < time_section => t,
                        i if i < time_section + height_section => h,
                        _ => w,
                    };
                    position as f32 * frequency
                })
            })
            .collect();
        let mask: Vec<f32> = (0..seq)
            .flat_map(|row| (0..seq).map(move |col| if col <= row { 0.0 } else { f32::NEG_INFINITY }))
            .collect();
        Ok(Self {
            rotary: RotaryTable::new(angles, seq, half, device)?.scaled(config.rope.attention_factor())?,
            plan: AttentionPlan::causal(seq, seq),
            causal_mask: Tensor::from_vec(mask, (1, seq, seq), device)?,
        })
    }

    /// `[rows, heads * dim]` to `[heads, rows, dim]` in f32, each row turned as its position says.
    pub(super) fn split_and_rotate(&self, xs: &Tensor, heads: Heads) -> Result<Tensor> {
        self.rotary.split_and_rotate(xs, heads)
    }

    /// Who attends to whom.
    pub(super) fn plan(&self) -> &AttentionPlan {
        &self.plan
    }

    /// The same as a mask `[1, rows, seq]` in f32: 0 to the left and on the diagonal, -inf to the right.
    pub(super) fn causal_mask(&self) -> &Tensor {
        &self.causal_mask
    }

    /// The first `len` tokens, for themselves.
    pub fn prefix(&self, len: usize) -> Result<Self> {
        let mask = self.causal_mask.narrow(1, 0, len)?.narrow(2, 0, len)?;
        Ok(Self { rotary: self.rotary.narrow(0, len)?, plan: AttentionPlan::causal(len, len), causal_mask: mask })
    }

    /// The tokens after the first `len`, which attend to those and to each other.
    pub fn after_prefix(&self, len: usize) -> Result<Self> {
        let seq = self.rotary.rows()?;
        let rows = seq - len;
        Ok(Self {
            rotary: self.rotary.narrow(len, rows)?,
            plan: AttentionPlan::causal(rows, seq),
            causal_mask: self.causal_mask.narrow(1, len, rows)?,
        })
    }
}
