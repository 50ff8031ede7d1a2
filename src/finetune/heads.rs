//! DPT head with its regression, and history encoder, whose numbers all learn.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use planner_tuner_core::random::Random;
use planner_tuner_model::checkpoint::{HistoryConfig, StateDict, TensorTable};
use planner_tuner_model::feature::{
    DptHead, DptSizes, FeatureExtractor, HeadDropout, HeadInput, HistoryEncoder, HistorySizes,
};
use planner_tuner_model::vision_language::HiddenStates;
use planner_tuner_model::weights::LoadPlan;

use crate::FinetuneError;

/// What the names of the DPT head's tensors begin with, and those of the history encoder's, in lists of both.
const REGRESSION_HEAD: &str = "regression_head.";
const HISTORY_ENCODER: &str = "history_encoder.";

/// Widths inside the original's history encoder and of its feature.
const FEED_FORWARD_FACTOR: usize = 2;

/// The heads of a supervised checkpoint, as operations that have a gradient.
#[derive(Debug)]
pub struct SupervisedHeads {
    tensors: Vec<(String, Var)>,
    extractor: FeatureExtractor,
    history: Option<HistoryConfig>,
    /// Share of the regression's numbers that is left out while it learns.
    dropout: f64,
}

/// Sizes of heads that begin from random numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHeads {
    /// Width of the hidden states.
    pub hidden: usize,
    /// Width of the feature.
    pub feature: usize,
    /// Outputs of the regression.
    pub outputs: usize,
    /// How the past is shown; `None` for heads without history.
    pub history: Option<HistoryConfig>,
}

/// What a layer's tensors begin with, by the shape of its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Zeros,
    Ones,
    /// Uniform within ±sqrt(6 / (in + out)).
    XavierUniform,
    /// Normal with variance 2 / (out * kernel).
    KaimingNormalFanOut,
    /// Normal with a small deviation: positions.
    SmallNormal,
}

/// Standard deviation of new position embeddings.
const POSITION_DEVIATION: f32 = 0.02;

impl SupervisedHeads {
    /// New heads, begun as the original's: Xavier uniform for linear layers, Kaiming normal by fan-out for convolutions, zero
    /// biases, norms that change nothing.
    ///
    /// # Errors
    /// When the sizes make no heads.
    pub fn fresh(sizes: &NewHeads, device: &Device, random: &mut Random) -> Result<Self, FinetuneError> {
        let mut tensors = Vec::new();
        for (name, shape) in wanted(sizes)? {
            let values = start_of(&name, &shape).values(&shape, random);
            tensors.push((name, Tensor::from_vec(values, shape, &Device::Cpu)?.to_device(device)?));
        }
        Self::build(tensors, sizes)
    }

    /// The heads of a checkpoint, to go on with.
    ///
    /// # Errors
    /// When tensors are missing, extra or mis-shaped.
    pub fn saved(
        regression_head: &TensorTable,
        history: Option<(&HistoryConfig, &TensorTable)>,
        hidden: usize,
        device: &Device,
    ) -> Result<Self, FinetuneError> {
        let of = DptSizes::of(regression_head, "", hidden, None);
        let dpt =
            of.ok_or(FinetuneError::Heads { problem: "the regression head has no projections or no mlp".into() })?;
        let history_config = history.map(|(config, _)| config.clone());
        let sizes = NewHeads { hidden, feature: dpt.feature, outputs: dpt.num_params, history: history_config };
        let mut tensors = Vec::new();
        for (prefix, table) in
            [(REGRESSION_HEAD, Some(regression_head)), (HISTORY_ENCODER, history.map(|(_, table)| table))]
        {
            for name in table.iter().flat_map(|table| table.names_in_file_order().into_iter()) {
                let Some(table) = table else { continue };
                tensors.push((format!("{prefix}{name}"), table.read(name, device)?.to_dtype(DType::F32)?));
            }
        }
        Self::build(tensors, &sizes)
    }

    fn build(tensors: Vec<(String, Tensor)>, sizes: &NewHeads) -> Result<Self, FinetuneError> {
        let device = tensors.first().map_or(Device::Cpu, |(_, tensor)| tensor.device().clone());
        let variables = tensors.into_iter().map(|(name, tensor)| Ok((name, Var::from_tensor(&tensor.contiguous()?)?)));
        let tensors: Vec<(String, Var)> = variables.collect::<candle_core::Result<_>>()?;
        let known: HashMap<String, Tensor> =
            tensors.iter().map(|(name, variable)| (name.clone(), variable.as_tensor().clone())).collect();
        let unexpected = {
            let wanted = wanted_with(sizes, feed_forward(&known))?;
            tensors
                .iter()
                .find(|(name, _)| !wanted.iter().any(|(known, _)| known == name))
                .map(|(name, _)| name.clone())
        };
        if let Some(name) = unexpected {
            return Err(FinetuneError::Heads {
                problem: format!("there is a tensor '{name}', expected no such tensor"),
            });
        }
        let feed_forward = feed_forward(&known);
        let vb = VarBuilder::from_tensors(known, DType::F32, &device);
        let extractor = extractor(sizes, feed_forward, vb)?;
        Ok(Self { tensors, extractor, history: sizes.history.clone(), dropout: 0.0 })
    }

    /// With dropout behind the regression's activations while it learns, a share in [0, 1), as the original has it.
    #[must_use]
    pub fn with_dropout(self, dropout: f64) -> Self {
        Self { dropout, ..self }
    }

