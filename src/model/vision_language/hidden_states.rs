//! The one output of the vision-language model.

use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::Tensor;

/// The last four hidden states in the sense of HF's `output_hidden_states=True`: `[seq, hidden]` each.
///
/// Index 0 is `hidden_states[-4]`. The first three are the outputs of decoder layers N-3, N-2 and N-1 (counted from 1),
/// the last is the output of layer N *after* the final norm.
#[derive(Debug, Clone)]
pub struct HiddenStates {
    states: [Tensor; 4],
    prefix: Option<KnownRows>,
}

/// The first rows of hidden states, where they were computed once for many frames: what has the same number is equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownRows {
    number: u64,
    /// How many rows.
    pub rows: usize,
}

impl HiddenStates {
    /// From four tensors `[seq, hidden]`, earliest layer first.
    pub fn new(states: [Tensor; 4]) -> Self {
        Self { states, prefix: None }
    }

    /// The same, to stand before those of many frames.
    ///
    /// # Errors
    /// When the states have no rows.
    pub fn as_prefix(self) -> candle_core::Result<Self> {
        static PREFIXES: AtomicU64 = AtomicU64::new(0);
        let [first, ..] = &self.states;
        let prefix = KnownRows { number: PREFIXES.fetch_add(1, Ordering::Relaxed), rows: first.dim(0)? };
        Ok(Self { prefix: Some(prefix), ..self })
    }

    /// These rows, and after them those of `later`.
    ///
    /// # Errors
    /// When the widths differ.
    pub fn followed_by(&self, later: &HiddenStates) -> candle_core::Result<Self> {
        let [a, b, c, d] = &self.states;
        let [e, f, g, h] = &later.states;
        let pair = |first: &Tensor, second: &Tensor| Tensor::cat(&[first, second], 0);
        Ok(Self { states: [pair(a, e)?, pair(b, f)?, pair(c, g)?, pair(d, h)?], prefix: self.prefix })
    }

    /// The same rows, none of them known from other frames: for heads whose weights change, which must not remember what
    /// they once made of a prefix.
    pub fn unshared(&self) -> Self {
        Self { states: self.states.clone(), prefix: None }
    }

    /// The four tensors `[seq, hidden]`, earliest layer first.
    pub fn states(&self) -> &[Tensor; 4] {
        &self.states
    }

    /// The rows at the start that other frames have, too.
    pub fn prefix(&self) -> Option<KnownRows> {
        self.prefix
    }
}
