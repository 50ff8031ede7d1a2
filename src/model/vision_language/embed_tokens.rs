//! Embeddings of the few tokens that a prompt is made of, read from the file when they are first met.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::{ModelError, TextConfig};
use crate::weights::{LoadPlan, WeightSource};

/// Name of the embedding table.
const TABLE: &str = "model.embed_tokens.weight";
/// More tokens than prompts have between them; the rows are then read again.
const MAX_ROWS: usize = 1 << 14;

/// The embedding table `[vocab, hidden]`, left in its file: of its 300 million values a prompt uses a few hundred rows.
pub struct EmbedTokens {
    source: Arc<dyn WeightSource>,
    rows: HashMap<u32, Box<[f32]>>,
    vocab_size: usize,
    hidden_size: usize,
}

impl EmbedTokens {
    /// Adds the table to what a source must hold.
    pub fn plan(config: &TextConfig, plan: &mut LoadPlan) {
        plan.add_unloaded(TABLE, &[config.vocab_size, config.hidden_size]);
    }

    /// A table whose shape has been checked.
    pub fn new(config: &TextConfig, source: Arc<dyn WeightSource>) -> Self {
        let (vocab_size, hidden_size) = (config.vocab_size, config.hidden_size);
        Self { source, rows: HashMap::new(), vocab_size, hidden_size }
    }

    /// Token ids `[seq]` become `[seq, hidden]`.
    ///
    /// # Errors
    /// [`ModelError::TokenId`] for an id that the table does not have; [`ModelError::Weights`] when the file has become
    /// unreadable.
    pub fn rows(&mut self, ids: &[u32], dtype: DType, device: &Device) -> Result<Tensor, ModelError> {
        let mut values = Vec::with_capacity(ids.len() * self.hidden_size);
        for &id in ids {
            values.extend_from_slice(self.row(id)?);
        }
        let embedded = Tensor::from_vec(values, (ids.len(), self.hidden_size), &Device::Cpu)?;
        Ok(embedded.to_dtype(dtype)?.to_device(device)?)
    }

    fn row(&mut self, id: u32) -> Result<&[f32], ModelError> {
        if id as usize >= self.vocab_size {
            return Err(ModelError::TokenId { id, vocab_size: self.vocab_size });
        }
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&id) {
            self.rows.clear();
        }
        match self.rows.entry(id) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(vacant) => Ok(vacant.insert(self.source.read_row(TABLE, id as usize)?.into())),
        }
    }
}

impl std::fmt::Debug for EmbedTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EmbedTokens([{}, {}] in {})", self.vocab_size, self.hidden_size, self.source.describe())
    }
}
