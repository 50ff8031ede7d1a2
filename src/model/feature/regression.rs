//! The supervised head: normalised planner parameters from the feature.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Linear, VarBuilder, linear};

use crate::vision_language::DropoutMask;

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

/// What is left out of the MLP while it learns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadDropout {
    /// Share of the numbers behind each activation, in [0, 1).
    pub share: f64,
    /// Chooses them.
    pub seed: u64,
}

impl HeadDropout {
    /// Behind an activation, `[rows, width]`.
    fn apply(self, activation: u64, xs: &Tensor) -> Result<Tensor> {
        xs.contiguous()?.apply_op1(DropoutMask::new(self.seed.wrapping_add(activation), self.share))
    }
}

impl RegressionHead {
    /// `[rows, feature] -> [rows, num_params]`, normalised; `dropout` is for learning.
    ///
    /// # Errors
    /// When the feature has another width.
    pub fn forward_dropping(&self, feature: &Tensor, dropout: Option<HeadDropout>) -> Result<Tensor> {
        let behind = |activation, xs: Tensor| match dropout.filter(|dropout| dropout.share > 0.0) {
            Some(dropout) => dropout.apply(activation, &xs),
            None => Ok(xs),
        };
        let xs = behind(0, self.mlp_0.forward(feature)?.gelu_erf()?)?;
        self.mlp_6.forward(&behind(1, self.mlp_3.forward(&xs)?.gelu_erf()?)?)
    }
}

impl Module for RegressionHead {
    /// `[1, feature] -> [1, num_params]`, normalised: a value is `out * std + mean`.
    fn forward(&self, feature: &Tensor) -> Result<Tensor> {
        self.forward_dropping(feature, None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{DType, Device};
    use candle_nn::VarMap;

    use super::*;

    #[test]
    fn dropout_is_chosen_by_its_seed_and_changes_nothing_where_there_is_none() {
        let map = VarMap::new();
        let head = RegressionHead::new(16, 5, VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu)).unwrap();
        let feature = Tensor::randn(0f32, 1., (1, 16), &Device::Cpu).unwrap();
        let said =
            |dropout| head.forward_dropping(&feature, dropout).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let with = |seed| Some(HeadDropout { share: 0.1, seed });
        let whole: Vec<f32> = said(None);
        assert_eq!(whole, said(Some(HeadDropout { share: 0.0, seed: 3 })));
        assert!(said(with(1)) == said(with(1)) && said(with(1)) != said(with(2)) && said(with(1)) != whole);
    }
}
