//! A policy to begin reinforcement learning with: the heads as they are, and an actor that says what the labels say.
//!
//! The original begins with random numbers in the actor's layer. Its features are trained already, though, and the layer is
//! linear behind a tanh, so that its best numbers can be computed: a ridge regression of `atanh(action)` on the feature.

use candle_core::{Device, Tensor};
use nalgebra::DMatrix;
use planner_tuner_core::planner::PlannerSpec;
use planner_tuner_model::checkpoint::{DPT_HEAD, HISTORY_ENCODER, StateDict};

use crate::{FinetuneError, Finetuning};

/// Actions are kept this far inside of [-1, 1]: the ends have no atanh.
const MOST: f64 = 0.98;
/// Weight of the penalty on the layer's numbers, as a share of the features' mean square.
const RIDGE: f64 = 1e-3;

impl Finetuning {
    /// The actor's tensors of a policy with the heads of now, its layer fitted to the labels of the frames that are learned
    /// from. `planner` is the one that the data was read for.
    ///
    /// # Errors
    /// When a frame cannot be read or an operation fails; [`FinetuneError::Heads`] when the features have no such layer.
    pub fn first_policy(&mut self, planner: &PlannerSpec) -> Result<StateDict, FinetuneError> {
        let items = self.material().split.train.clone();
        let actions = planner.parameters().len();
        let (mut features, mut targets) = (Vec::new(), Vec::new());
        for item in &items {
            features.push(self.feature(*item)?);
            let values = self.material().data.values(*item);
            let action = planner.parameters().iter().zip(values).map(|(parameter, value)| {
                let (middle, half) =
                    ((parameter.max() + parameter.min()) / 2.0, (parameter.max() - parameter.min()) / 2.0);
                ((value - middle) / half).clamp(-MOST, MOST).atanh()
            });
            targets.push(action.collect::<Vec<f64>>());
        }
        let width = features.first().map_or(0, Vec::len);
        let unfit = || FinetuneError::Heads { problem: "the actor's layer cannot be fitted to the labels".into() };
        let (weight, bias) = fit(&features, &targets, [width, actions]).ok_or_else(unfit)?;

        let (regression_head, history_encoder) = self.learner().heads().state_dicts()?;
        let mut tensors = Vec::new();
        for (prefix, heads) in [(DPT_HEAD, Some(regression_head)), (HISTORY_ENCODER, history_encoder)] {
            for (name, tensor) in heads.iter().flat_map(StateDict::iter) {
                tensors.push((format!("{prefix}.{name}"), tensor.clone()));
            }
        }
        tensors.push(("fc.weight".into(), Tensor::from_vec(weight, (actions, width), &Device::Cpu)?));
        tensors.push(("fc.bias".into(), Tensor::from_vec(bias, actions, &Device::Cpu)?));
        Ok(StateDict::new(tensors)?)
    }
}

/// Weight `[actions, width]` and bias `[actions]` of the linear layer that comes closest to the targets; `None` where there
/// are no features. The bias is not penalised.
fn fit(features: &[Vec<f32>], targets: &[Vec<f64>], [width, actions]: [usize; 2]) -> Option<(Vec<f32>, Vec<f32>)> {
    let rows = features.len();
    let inputs = DMatrix::from_fn(rows, width + 1, |row, column| {
        features.get(row).and_then(|feature| feature.get(column)).map_or(1.0, |value| f64::from(*value))
    });
    let outputs = DMatrix::from_fn(rows, actions, |row, column| {
        targets.get(row).and_then(|target| target.get(column)).copied().unwrap_or(0.0)
    });
    let mut gram = inputs.tr_mul(&inputs); // [width + 1, width + 1]
    let penalty = RIDGE * gram.diagonal().sum() / (width + 1) as f64;
    for index in 0..width {
        *gram.get_mut((index, index))? += penalty;
    }
    let solved = gram.cholesky()?.solve(&inputs.tr_mul(&outputs)); // [width + 1, actions]
    let weight = (0..actions).flat_map(|action| (0..width).map(move |input| (input, action)));
    let weight = weight.map(|at| solved.get(at).map(|value| *value as f32)).collect::<Option<Vec<f32>>>()?;
    let bias =
        (0..actions).map(|action| solved.get((width, action)).map(|value| *value as f32)).collect::<Option<_>>()?;
    Some((weight, bias))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use planner_tuner_core::random::Random;

    use super::*;

    #[test]
    fn a_linear_law_is_found() {
        let mut random = Random::new(3);
        let features: Vec<Vec<f32>> = (0..200).map(|_| (0..6).map(|_| random.normal()).collect()).collect();
        let law = |feature: &Vec<f32>| vec![f64::from(2.0 * feature[0] - feature[5]) + 0.3, -0.7];
        let targets: Vec<Vec<f64>> = features.iter().map(law).collect();
        let (weight, bias) = fit(&features, &targets, [6, 2]).unwrap();
        let expected = [2.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert!(weight.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.01), "{weight:?}");
        assert!((bias[0] - 0.3).abs() < 0.01 && (bias[1] + 0.7).abs() < 0.01, "{bias:?}");
    }

    #[test]
    fn more_numbers_than_frames_are_no_obstacle() {
        let features = vec![vec![1.0, -1.0, 0.5, 2.0]; 2];
        let (weight, bias) = fit(&features, &[vec![0.4], vec![0.4]], [4, 1]).unwrap();
        let said: f32 = features[0].iter().zip(&weight).map(|(value, weight)| value * weight).sum::<f32>() + bias[0];
        assert!((said - 0.4).abs() < 0.01, "{said}");
    }
}