    /// All variables with their names, `regression_head.*` before `history_encoder.*`.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.tensors.iter().map(|(name, variable)| (name.as_str(), variable))
    }

    /// How the past is shown, where it is.
    pub fn history(&self) -> Option<&HistoryConfig> {
        self.history.as_ref()
    }

    /// Feature `[1, feature]` and regression `[1, outputs]`, normalised, of hidden states and of the pixels
    /// `[3, side, side]` of the frames before, newest first. A gradient leads back to all variables, and to hidden states that
    /// are variables themselves.
    ///
    /// # Errors
    /// When there is another number of past frames than the encoder takes.
    pub fn forward(
        &self,
        hidden_states: &HiddenStates,
        newest_first: &[Tensor],
    ) -> Result<(Tensor, Tensor), FinetuneError> {
        self.forward_learning(hidden_states, newest_first, None)
    }

    /// The same while they learn: `seed` chooses what dropout leaves out.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_learning(
        &self,
        hidden_states: &HiddenStates,
        newest_first: &[Tensor],
        seed: Option<u64>,
    ) -> Result<(Tensor, Tensor), FinetuneError> {
        let feature = self.extractor.forward_batch(&[HeadInput { hidden_states, newest_first }])?;
        let dropout = seed.map(|seed| HeadDropout { share: self.dropout, seed });
        let outputs = self.extractor.forward_regression(&feature, dropout)?;
        Ok((feature, outputs))
    }

    /// The DPT head's tensors under their names in `regression_head/`, and the history encoder's under theirs.
    ///
    /// # Errors
    /// When the device refuses to hand out its numbers.
    pub fn state_dicts(&self) -> Result<(StateDict, Option<StateDict>), FinetuneError> {
        let of = |prefix: &str| -> Result<StateDict, FinetuneError> {
            let named = self.tensors.iter().filter_map(|(name, variable)| Some((name.strip_prefix(prefix)?, variable)));
            let to_cpu = |(name, variable): (&str, &Var)| {
                Ok((name.to_owned(), variable.as_detached_tensor().to_device(&Device::Cpu)?))
            };
            Ok(StateDict::new(named.map(to_cpu).collect::<candle_core::Result<_>>()?)?)
        };
        let history = self.history.as_ref().map(|_| of(HISTORY_ENCODER)).transpose()?;
        Ok((of(REGRESSION_HEAD)?, history))
    }
}

/// Width of the history encoder's feed-forward part, which its tensors alone tell.
fn feed_forward(known: &HashMap<String, Tensor>) -> Option<usize> {
    let first = known.get(&format!("{HISTORY_ENCODER}temporal_transformer.layers.0.linear1.weight"))?;
    first.dims().first().copied()
}

fn extractor(sizes: &NewHeads, feed_forward: Option<usize>, vb: VarBuilder) -> candle_core::Result<FeatureExtractor> {
    let history_dim = sizes.history.as_ref().map(|config| config.history_dim);
    let NewHeads { hidden, feature, outputs, .. } = *sizes;
    let dpt = DptSizes { hidden, feature, history: history_dim, num_params: outputs };
    let dpt_head = DptHead::new(dpt, vb.pp(REGRESSION_HEAD.trim_end_matches('.')))?;
    let encoder = sizes.history.as_ref().map(|config| {
        let (dim, frames) = (config.history_dim, config.num_history_frames);
        let feed_forward = feed_forward.unwrap_or(FEED_FORWARD_FACTOR * dim);
        let of = HistorySizes { dim, frames, feed_forward };
        Ok::<_, candle_core::Error>((HistoryEncoder::new(of, vb.pp(HISTORY_ENCODER.trim_end_matches('.')))?, frames))
    });
    Ok(FeatureExtractor::new(dpt_head, encoder.transpose()?))
}

/// Names and shapes of all tensors, sorted.
fn wanted(sizes: &NewHeads) -> Result<Vec<(String, Vec<usize>)>, FinetuneError> {
    wanted_with(sizes, None)
}

fn wanted_with(sizes: &NewHeads, feed_forward: Option<usize>) -> Result<Vec<(String, Vec<usize>)>, FinetuneError> {
    let plan = LoadPlan::survey(DType::F32, |vb| extractor(sizes, feed_forward, vb))?;
    Ok(plan.names().map(|name| (name.to_owned(), plan.shape(name).unwrap_or_default().to_vec())).collect())
}

fn start_of(name: &str, shape: &[usize]) -> Start {
    if name.ends_with("pos_embedding") {
        return Start::SmallNormal;
    }
    match shape.len() {
        0 | 1 if name.ends_with("weight") => Start::Ones,
        0 | 1 => Start::Zeros,
        2 => Start::XavierUniform,
        _ => Start::KaimingNormalFanOut,
    }
}

impl Start {
    fn values(self, shape: &[usize], random: &mut Random) -> Vec<f32> {
        let count: usize = shape.iter().product();
        let (out, inside) = (shape.first().copied().unwrap_or(1), shape.get(1).copied().unwrap_or(1));
        let kernel: usize = shape.iter().skip(2).product();
        match self {
            Self::Zeros => vec![0.0; count],
            Self::Ones => vec![1.0; count],
            Self::XavierUniform => {
                let bound = (6.0 / (inside + out) as f64).sqrt();
                (0..count).map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32).collect()
            }
            Self::KaimingNormalFanOut => {
                let deviation = (2.0 / (out * kernel) as f32).sqrt();
                (0..count).map(|_| random.normal() * deviation).collect()
            }
            Self::SmallNormal => (0..count).map(|_| random.normal() * POSITION_DEVIATION).collect(),
        }
    }
}
