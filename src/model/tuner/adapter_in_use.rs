//! The vision-language model that a policy was trained with, where it is another than the one in use.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::load::TunerOptions;
use super::staged::mismatch;
use super::{TunerError, load};
use crate::checkpoint::{Adapter, PolicyCheckpoint, SupervisedCheckpoint};
use crate::origin::file_digest;
use crate::vision_language::{ModelConfig, VisionLanguageModel};
use crate::weights::{MemoryBudget, WeightError};

/// Loads the model again with another policy's adapter, beside the one in use.
#[derive(Debug, Clone)]
pub(super) struct ModelReload {
    options: TunerOptions,
    config: ModelConfig,
    supervised: Option<Adapter>,
    /// Which adapter the model in use has: of the tensor file, the checksum.
    in_use: Arc<Mutex<Option<String>>>,
}

/// A model that was loaded for a policy.
#[derive(Debug)]
pub(super) struct ReloadedModel {
    pub(super) model: VisionLanguageModel,
    adapter: Option<String>,
}

impl ModelReload {
    /// For a model with a policy's adapter, or the checkpoint's.
    pub(super) fn new(
        options: TunerOptions,
        config: ModelConfig,
        checkpoint: &SupervisedCheckpoint,
        policy: Option<&PolicyCheckpoint>,
    ) -> Result<Self, TunerError> {
        let supervised = checkpoint.adapter.clone();
        let in_use = digest_of(load::adapter(checkpoint.adapter.as_ref(), policy))?;
        Ok(Self { options, config, supervised, in_use: Arc::new(Mutex::new(in_use)) })
    }

    /// What a second model may take, instead of what the system says is free.
    pub(super) fn with_memory(mut self, memory: MemoryBudget) -> Self {
        self.options.memory = Some(memory);
        self
    }

    /// The model that a policy was trained with; `None` where it is the one in use. `policy` is the path that errors name.
    ///
    /// # Errors
    /// [`TunerError::PolicyMismatch`] where there is no memory for a second model; those of loading.
    pub(super) fn for_policy(
        &self,
        path: &Path,
        policy: Option<&PolicyCheckpoint>,
    ) -> Result<Option<ReloadedModel>, TunerError> {
        let adapter = digest_of(load::adapter(self.supervised.as_ref(), policy))?;
        if *self.in_use.lock().unwrap_or_else(PoisonError::into_inner) == adapter {
            return Ok(None);
        }
        let loaded = self.options.load_model(&self.config, self.supervised.as_ref(), policy, None);
        let model = loaded.map_err(|error| match error {
            TunerError::Weights(WeightError::Memory { need_mib, available_mib, .. }) => mismatch(
                path,
                &format!(
                    "it was trained with another adapter of the vision-language model, and beside the model in use there is no \
                     memory for a second one ({need_mib} MiB, {available_mib} MiB are free); restart with this policy"
                ),
            ),
            other => other,
        })?;
        Ok(Some(ReloadedModel { model, adapter }))
    }

    /// Notes that a loaded model is in use now.
    pub(super) fn note_in_use(&self, model: &ReloadedModel) {
        *self.in_use.lock().unwrap_or_else(PoisonError::into_inner) = model.adapter.clone();
    }
}

fn digest_of(adapter: Option<&Adapter>) -> Result<Option<String>, TunerError> {
    Ok(adapter.map(|adapter| file_digest(&adapter.path)).transpose().map_err(Box::new)?)
}
