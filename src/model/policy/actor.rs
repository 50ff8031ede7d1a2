//! The actor head.

use candle_core::{Device, Module, Tensor};
use candle_nn::{Linear, VarBuilder, linear};

use crate::feature::{FeatureError, values};
use planner_tuner_core::numbers::{Action, Feature};

/// `action = tanh(fc(feature))`.
#[derive(Debug)]
pub struct Actor {
    fc: Linear,
    device: Device,
}

impl Actor {
    /// Reads `fc` for `feature` inputs and `actions` outputs.
    ///
    /// # Errors
    /// When the tensors are not there or have other shapes.
    pub fn new(feature: usize, actions: usize, vb: VarBuilder) -> candle_core::Result<Self> {
        Ok(Self { fc: linear(feature, actions, vb.pp("fc"))?, device: vb.device().clone() })
    }

    /// The action without exploration noise.
    ///
    /// # Errors
    /// [`FeatureError::Numbers`] when a weight made an output NaN.
    pub fn act(&self, feature: &Feature) -> Result<Action, FeatureError> {
        let row = Tensor::from_slice(feature.values(), (1, feature.values().len()), &self.device)?; // [1, feature]
        Ok(Action::clamped(values(&self.fc.forward(&row)?.tanh()?)?)?)
    }
}
