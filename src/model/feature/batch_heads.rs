//! Heads that a batch goes through, with a gradient for their weights and for what they were given.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::VarBuilder;

use super::by_hand::{HandBatch, HandOutput, HandSums, HandWeights};
use super::{DptHead, DptSizes, FeatureError, FeatureExtractor, HeadInput, HistoryEncoder, HistorySizes};
use crate::checkpoint::{DPT_HEAD, HISTORY_ENCODER};
use crate::vision_language::{HiddenStates, StateVariables};

/// What heads are made of.
#[derive(Debug, Clone, Copy)]
pub struct HeadParts {
    /// The DPT head's sizes.
    pub dpt: DptSizes,
    /// Those of the history encoder, and the side of the frames that it sees, pixels.
    pub history: Option<(HistorySizes, usize)>,
}

/// A DPT head with its history encoder for batches of observations.
///
/// On a CPU the costly part is computed by hand, on a GPU all of it of plain operations; both agree up to rounding, with each
/// other and with what a robot computes frame by frame.
#[derive(Debug)]
pub struct BatchHeads {
    names: Vec<String>,
    variables: Vec<Var>,
    frozen: Vec<(String, Tensor)>,
    /// Over the same numbers: without a gradient, with one.
    plain: FeatureExtractor,
    tracked: FeatureExtractor,
    by_hand: Option<HandWeights>,
    feature: usize,
}

/// The sum of gradients, where the heads are: nothing is copied from a GPU until it is [read](BatchHeads::read).
#[derive(Debug)]
pub struct HeadGradient {
    by_hand: Option<HandSums>,
    tensors: Vec<Option<Tensor>>,
}

impl BatchHeads {
    /// From variables under their names in a policy, such as `feature_extractor.dpt_head.mlp.0.bias`, and from tensors that
    /// stay as they are.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape than the sizes say.
    pub fn new(
        parts: HeadParts,
        variables: Vec<(String, Var)>,
        frozen: Vec<(String, Tensor)>,
        device: &Device,
    ) -> Result<Self> {
        let (names, variables): (Vec<String>, Vec<Var>) = variables.into_iter().unzip();
        let build = |tracked: bool| {
            let part = |variable: &Var| {
                if tracked { variable.as_tensor().clone() } else { variable.as_detached_tensor() }
            };
            let learning = names.iter().cloned().zip(variables.iter().map(part));
            let tensors: HashMap<String, Tensor> = learning.chain(frozen.iter().cloned()).collect();
            extractor(parts, VarBuilder::from_tensors(tensors, DType::F32, device))
        };
        let (plain, tracked) = (build(false)?, build(true)?);
        let mut this = Self {
            names,
            variables,
            plain,
            tracked,
            frozen: frozen.clone(),
            by_hand: None,
            feature: parts.dpt.feature,
        };
        // A head narrower than four has no attention to speak of.
        if device.is_cpu() && parts.dpt.feature >= 4 && parts.dpt.hidden > 0 {
            let (head, encoder) = (this.values_below(DPT_HEAD), this.values_below(HISTORY_ENCODER));
            let history = parts.history.map(|(_, side)| (side, &encoder as &dyn Fn(&str) -> Result<Vec<f32>>));
            this.by_hand = Some(HandWeights::new([parts.dpt.hidden, parts.dpt.feature], &head, history)?);
        }
        Ok(this)
    }

