//! The one output of the vision-language model.

use candle_core::Tensor;

/// The last four hidden states in the sense of HF's `output_hidden_states=True`: `[seq, hidden]` each.
///
/// Index 0 is `hidden_states[-4]`. The first three are the outputs of decoder layers N-3, N-2 and N-1 (counted from 1),
/// the last is the output of layer N *after* the final norm.
#[derive(Debug, Clone)]
pub struct HiddenStates([Tensor; 4]);

impl HiddenStates {
    /// From four tensors `[seq, hidden]`, earliest layer first.
    pub fn new(states: [Tensor; 4]) -> Self {
        Self(states)
    }

    /// These rows, and after them those of `later`.
    ///
    /// # Errors
    /// When the widths differ.
    pub fn followed_by(&self, later: &HiddenStates) -> candle_core::Result<Self> {
        let [a, b, c, d] = &self.0;
        let [e, f, g, h] = &later.0;
        let pair = |first: &Tensor, second: &Tensor| Tensor::cat(&[first, second], 0);
        Ok(Self([pair(a, e)?, pair(b, f)?, pair(c, g)?, pair(d, h)?]))
    }

    /// The four tensors `[seq, hidden]`, earliest layer first.
    pub fn states(&self) -> &[Tensor; 4] {
        &self.0
    }
}
