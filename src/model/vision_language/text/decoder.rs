//! The language model as a whole.

use std::collections::VecDeque;
use std::sync::Arc;

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;

use super::attention::KeyValues;
use super::layer::DecoderLayer;
use super::mrope::SequenceGeometry;
use crate::vision_language::block_gradient::{GradientSink, back_through};
use crate::vision_language::linear::LinearVisitor;
use crate::vision_language::rms_norm::RmsNorm;
use crate::vision_language::{HiddenStates, Precision, Prefix, TextConfig};

/// HF `Qwen2_5_VLTextModel` from the embeddings on, without `lm_head`.
#[derive(Debug)]
pub struct TextModel {
    layers: Vec<DecoderLayer>,
    norm: RmsNorm,
}

impl TextModel {
    /// Reads the tensors below `model.`, other than the embeddings.
    pub fn new(config: &TextConfig, precision: Precision, vb: VarBuilder) -> Result<Self> {
        let layers_vb = vb.pp("layers");
        Ok(Self {
            layers: (0..config.num_hidden_layers)
                .map(|index| DecoderLayer::new(config, precision, layers_vb.pp(index)))
                .collect::<Result<_>>()?,
            norm: RmsNorm::new(
                config.hidden_size,
                config.rms_norm_eps,
                vb.pp("norm").set_dtype(precision.activations()),
            )?,
        })
    }

    /// Embeddings `[seq, hidden]` in, the last four hidden states out.
    pub fn forward(&self, embeddings: Tensor, geometry: &SequenceGeometry) -> Result<HiddenStates> {
        Ok(HiddenStates::new(self.run(embeddings, geometry, None)?.0))
    }

    /// The tokens that every sequence begins with: computed once, and then attended to by what comes after.
    pub fn prefix(&self, embeddings: Tensor, geometry: &SequenceGeometry) -> Result<PrefixState> {
        let (states, key_values) = self.run(embeddings, geometry, None)?;
        Ok(PrefixState { states: Arc::new(Prefix::new(states)), key_values })
    }

    /// Embeddings of the tokens after the prefix in, the last four hidden states of the whole sequence out.
    pub fn forward_after(
        &self,
        prefix: &PrefixState,
        embeddings: Tensor,
        geometry: &SequenceGeometry,
    ) -> Result<HiddenStates> {
        let (states, _) = self.run(embeddings, geometry, Some(&prefix.key_values))?;
        Ok(HiddenStates::after(Arc::clone(&prefix.states), states))
    }

    /// As [`Self::forward`], with what [`Self::backward`] needs.
    pub fn forward_for_learning(
        &self,
        embeddings: Tensor,
        geometry: &SequenceGeometry,
    ) -> Result<(HiddenStates, LayerInputs)> {
        let mut inputs = Vec::with_capacity(self.layers.len());
        let mut xs = embeddings;
        for layer in &self.layers {
            let (ys, _) = layer.forward(&xs, geometry, None)?;
            inputs.push(std::mem::replace(&mut xs, ys));
        }
        let first = inputs.len().checked_sub(STATES - 1).ok_or_else(|| too_few(inputs.len() + 1))?;
        let states = inputs.iter().skip(first).cloned().chain([self.norm.forward(&xs)?]);
        Ok((HiddenStates::new(four(states.collect())?), LayerInputs { inputs, last_output: xs }))
    }

    /// The gradient of the embeddings `[seq, hidden]`, f32, from those of the last four hidden states. What it finds for
    /// variables in the layers goes to `sink`. A layer's input is let go once it has been gone back through.
    pub fn backward(
        &self,
        passed: LayerInputs,
        of_states: &[Tensor; 4],
        geometry: &SequenceGeometry,
        sink: &mut GradientSink<'_>,
    ) -> Result<Tensor> {
        let [earlier @ .., last] = of_states;
        let LayerInputs { inputs, last_output } = passed;
        let mut gradient = back_through(&last_output, last, sink, |xs| self.norm.forward(xs))?;
        drop(last_output);
        let mut earlier = earlier.iter().rev();
        for (layer, input) in self.layers.iter().zip(inputs).rev() {
            gradient = back_through(&input, &gradient, sink, |xs| Ok(layer.forward(xs, geometry, None)?.0))?;
            if let Some(of_state) = earlier.next() {
                gradient = (gradient + of_state)?;
            }
        }
        Ok(gradient)
    }

    /// Calls `visit` with each linear layer and its name below `path`.
    pub fn visit_linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) -> Result<()> {
        let mut layers = self.layers.iter_mut().enumerate();
        layers.try_for_each(|(index, layer)| layer.visit_linears(&format!("{path}.layers.{index}"), visit))
    }

    fn run(
        &self,
        embeddings: Tensor,
        geometry: &SequenceGeometry,
        prefix: Option<&[KeyValues]>,
    ) -> Result<([Tensor; 4], Vec<KeyValues>)> {
        // Outputs of the last layers, in HF's count: entry 0 would be the embeddings.
        let mut recent = VecDeque::from([embeddings.clone()]);
        let mut key_values = Vec::with_capacity(self.layers.len());
        let mut xs = embeddings;
        for (index, layer) in self.layers.iter().enumerate() {
            let past = prefix.and_then(|prefix| prefix.get(index));
            let (ys, own) = layer.forward(&xs, geometry, past)?;
            xs = ys;
            key_values.push(own);
            recent.push_back(xs.clone());
            if recent.len() > STATES {
                recent.pop_front();
            }
        }
        // HF's last entry is taken after the final norm, and the raw output of the last layer is not among them.
        recent.pop_back();
        recent.push_back(self.norm.forward(&xs)?);
        Ok((four(recent.into())?, key_values))
    }
}

/// Hidden states that leave the model.
const STATES: usize = 4;

fn four(states: Vec<Tensor>) -> Result<[Tensor; STATES]> {
    states.try_into().map_err(|states: Vec<Tensor>| too_few(states.len()))
}

fn too_few(count: usize) -> candle_core::Error {
    candle_core::Error::Msg(format!("the model has {count} hidden states, four are needed"))
}

/// What a forward pass leaves for the way back: the input of each layer, and what the final norm was given.
#[derive(Debug)]
pub struct LayerInputs {
    inputs: Vec<Tensor>,
    last_output: Tensor,
}

/// What the first tokens of every sequence leave behind: keys and values of each layer, and their hidden states.
#[derive(Debug)]
pub struct PrefixState {
    states: Arc<Prefix>,
    key_values: Vec<KeyValues>,
}