    /// What learns, under its names, in the order of all that is said of it.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.names.iter().map(String::as_str).zip(&self.variables)
    }

    /// Length of a feature.
    pub fn feature_length(&self) -> usize {
        self.feature
    }

    /// Has to be called after the variables' numbers have changed.
    ///
    /// # Errors
    /// When a variable cannot be read.
    pub fn variables_changed(&mut self) -> Result<()> {
        let Some(mut by_hand) = self.by_hand.take() else { return Ok(()) };
        by_hand.change(&self.values_below(DPT_HEAD), &self.values_below(HISTORY_ENCODER))?;
        self.by_hand = Some(by_hand);
        Ok(())
    }

    /// The features `[batch, feature]` of some observations, whose sequences may differ in length.
    ///
    /// # Errors
    /// [`FeatureError::HistoryLength`] for another number of frames than the head wants; for hidden states or frames of another
    /// size.
    pub fn features(&self, observations: &[HeadInput]) -> std::result::Result<Tensor, FeatureError> {
        let Some(by_hand) = &self.by_hand else { return self.plain.forward_batch(observations) };
        self.plain.expect_frames(observations)?;
        let (output, batch) = by_hand.forward(observations)?;
        by_hand.put_back(batch);
        Ok(self.plain.finish_batch(&output.pooled, output.maps.as_ref())?)
    }

    /// No gradient yet.
    pub fn no_gradient(&self) -> HeadGradient {
        HeadGradient {
            by_hand: self.by_hand.as_ref().map(HandWeights::zeros),
            tensors: self.variables.iter().map(|_| None).collect(),
        }
    }

    /// Adds to `sum` what the features of the observations pass on to the variables, from the gradient `[batch, feature]` of
    /// the features. With `with_states` also says what they pass on to the hidden states, `[seq, hidden]` four times for each
    /// observation; else nothing is in the list.
    ///
    /// # Errors
    /// As [`features`](Self::features); when the gradient has another shape.
    pub fn add_gradient(
        &self,
        observations: &[HeadInput],
        of_features: &Tensor,
        sum: &mut HeadGradient,
        with_states: bool,
    ) -> std::result::Result<Vec<[Tensor; 4]>, FeatureError> {
        let Some((by_hand, sums)) = self.by_hand.as_ref().zip(sum.by_hand.as_mut()) else {
            return self.add_by_autograd(observations, of_features, sum, with_states);
        };
        self.plain.expect_frames(observations)?;
        let (HandOutput { pooled, maps }, batch): (_, HandBatch) = by_hand.forward(observations)?;
        let pooled = Var::from_tensor(&pooled)?;
        let maps = maps.map(|maps| Var::from_tensor(&maps)).transpose()?;
        let features = self.tracked.finish_batch(&pooled, maps.as_deref())?;
        let gradients = (features * of_features)?.sum_all()?.backward()?;
        let of = |variable: &Var| gradients.get(variable).map_or_else(|| variable.zeros_like(), |of| Ok(of.clone()));
        let of_output = HandOutput { pooled: of(&pooled)?, maps: maps.as_ref().map(of).transpose()? };
        let of_states = by_hand.backward(batch, &of_output, sums, with_states)?;
        for (sum, variable) in sum.tensors.iter_mut().zip(&self.variables) {
            add(sum, gradients.get(variable))?;
        }
        Ok(of_states)
    }

    fn add_by_autograd(
        &self,
        observations: &[HeadInput],
        of_features: &Tensor,
        sum: &mut HeadGradient,
        with_states: bool,
    ) -> std::result::Result<Vec<[Tensor; 4]>, FeatureError> {
        let of = |observation: &HeadInput| StateVariables::of(observation.hidden_states);
        let states: Vec<StateVariables> =
            if with_states { observations.iter().map(of).collect::<Result<_>>()? } else { Vec::new() };
        let tracked: Vec<HiddenStates> = states.iter().map(StateVariables::hidden_states).collect();
        let replaced = observations
            .iter()
            .zip(&tracked)
            .map(|(observation, hidden_states)| HeadInput { hidden_states, ..*observation });
        let replaced: Vec<HeadInput> = replaced.collect();
        let features = self.tracked.forward_batch(if with_states { &replaced } else { observations })?;
        let gradients = (features * of_features)?.sum_all()?.backward()?;
        for (sum, variable) in sum.tensors.iter_mut().zip(&self.variables) {
            add(sum, gradients.get(variable))?;
        }
        Ok(states.iter().map(|states| states.gradients(&gradients)).collect::<Result<_>>()?)
    }

    /// Copies a sum from the device: the gradient of each variable, in their order.
    ///
    /// # Errors
    /// When the device refuses.
    pub fn read(&self, sum: &HeadGradient) -> Result<Vec<Vec<f32>>> {
        let by_hand = self.by_hand.as_ref().zip(sum.by_hand.as_ref());
        let [head, encoder] = by_hand.map_or_else(Default::default, |(by_hand, sums)| by_hand.named(sums));
        let head = head.into_iter().map(|(name, values)| (format!("{DPT_HEAD}.{name}"), values));
        let encoder = encoder.into_iter().map(|(name, values)| (format!("{HISTORY_ENCODER}.{name}"), values));
        let mut by_hand: HashMap<String, Vec<f32>> = head.chain(encoder).collect();
        let read = |((name, variable), sum): ((&String, &Var), &Option<Tensor>)| match (by_hand.remove(name), sum) {
            (Some(values), _) => Ok(values),
            (None, Some(sum)) => sum.flatten_all()?.to_vec1(),
            (None, None) => Ok(vec![0.0; variable.elem_count()]),
        };
        self.names.iter().zip(&self.variables).zip(&sum.tensors).map(read).collect()
    }

    fn values_below(&self, prefix: &str) -> impl Fn(&str) -> Result<Vec<f32>> + use<> {
        let learning = self.variables().map(|(name, variable)| (name, variable.as_detached_tensor()));
        let frozen = self.frozen.iter().map(|(name, tensor)| (name.as_str(), tensor.clone()));
        let below =
            |(name, tensor): (&str, Tensor)| Some((name.strip_prefix(prefix)?.strip_prefix('.')?.to_owned(), tensor));
        let tensors: HashMap<String, Tensor> = learning.chain(frozen).filter_map(below).collect();
        let prefix = prefix.to_owned();
        move |name| match tensors.get(name) {
            Some(tensor) => tensor.flatten_all()?.to_vec1(),
            None => candle_core::bail!("there is no {prefix}.{name}"),
        }
    }
}

