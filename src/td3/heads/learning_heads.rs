//! DPT head and history encoder whose weights learn.

use candle_core::{DType, Device, Tensor, Var};

use super::Seen;
use crate::{NamedTensor, TrainError};
use planner_tuner_model::checkpoint::{DPT_HEAD, HISTORY_ENCODER, HistoryConfig, StateDict};
use planner_tuner_model::feature::{BatchHeads, DptSizes, HeadGradient, HeadInput, HeadParts, HistorySizes};

/// The part of the DPT head that no action depends on. It stays as it is, as it does in the original, which gives it no
/// gradient.
const REGRESSION: &str = "feature_extractor.dpt_head.mlp.";

/// The heads, as optimiser and files see them: one row of numbers.
///
/// Observations are computed together, as many as are given, which agrees with the robot's own kernels up to rounding.
#[derive(Debug)]
pub struct LearningHeads {
    tensors: Vec<HeadTensor>,
    /// All numbers that learn, tensor by tensor.
    values: Vec<f32>,
    heads: BatchHeads,
    device: Device,
}

/// A tensor that learns.
#[derive(Debug)]
struct HeadTensor {
    name: String,
    shape: Vec<usize>,
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
        let (mut variables, mut frozen) = (Vec::new(), Vec::new());
        for (name, tensor) in actor.iter().filter(|(name, _)| !name.starts_with("fc.")) {
            let tensor = tensor.to_dtype(DType::F32)?.to_device(device)?.contiguous()?;
            if name.starts_with(REGRESSION) {
                frozen.push((name.to_owned(), tensor));
                continue;
            }
            let numbers: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
            if !numbers.iter().all(|value| value.is_finite()) {
                return Err(TrainError::Actor { problem: format!("{name} holds non-finite values") });
            }
            values.extend(numbers);
            variables.push((name.to_owned(), Var::from_tensor(&tensor)?));
            tensors.push(HeadTensor { name: name.to_owned(), shape: tensor.dims().to_vec() });
        }
        let heads = BatchHeads::new(parts_of(actor, history, hidden)?, variables, frozen, device)?;
        Ok(Self { tensors, values, heads, device: device.clone() })
    }

    /// Length of a feature.
    pub fn feature_length(&self) -> usize {
        self.heads.feature_length()
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
        for (NamedTensor { values, shape, .. }, (_, variable)) in self.named().iter().zip(self.heads.variables()) {
            variable.set(&Tensor::from_slice(values, shape.as_slice(), &self.device)?)?;
        }
        self.heads.variables_changed()
    }

    /// The feature of each observation, row by row, added to `rows`.
    ///
    /// # Errors
    /// [`TrainError::Heads`] when the observations are not such as the heads take.
    pub fn features(&self, seen: &[Seen], rows: &mut Vec<f32>) -> Result<(), TrainError> {
        if seen.is_empty() {
            return Ok(());
        }
        let features = on_a_worker(|| self.heads.features(&inputs(seen)))?; // [batch, feature]
        rows.extend(features.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }

    /// Begins to add gradients up.
    pub fn no_gradient(&self) -> HeadGradient {
        self.heads.no_gradient()
    }

    /// Adds to `sum` what the features of the observations pass on to the numbers that learn, from the gradient of each
    /// feature, row by row.
    ///
    /// # Errors
    /// As [`features`](Self::features); when a length does not fit.
    pub fn add_gradient(&self, seen: &[Seen], of_features: &[f32], sum: &mut HeadGradient) -> Result<(), TrainError> {
        self.pass_on(seen, of_features, sum, false).map(|_| ())
    }

    /// As [`add_gradient`](Self::add_gradient), of one observation: also what its hidden states get, f32 `[seq, hidden]` each.
    ///
    /// # Errors
    /// As [`add_gradient`](Self::add_gradient).
    pub fn add_gradient_through(
        &self,
        seen: &Seen,
        of_feature: &[f32],
        sum: &mut HeadGradient,
    ) -> Result<[Tensor; 4], TrainError> {
        let of_states = self.pass_on(std::slice::from_ref(seen), of_feature, sum, true)?;
        let none = || candle_core::Error::Msg("the hidden states got no gradient".to_owned());
        Ok(of_states.into_iter().next().ok_or_else(none)?)
    }

    fn pass_on(
        &self,
        seen: &[Seen],
        of_features: &[f32],
        sum: &mut HeadGradient,
        with_states: bool,
    ) -> Result<Vec<[Tensor; 4]>, TrainError> {
        let width = self.feature_length();
        if of_features.len() != seen.len() * width {
            let (found, rows) = (of_features.len(), seen.len());
            let problem = format!("a gradient of {found} values does not fit {rows} features of {width}");
            return Err(candle_core::Error::Msg(problem).into());
        }
        if seen.is_empty() {
            return Ok(Vec::new());
        }
        let of_features = Tensor::from_slice(of_features, (seen.len(), width), &self.device)?;
        Ok(on_a_worker(|| self.heads.add_gradient(&inputs(seen), &of_features, sum, with_states))?)
    }

    /// Copies a sum from the device, in the order of [`named`](Self::named).
    ///
    /// # Errors
    /// When the device refuses.
    pub fn read_gradient(&self, sum: &HeadGradient, gradient: &mut Vec<f32>) -> candle_core::Result<()> {
        gradient.clear();
        gradient.extend(self.heads.read(sum)?.into_iter().flatten());
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
fn parts_of(actor: &StateDict, history: Option<&HistoryConfig>, hidden: usize) -> Result<HeadParts, TrainError> {
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
        let sizes = HistorySizes { dim, frames, feed_forward: feed_forward()? };
        Ok::<_, TrainError>((sizes, config.history_image_size as usize))
    });
    Ok(HeadParts { dpt, history: history.transpose()? })
}
