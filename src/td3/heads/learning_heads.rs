//! DPT head and history encoder whose weights learn.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;

use super::Seen;
use crate::{NamedTensor, TrainError};
use planner_tuner_model::checkpoint::{DPT_HEAD, HISTORY_ENCODER, HistoryConfig, StateDict};
use planner_tuner_model::feature::{DptHead, DptSizes, FeatureExtractor, HeadInput, HistoryEncoder, HistorySizes};

/// The part of the DPT head that no action depends on. It stays as it is, as it does in the original, which gives it no
/// gradient.
const REGRESSION: &str = "feature_extractor.dpt_head.mlp.";

/// The heads twice over the same numbers: with a gradient, and without the cost of one.
///
/// Observations are computed together, as many as are given: their frames are convolved as one batch, their tokens
/// projected as one matrix. That agrees with the robot's own kernels up to rounding.
#[derive(Debug)]
pub struct LearningHeads {
    tensors: Vec<HeadTensor>,
    /// All numbers that learn, tensor by tensor: what optimiser and files see.
    values: Vec<f32>,
    plain: FeatureExtractor,
    tracked: FeatureExtractor,
    feature: usize,
    device: Device,
}

/// A tensor that learns.
#[derive(Debug)]
struct HeadTensor {
    name: String,
    shape: Vec<usize>,
    variable: Var,
}

impl LearningHeads {
    /// Takes the heads from a policy's actor, whose names and shapes have been checked (as [`planner_tuner_model::tuner::Tuner`] does).
    /// `hidden` is the width of the hidden states.
    ///
    /// # Errors
    /// [`TrainError::Actor`] when tensors are missing that tell the sizes, or hold non-finite values;
    /// [`TrainError::Tensor`] when one is missing or mis-shaped otherwise.
    pub fn new(
        actor: &StateDict,
        history: Option<&HistoryConfig>,
        hidden: usize,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let (mut tensors, mut values) = (Vec::new(), Vec::new());
        // Both hold the same storage: what is set in the variable is seen by the other.
        let (mut plain, mut tracked) = (HashMap::new(), HashMap::new());
        for (name, tensor) in actor.iter().filter(|(name, _)| !name.starts_with("fc.")) {
            let tensor = tensor.to_dtype(DType::F32)?.to_device(device)?.contiguous()?;
            if name.starts_with(REGRESSION) {
                plain.insert(name.to_owned(), tensor.clone());
                tracked.insert(name.to_owned(), tensor);
                continue;
            }
            let numbers: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
            if !numbers.iter().all(|value| value.is_finite()) {
                return Err(TrainError::Actor { problem: format!("{name} holds non-finite values") });
            }
            values.extend(numbers);
            let variable = Var::from_tensor(&tensor)?;
            plain.insert(name.to_owned(), variable.as_detached_tensor());
            tracked.insert(name.to_owned(), variable.as_tensor().clone());
            tensors.push(HeadTensor { name: name.to_owned(), shape: tensor.dims().to_vec(), variable });
        }
        let sizes = Sizes::of(actor, history, hidden)?;
        let build = |tensors| {
            let vb = VarBuilder::from_tensors(tensors, DType::F32, device);
            let encoder = sizes
                .history
                .map(|sizes| Ok::<_, candle_core::Error>((HistoryEncoder::new(sizes, vb.pp(HISTORY_ENCODER))?, sizes)))
                .transpose()?;
            let encoder = encoder.map(|(encoder, sizes)| (encoder, sizes.frames));
            Ok::<_, candle_core::Error>(FeatureExtractor::new(DptHead::new(sizes.dpt, vb.pp(DPT_HEAD))?, encoder))
        };
        let (plain, tracked) = (build(plain)?, build(tracked)?);
        Ok(Self { tensors, values, plain, tracked, feature: sizes.dpt.feature, device: device.clone() })
    }

    /// Length of a feature.
    pub fn feature_length(&self) -> usize {
        self.feature
    }