fn extractor(HeadParts { dpt, history }: HeadParts, vb: VarBuilder) -> Result<FeatureExtractor> {
    let encoder = |sizes: HistorySizes| {
        Ok::<_, candle_core::Error>((HistoryEncoder::new(sizes, vb.pp(HISTORY_ENCODER))?, sizes.frames))
    };
    let encoder = history.map(|(sizes, _)| encoder(sizes)).transpose()?;
    Ok(FeatureExtractor::new(DptHead::new(dpt, vb.pp(DPT_HEAD))?, encoder))
}

fn add(sum: &mut Option<Tensor>, gradient: Option<&Tensor>) -> Result<()> {
    if let Some(gradient) = gradient.map(Tensor::detach) {
        *sum = Some(match sum {
            Some(sum) => (&*sum + &gradient)?,
            // It can be part of a graph itself, which would be kept.
            None => gradient,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use candle_nn::VarMap;

    use super::*;

    /// As normal numbers are spread, and the same every time.
    fn random(shape: &[usize], seed: usize) -> Tensor {
        let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let values = (0..shape.iter().product()).map(|_| (0..12).map(|_| uniform()).sum()).collect::<Vec<f32>>();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// Heads with random numbers.
    fn heads(hidden: usize, feature: usize, history: Option<(usize, usize)>) -> BatchHeads {
        let dpt = DptSizes { hidden, feature, history: history.map(|(dim, _)| dim), num_params: 3 };
        let history = history.map(|(dim, side)| (HistorySizes { dim, frames: 2, feed_forward: 2 * dim }, side));
        let parts = HeadParts { dpt, history };
        let map = VarMap::new();
        extractor(parts, VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu)).unwrap();
        let variables = map.data().lock().unwrap();
        let shapes: BTreeMap<&String, &[usize]> = variables.iter().map(|(name, of)| (name, of.dims())).collect();
        let numbers = |(seed, (name, shape)): (usize, (&String, &[usize]))| {
            let inputs = shape.iter().skip(1).product::<usize>().max(4);
            let mean = if name.ends_with("1.weight") && shape.len() == 1 { 1.0 } else { 0.0 };
            let values = random(shape, seed).affine((inputs as f64).powf(-0.5), mean).unwrap();
            (name.clone(), Var::from_tensor(&values).unwrap())
        };
        let variables = shapes.into_iter().enumerate().map(numbers).collect();
        BatchHeads::new(parts, variables, Vec::new(), &Device::Cpu).unwrap()
    }

    fn seen(hidden: usize, seq: usize, side: Option<usize>) -> (HiddenStates, Vec<Tensor>) {
        let states = [0, 1, 2, 3].map(|layer| random(&[seq, hidden], 1000 + 10 * seq + layer));
        let frame = |side: usize, number: usize| random(&[3, side, side], 2000 + 10 * seq + number);
        (HiddenStates::new(states), side.map_or(Vec::new(), |side| vec![frame(side, 0), frame(side, 1)]))
    }

    fn length(values: &[f32]) -> f32 {
        values.iter().map(|value| value * value).sum::<f32>().sqrt()
    }

    /// The length of the difference beside that of the second, or beside `least`.
    fn far(a: &[f32], b: &[f32], least: f32) -> f32 {
        assert_eq!(a.len(), b.len());
        let difference: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        length(&difference) / length(b).max(least)
    }

    fn flat(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn by_hand_and_by_autograd_are_the_same() {
        let sizes = [
            (12, 16, None, [6, 6].as_slice()),
            (24, 8, Some((8, 16)), &[1, 2, 13, 5]),
            (40, 36, Some((32, 61)), &[37, 12, 30]),
            (600, 64, Some((32, 64)), &[25, 25]),
        ];
        for (hidden, feature, history, lengths) in sizes {
            let mut heads = heads(hidden, feature, history);
            let side = history.map(|(_, side)| side);
            let weights = random(&[lengths.len(), feature], 3000);
            // Once more with other sequences in the same buffers.
            for turn in 0..2 {
                let seen: Vec<_> = lengths.iter().map(|seq| seen(hidden, seq + turn, side)).collect();
                let inputs: Vec<HeadInput> = seen
                    .iter()
                    .map(|(hidden_states, newest_first)| HeadInput { hidden_states, newest_first })
                    .collect();
                let found = |heads: &BatchHeads| {
                    let mut sum = heads.no_gradient();
                    let of_states = heads.add_gradient(&inputs, &weights, &mut sum, true).unwrap();
                    (flat(&heads.features(&inputs).unwrap()), heads.read(&sum).unwrap(), of_states)
                };
                let by_hand = found(&heads);
                let hand = heads.by_hand.take();
                let by_autograd = found(&heads);
                heads.by_hand = hand;
                assert!(far(&by_hand.0, &by_autograd.0, 0.0) < 1e-5);
                // Where a sum lies close to zero, a ReLU may open for one and not for the other.
                let least = 1e-2 * by_autograd.1.iter().map(|of| length(of)).fold(0.0, f32::max);
                for ((name, a), b) in heads.names.iter().zip(&by_hand.1).zip(&by_autograd.1) {
                    assert!(far(a, b, least) < 2e-3, "{name}: {}", far(a, b, least));
                }
                for (a, b) in by_hand.2.iter().flatten().zip(by_autograd.2.iter().flatten()) {
                    let (a, b) = (flat(a), flat(b));
                    assert!(far(&a, &b, 0.0) < 2e-3, "{}", far(&a, &b, 0.0));
                }
                assert_eq!(by_hand.2.len(), lengths.len());
            }
        }
    }
}
