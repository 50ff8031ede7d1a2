//! The language model as a whole.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Embedding, VarBuilder};
use candle_transformers::models::with_tracing::RmsNorm;

use super::layer::DecoderLayer;
use super::mrope::SequenceGeometry;
use crate::vision_language::{HiddenStates, Precision, TextConfig};

/// HF `Qwen2_5_VLTextModel`, without a cache of its own and without `lm_head`.
#[derive(Debug)]
pub struct TextModel {
    embed_tokens: Embedding,
    layers: Vec<DecoderLayer>,
    norm: RmsNorm,
    precision: Precision,
}

impl TextModel {
    /// Reads the tensors below `model.`.
    pub fn new(config: &TextConfig, precision: Precision, vb: VarBuilder) -> Result<Self> {
        let table_shape = (config.vocab_size, config.hidden_size);
        let table = vb.pp("embed_tokens").get_with_hints_dtype(
            table_shape,
            "weight",
            Default::default(),
            precision.weights(),
        )?;
        let layers_vb = vb.pp("layers");
        Ok(Self {
            embed_tokens: Embedding::new(table, config.hidden_size),
            layers: (0..config.num_hidden_layers)
                .map(|index| DecoderLayer::new(config, precision, layers_vb.pp(index)))
                .collect::<Result<_>>()?,
            norm: RmsNorm::new(
                config.hidden_size,
                config.rms_norm_eps,
                vb.pp("norm").set_dtype(precision.activations()),
            )?,
            precision,
        })
    }

    /// Token ids `[seq]` become `[seq, hidden]`.
    pub fn embed(&self, input_ids: &Tensor) -> Result<Tensor> {
        self.embed_tokens.forward(input_ids)?.to_dtype(self.precision.activations())
    }

    /// Embeddings `[seq, hidden]` in, the last four hidden states out.
    pub fn forward(&self, embeddings: Tensor, geometry: &SequenceGeometry) -> Result<HiddenStates> {
        // Outputs of the last layers, in HF's count: entry 0 would be the embeddings.
        let mut recent = std::collections::VecDeque::from([embeddings.clone()]);
        let mut xs = embeddings;
        for layer in &self.layers {
            xs = layer.forward(&xs, geometry)?;
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
        Ok(HiddenStates::new(states))
    }
}