    /// All numbers that learn, in the order of [`named`](Self::named).
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The tensors that learn, under their names in a policy.
    pub fn named(&self) -> Vec<NamedTensor<'_>> {
        self.split(&self.values)
    }

    /// Other numbers of the same tensors (gradients, an optimiser's averages) under their names.
    pub fn split<'a>(&self, values: &'a [f32]) -> Vec<NamedTensor<'a>> {
        let mut rest = values;
        let mut named = Vec::with_capacity(self.tensors.len());
        for HeadTensor { name, shape, .. } in &self.tensors {
            let (values, after) = rest.split_at(shape.iter().product::<usize>().min(rest.len()));
            named.push(NamedTensor { name: name.clone(), shape: shape.clone(), values });
            rest = after;
        }
        named
    }

    /// Changes the numbers that learn.
    ///
    /// # Errors
    /// When the device refuses the copy.
    pub fn change(&mut self, change: impl FnOnce(&mut [f32])) -> candle_core::Result<()> {
        change(&mut self.values);
        for tensor in self.split(&self.values).iter().zip(&self.tensors) {
            let (NamedTensor { values, shape, .. }, HeadTensor { variable, .. }) = tensor;
            variable.set(&Tensor::from_slice(values, shape.as_slice(), &self.device)?)?;
        }
        Ok(())
    }

    /// The feature of each observation, row by row, added to `rows`.
    ///
    /// # Errors
    /// [`TrainError::Heads`] when the observations are not such as the heads take.
    pub fn features(&self, seen: &[Seen], rows: &mut Vec<f32>) -> Result<(), TrainError> {
        if seen.is_empty() {
            return Ok(());
        }
        let features = on_a_worker(|| self.plain.forward_batch(&inputs(seen)))?; // [batch, feature]
        rows.extend(features.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }

    /// Begins to add gradients up.
    pub fn no_gradient(&self) -> GradientSum {
        GradientSum(self.tensors.iter().map(|_| None).collect())
    }

    /// Adds to `sum` what the features of the observations pass on to the numbers that learn, from the gradient of each
    /// feature, row by row.
    ///
    /// # Errors
    /// As [`features`](Self::features); when a length does not fit.
    pub fn add_gradient(&self, seen: &[Seen], of_features: &[f32], sum: &mut GradientSum) -> Result<(), TrainError> {
        if of_features.len() != seen.len() * self.feature {
            let (found, rows, width) = (of_features.len(), seen.len(), self.feature);
            let problem = format!("a gradient of {found} values does not fit {rows} features of {width}");
            return Err(candle_core::Error::Msg(problem).into());
        }
        if seen.is_empty() {
            return Ok(());
        }
        on_a_worker(|| {
            let features = self.tracked.forward_batch(&inputs(seen))?; // [batch, feature]
            let weights = Tensor::from_slice(of_features, (seen.len(), self.feature), &self.device)?;
            let gradients = (features * weights)?.sum_all()?.backward()?;
            Ok(sum.add(&self.tensors, &gradients)?)
        })
    }

    /// Copies a sum from the device, in the order of [`named`](Self::named).
    ///
    /// # Errors
    /// When the device refuses.
    pub fn read_gradient(&self, sum: &GradientSum, gradient: &mut Vec<f32>) -> candle_core::Result<()> {
        gradient.clear();
        for (sum, tensor) in sum.0.iter().zip(&self.tensors) {
            match sum {
                Some(sum) => gradient.extend(sum.flatten_all()?.to_vec1::<f32>()?),
                None => gradient.extend(std::iter::repeat_n(0.0, tensor.shape.iter().product())),
            }
        }
        Ok(())
    }
}

/// The sum of gradients, on the heads' device: nothing is copied from there until all of a batch has been added.
#[derive(Debug)]
pub struct GradientSum(Vec<Option<Tensor>>);

impl GradientSum {
    fn add(&mut self, tensors: &[HeadTensor], gradients: &GradStore) -> candle_core::Result<()> {
        for (sum, tensor) in self.0.iter_mut().zip(tensors) {
            if let Some(gradient) = gradients.get(&tensor.variable) {
                *sum = Some(match sum {
                    Some(sum) => (&*sum + gradient)?,
                    None => gradient.clone(),
                });
            }
        }
        Ok(())
    }
}

fn inputs(seen: &[Seen]) -> Vec<HeadInput<'_>> {
    seen.iter().map(|seen| HeadInput { hidden_states: &seen.hidden_states, newest_first: &seen.newest_first }).collect()
}

/// Works on a thread of rayon's pool: there the small parallel loops inside each operation start at once, where from any
/// other thread each of them would wait for the pool to wake up.
fn on_a_worker<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| work())
}

/// Sizes that the tensors and the supervised checkpoint's configuration tell.
struct Sizes {
    dpt: DptSizes,
    history: Option<HistorySizes>,
}

impl Sizes {
    fn of(actor: &StateDict, history: Option<&HistoryConfig>, hidden: usize) -> Result<Self, TrainError> {
        let rows = |name: String| {
            let rows = actor.get(&name).and_then(|tensor| tensor.dims().first().copied());
            rows.ok_or_else(|| TrainError::Actor { problem: format!("there is no {name}, so its heads cannot learn") })
        };
        let dpt = DptSizes {
            hidden,
            feature: rows(format!("{DPT_HEAD}.projections.0.0.weight"))?,
            history: history.map(|config| config.history_dim),
            num_params: rows(format!("{DPT_HEAD}.mlp.6.weight"))?,
        };
        let feed_forward = || rows(format!("{HISTORY_ENCODER}.temporal_transformer.layers.0.linear1.weight"));
        let history = history.map(|config| {
            let (dim, frames) = (config.history_dim, config.num_history_frames);
            Ok::<_, TrainError>(HistorySizes { dim, frames, feed_forward: feed_forward()? })
        });
        Ok(Self { dpt, history: history.transpose()? })
    }
}
