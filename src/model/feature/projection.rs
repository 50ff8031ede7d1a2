//! Hidden states, brought to the feature's width.

use std::sync::Arc;

use candle_core::{DType, Error, Module, Result, Tensor};
use candle_nn::{Linear, VarBuilder, linear};

use super::norm::Norm;
use crate::vision_language::{HiddenStates, Prefix};

/// `Sequential(Linear(hidden, feature), LayerNorm(feature))`.
#[derive(Debug)]
pub struct Projection {
    linear: Linear,
    norm: Norm,
}

impl Projection {
    /// Reads `0` (the linear layer) and `1` (the norm).
    pub fn new(hidden: usize, feature: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self { linear: linear(hidden, feature, vb.pp("0"))?, norm: Norm::new(feature, vb.pp("1"))? })
    }
}

impl Module for Projection {
    /// `[seq, hidden] -> [seq, feature]`
    fn forward(&self, hidden_state: &Tensor) -> Result<Tensor> {
        self.norm.forward(&self.linear.forward(hidden_state)?)
    }
}

/// The projections of the four hidden states. Rows are projected each for itself, so that those of the prompt's constant
/// beginning need to be projected only once.
#[derive(Debug)]
pub struct Projections([Projection; 4]);

/// What a head made of the prefix that it saw last. It belongs to one head, whose weights stay as they are.
#[derive(Debug, Default)]
pub struct ProjectedPrefix(Option<(Arc<Prefix>, Vec<Tensor>)>);

impl Projections {
    /// The one of `hidden_states[-4]` first.
    pub fn new(each: [Projection; 4]) -> Self {
        Self(each)
    }

    /// `[seq, feature]` of each.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn forward(&self, hidden_states: &HiddenStates) -> Result<Vec<Tensor>> {
        self.project(&hidden_states.whole()?)
    }

    /// As [`Self::forward`] up to rounding, with the rows of the prefix taken from `known` where it is the same prefix, and
    /// else put there.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn forward_onto(&self, known: &mut ProjectedPrefix, hidden_states: &HiddenStates) -> Result<Vec<Tensor>> {
        let rest = self.project(hidden_states.rest())?;
        let Some(prefix) = hidden_states.prefix() else { return Ok(rest) };
        let of_prefix = known.get_or_make(prefix, || self.project(prefix.states()))?;
        of_prefix.iter().zip(rest).map(|(first, rest)| Tensor::cat(&[first, &rest], 0)).collect()
    }

    /// `[rows of all, feature]` of each hidden state, for the rows of several observations one below the other.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn forward_all(&self, observations: &[&HiddenStates]) -> Result<Vec<Tensor>> {
        let whole: Vec<[Tensor; 4]> = observations.iter().map(|states| states.whole()).collect::<Result<_>>()?;
        let below_each_other = |(index, projection): (usize, &Projection)| {
            let rows: Vec<&Tensor> = whole.iter().filter_map(|states| states.get(index)).collect();
            projection.forward(&Tensor::cat(&rows, 0)?.to_dtype(DType::F32)?)
        };
        self.0.iter().enumerate().map(below_each_other).collect()
    }

    fn project(&self, states: &[Tensor; 4]) -> Result<Vec<Tensor>> {
        let project = |(projection, state): (&Projection, &Tensor)| projection.forward(&state.to_dtype(DType::F32)?);
        self.0.iter().zip(states).map(project).collect()
    }
}

impl ProjectedPrefix {
    fn get_or_make(&mut self, prefix: &Arc<Prefix>, make: impl FnOnce() -> Result<Vec<Tensor>>) -> Result<&[Tensor]> {
        let known = self.0.take().filter(|(known, _)| Arc::ptr_eq(known, prefix));
        let known = known.map_or_else(|| Ok::<_, Error>((Arc::clone(prefix), make()?)), Ok)?;
        Ok(&self.0.insert(known).1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::Device;
    use candle_nn::VarMap;

    use super::*;

    fn random(rows: usize) -> [Tensor; 4] {
        [(); 4].map(|()| Tensor::randn(0f32, 1., (rows, 24), &Device::Cpu).unwrap())
    }

    fn projections(weights: &VarMap) -> Projections {
        let vb = VarBuilder::from_varmap(weights, DType::F32, &Device::Cpu);
        Projections::new([0, 1, 2, 3].map(|index| Projection::new(24, 8, vb.pp(index)).unwrap()))
    }

    fn difference(a: &[Tensor], b: &[Tensor]) -> f32 {
        let largest = |(a, b): (&Tensor, &Tensor)| (a - b).unwrap().abs().unwrap().max_all().unwrap();
        a.iter().zip(b).map(|pair| largest(pair).to_scalar::<f32>().unwrap()).fold(0.0, f32::max)
    }

    #[test]
    fn rows_of_a_known_prefix_are_those_of_the_whole() {
        let (projections, mut known) = (projections(&VarMap::new()), ProjectedPrefix::default());
        for prefix in [random(7), random(9)].map(|states| Arc::new(Prefix::new(states))) {
            for rest in [random(5), random(3)] {
                let states = HiddenStates::after(Arc::clone(&prefix), rest);
                let whole = projections.forward(&states).unwrap();
                let in_parts = projections.forward_onto(&mut known, &states).unwrap();
                assert!(difference(&in_parts, &whole) < 1e-5);
            }
        }
    }

    #[test]
    fn a_prefix_is_projected_once_and_an_equal_one_is_another() {
        let mut known = ProjectedPrefix::default();
        let states = random(7);
        let [one, equal] = [(); 2].map(|()| Arc::new(Prefix::new(states.clone())));
        let mut made = Vec::new();
        for prefix in [&one, &one, &equal, &equal, &one] {
            let mut is_made = false;
            known
                .get_or_make(prefix, || {
                    is_made = true;
                    Ok(Vec::new())
                })
                .unwrap();
            made.push(is_made);
        }
        assert_eq!(made, [true, false, true, false, true]);
    }

    #[test]
    fn without_a_memory_changed_weights_are_seen() {
        let weights = VarMap::new();
        let projections = projections(&weights);
        let states = HiddenStates::after(Arc::new(Prefix::new(random(7))), random(2));
        let before = projections.forward(&states).unwrap();
        let bias = weights.data().lock().unwrap()["0.1.bias"].clone();
        bias.set(&(bias.as_tensor() + 1.0).unwrap()).unwrap();
        let after = projections.forward(&states).unwrap();
        assert!((difference(&after[..1], &before[..1]) - 1.0).abs() < 1e-5);
    }
}
