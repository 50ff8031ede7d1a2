//! The language model as a whole.

use std::collections::VecDeque;
use std::sync::Arc;

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::with_tracing::RmsNorm;

use super::attention::KeyValues;
use super::layer::DecoderLayer;
use super::mrope::SequenceGeometry;
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
            if recent.len() > 4 {
                recent.pop_front();
            }
        }
        // HF's last entry is taken after the final norm, and the raw output of the last layer is not among them.
        recent.pop_back();
        recent.push_back(self.norm.forward(&xs)?);
        let states: Vec<Tensor> = recent.into();
        let count = states.len();
        let states = states
            .try_into()
            .map_err(|_| candle_core::Error::Msg(format!("the model has {count} hidden states, four are needed")))?;
        Ok((states, key_values))
    }
}

/// What the first tokens of every sequence leave behind: keys and values of each layer, and their hidden states.
#[derive(Debug)]
pub struct PrefixState {
    states: Arc<Prefix>,
    key_values: Vec<KeyValues>,
}
