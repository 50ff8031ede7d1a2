//! The one output of the vision-language model.

use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{DType, Result, Tensor, Var};

/// The last four hidden states in the sense of HF's `output_hidden_states=True`: `[seq, hidden]` each.
///
/// Index 0 is `hidden_states[-4]`. The first three are the outputs of decoder layers N-3, N-2 and N-1 (counted from 1),
/// the last is the output of layer N *after* the final norm.
///
/// The rows of the prompt's constant beginning are shared by all frames, and are never copied: the rest of the rows comes
/// after them.
#[derive(Debug, Clone)]
pub struct HiddenStates {
    prefix: Option<Arc<Prefix>>,
    rest: [Tensor; 4],
}

/// The first rows of hidden states, `[prefix, hidden]` each, computed once for many frames. What was made of them can be
/// used again for as long as it is the same allocation ([`Arc::ptr_eq`]).
#[derive(Debug)]
pub struct Prefix([Tensor; 4]);

impl Prefix {
    /// From four tensors `[prefix, hidden]`, earliest layer first.
    pub fn new(states: [Tensor; 4]) -> Self {
        Self(states)
    }

    /// The four tensors `[prefix, hidden]`, earliest layer first.
    pub fn states(&self) -> &[Tensor; 4] {
        &self.0
    }
}

impl HiddenStates {
    /// From four tensors `[seq, hidden]`, earliest layer first; no rows are shared with other frames.
    pub fn new(states: [Tensor; 4]) -> Self {
        Self { prefix: None, rest: states }
    }

    /// The rows of a prefix, and after them four tensors `[seq - prefix, hidden]`, earliest layer first.
    pub fn after(prefix: Arc<Prefix>, rest: [Tensor; 4]) -> Self {
        Self { prefix: Some(prefix), rest }
    }

    /// The rows at the start that other frames have, too.
    pub fn prefix(&self) -> Option<&Arc<Prefix>> {
        self.prefix.as_ref()
    }

    /// The rows after the prefix; without a prefix, all.
    pub fn rest(&self) -> &[Tensor; 4] {
        &self.rest
    }

    /// Rows of all: the length of the sequence.
    ///
    /// # Errors
    /// When the states are no matrices.
    #[expect(clippy::len_without_is_empty, reason = "no sequence is empty")]
    pub fn len(&self) -> Result<usize> {
        let first = self.prefix.as_ref().map_or(Ok(0), |prefix| prefix.states()[0].dim(0))?;
        Ok(first + self.rest[0].dim(0)?)
    }

    /// All rows, `[seq, hidden]` four times, earliest layer first. With a prefix they are copied.
    ///
    /// # Errors
    /// When prefix and rest differ in width, or the device refuses.
    pub fn whole(&self) -> Result<[Tensor; 4]> {
        let Some(prefix) = &self.prefix else { return Ok(self.rest.clone()) };
        let ([a, b, c, d], [e, f, g, h]) = (prefix.states(), &self.rest);
        let pair = |first: &Tensor, second: &Tensor| Tensor::cat(&[first, second], 0);
        Ok([pair(a, e)?, pair(b, f)?, pair(c, g)?, pair(d, h)?])
    }
}

/// Hidden states as variables, f32: a gradient can be asked for.
#[derive(Debug)]
pub struct StateVariables([Var; 4]);

impl StateVariables {
    /// With the numbers of these, a prefix included.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn of(states: &HiddenStates) -> Result<Self> {
        let [a, b, c, d] = states.whole()?;
        let variable = |state: Tensor| Var::from_tensor(&state.to_dtype(DType::F32)?);
        Ok(Self([variable(a)?, variable(b)?, variable(c)?, variable(d)?]))
    }

    /// Hidden states that lead back to the variables.
    pub fn hidden_states(&self) -> HiddenStates {
        HiddenStates::new(self.0.each_ref().map(|state| state.as_tensor().clone()))
    }

    /// What was found for each, `[seq, hidden]`; zeros where nothing was. They lead nowhere themselves.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn gradients(&self, found: &GradStore) -> Result<[Tensor; 4]> {
        let of = |state: &Var| found.get(state).map_or_else(|| state.zeros_like(), |found| Ok(found.detach()));
        let [a, b, c, d] = self.0.each_ref().map(of);
        Ok([a?, b?, c?, d?])
    }
}
