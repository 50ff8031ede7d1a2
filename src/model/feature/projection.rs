//! Hidden states, brought to the feature's width.

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Module, Result, Tensor};
use candle_nn::{Linear, VarBuilder, linear};

use super::norm::Norm;
use crate::vision_language::{HiddenStates, KnownRows};

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

impl Projection {
    fn learns(&self) -> bool {
        self.linear.weight().track_op()
    }
}

/// The projections of the four hidden states. Rows are projected each for itself, so that those of the prompt's constant
/// beginning are projected once.
#[derive(Debug)]
pub struct Projections {
    each: [Projection; 4],
    prefix: Mutex<Option<(KnownRows, Vec<Tensor>)>>,
}

impl Projections {
    /// The one of `hidden_states[-4]` first.
    pub fn new(each: [Projection; 4]) -> Self {
        Self { each, prefix: Mutex::default() }
    }

    /// `[seq, feature]` of each.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn forward(&self, hidden_states: &HiddenStates) -> Result<Vec<Tensor>> {
        let states = hidden_states.states();
        match hidden_states.prefix() {
            // While the weights learn, nothing is constant.
            Some(prefix) if !self.each.iter().any(Projection::learns) => {
                let later = self.project(states, |state| state.narrow(0, prefix.rows, state.dim(0)? - prefix.rows))?;
                self.of_prefix(prefix, states)?
                    .iter()
                    .zip(later)
                    .map(|(rows, later)| Tensor::cat(&[rows, &later], 0))
                    .collect()
            }
            _ => self.project(states, |state| Ok(state.clone())),
        }
    }

    fn of_prefix(&self, prefix: KnownRows, states: &[Tensor; 4]) -> Result<Vec<Tensor>> {
        let mut entry = self.prefix.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, projected)) = entry.as_ref().filter(|(known, _)| *known == prefix) {
            return Ok(projected.clone());
        }
        let projected = self.project(states, |state| state.narrow(0, 0, prefix.rows))?;
        *entry = Some((prefix, projected.clone()));
        Ok(projected)
    }

    /// Some rows of each state.
    fn project(&self, states: &[Tensor; 4], rows: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Vec<Tensor>> {
        let project = |(projection, state): (&Projection, _)| projection.forward(&rows(state)?.to_dtype(DType::F32)?);
        self.each.iter().zip(states).map(project).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::Device;
    use candle_nn::VarMap;

    use super::*;

    fn random(rows: usize) -> HiddenStates {
        HiddenStates::new([(); 4].map(|()| Tensor::randn(0f32, 1., (rows, 24), &Device::Cpu).unwrap()))
    }

    fn projections(weights: &VarMap) -> Projections {
        let vb = VarBuilder::from_varmap(weights, DType::F32, &Device::Cpu);
        Projections::new([0, 1, 2, 3].map(|index| Projection::new(24, 8, vb.pp(index)).unwrap()))
    }

    fn constant(projection: Projection) -> Projection {
        let [weight, bias] = [projection.linear.weight(), projection.linear.bias().unwrap()].map(Tensor::detach);
        Projection { linear: Linear::new(weight, Some(bias)), ..projection }
    }

    fn difference(a: &[Tensor], b: &[Tensor]) -> f32 {
        let largest = |(a, b): (&Tensor, &Tensor)| (a - b).unwrap().abs().unwrap().max_all().unwrap();
        a.iter().zip(b).map(|pair| largest(pair).to_scalar::<f32>().unwrap()).fold(0.0, f32::max)
    }

    #[test]
    fn rows_of_a_known_prefix_are_those_of_the_whole() {
        let projections = Projections::new(projections(&VarMap::new()).each.map(constant));
        for prefix in [random(7), random(9)].map(|states| states.as_prefix().unwrap()) {
            for later in [random(5), random(3)] {
                let together = prefix.followed_by(&later).unwrap();
                let whole = projections.forward(&HiddenStates::new(together.states().clone())).unwrap();
                let in_parts = projections.forward(&together).unwrap();
                assert!(difference(&in_parts, &whole) < 1e-5);
                assert_eq!(projections.prefix.lock().unwrap().as_ref().unwrap().0, together.prefix().unwrap());
            }
        }
    }

    #[test]
    fn nothing_is_remembered_of_weights_that_learn() {
        let weights = VarMap::new();
        let projections = projections(&weights);
        let states = random(7).as_prefix().unwrap().followed_by(&random(2)).unwrap();
        let before = projections.forward(&states).unwrap();
        let bias = weights.data().lock().unwrap()["0.1.bias"].clone();
        bias.set(&(bias.as_tensor() + 1.0).unwrap()).unwrap();
        let after = projections.forward(&states).unwrap();
        assert!((difference(&after[..1], &before[..1]) - 1.0).abs() < 1e-5);
    }
}
