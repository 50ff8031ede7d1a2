//! Sequences of a batch, one below the other or side by side.

use candle_core::{Device, Result, Tensor};

use crate::vision_language::HiddenStates;

/// How long the sequences of a batch are.
#[derive(Debug)]
pub struct SequenceLayout {
    lengths: Vec<usize>,
    longest: usize,
    /// `[batch, longest, 1]`: 1 within a sequence, 0 behind its end; `None` where all are as long.
    keep: Option<Tensor>,
}

impl SequenceLayout {
    /// That of some observations.
    pub fn of(observations: &[&HiddenStates], device: &Device) -> Result<Self> {
        let lengths: Vec<usize> = observations.iter().map(|states| states.len()).collect::<Result<_>>()?;
        let longest = lengths.iter().copied().max().unwrap_or_default();
        let keep = if lengths.iter().all(|length| *length == longest) {
            None
        } else {
            let within = |length: &usize| (0..longest).map(|place| if place < *length { 1f32 } else { 0.0 }).collect();
            let keep: Vec<f32> = lengths.iter().flat_map::<Vec<f32>, _>(within).collect();
            Some(Tensor::from_vec(keep, (lengths.len(), longest, 1), device)?)
        };
        Ok(Self { lengths, longest, keep })
    }

    /// See the field.
    pub fn keep(&self) -> Option<&Tensor> {
        self.keep.as_ref()
    }

    /// `[rows of all, width] -> [batch, longest, width]`, with zeros behind the shorter ones.
    pub fn padded(&self, rows: &Tensor) -> Result<Tensor> {
        if self.keep.is_none() {
            return rows.reshape((self.lengths.len(), self.longest, ()));
        }
        let mut start = 0;
        let mut padded = Vec::with_capacity(self.lengths.len());
        for length in &self.lengths {
            padded.push(rows.narrow(0, start, *length)?.pad_with_zeros(0, 0, self.longest - length)?);
            start += length;
        }
        Tensor::stack(&padded, 0)
    }
}
