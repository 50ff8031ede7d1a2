//! The supervised head: normalised planner parameters from the feature.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Linear, VarBuilder, linear};

/// Widths inside the MLP.
const HIDDEN: [usize; 2] = [512, 256];

/// `mlp`: Linear, GELU, (dropout), Linear, GELU, (dropout), Linear. The gaps in the numbering are the dropouts and
/// activations of the training code.
#[derive(Debug)]
pub struct RegressionHead {
    mlp_0: Linear,
    mlp_3: Linear,
    mlp_6: Linear,
}

impl RegressionHead {
    /// Reads the tensors below `mlp.`.
    pub fn new(feature: usize, num_params: usize, vb: VarBuilder) -> Result<Self> {
        let [wide, narrow] = HIDDEN;
        Ok(Self {
            mlp_0: linear(feature, wide, vb.pp("0"))?,
            mlp_3: linear(wide, narrow, vb.pp("3"))?,
            mlp_6: linear(narrow, num_params, vb.pp("6"))?,
        })
    }
}

impl Module for RegressionHead {
    /// `[1, feature] -> [1, num_params]`, normalised: a value is `out * std + mean`.
    fn forward(&self, feature: &Tensor) -> Result<Tensor> {
        let xs = self.mlp_0.forward(feature)?.gelu_erf()?;
        self.mlp_6.forward(&self.mlp_3.forward(&xs)?.gelu_erf()?)
    }
}
