//! The actor head.

use candle_core::{Device, Module};
use candle_nn::{Linear, VarBuilder, linear};

use super::Action;
use crate::feature::{Feature, FeatureError};

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
    /// [`FeatureError::NotFinite`] when a weight made an output NaN.
    pub fn act(&self, feature: &Feature) -> Result<Action, FeatureError> {
        Action::from_tensor(&self.fc.forward(&feature.to_tensor(&self.device)?)?.tanh()?)
    }
}
