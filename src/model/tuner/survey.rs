//! Whether a tuner could be loaded, without reading the vision-language model's weights.

use super::staged::PolicyLoader;
use super::{TunerError, TunerOptions};
use crate::checkpoint::{StoredPolicy, SupervisedCheckpoint};
use crate::vision_language::ModelConfig;
use crate::weights::MemoryBudget;

/// What the vision-language model is, and takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelSurvey {
    /// Values in all tensors.
    pub parameters: u64,
    /// Memory of the weights in the chosen format, bytes.
    pub bytes: u64,
    /// Memory that this machine has available, bytes; `None` where it does not say.
    pub available: Option<u64>,
}

impl TunerOptions {
    /// Checks what [`Self::load`] checks: the vision-language model by the headers of its files and by the memory that
    /// it takes, a policy by loading it.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn survey(&self) -> Result<ModelSurvey, TunerError> {
        let checkpoint = SupervisedCheckpoint::open(&self.model.checkpoint)?;
        let policy = self.model.policy.as_deref().map(StoredPolicy::open).transpose()?;
        let config = ModelConfig::load(&self.model.base.join("config.json"))?;
        let (history, hidden) = (super::load::history(&checkpoint).cloned(), config.text.hidden_size);
        let loader = PolicyLoader::new(history, hidden, self.model.planner.clone(), self.device.clone());
        let actor = match &policy {
            Some(StoredPolicy::Actor(policy)) => loader.load_actor(policy).map(|_| Some(&**policy))?,
            Some(StoredPolicy::Heads(policy)) => loader.load_heads(policy).map(|_| None)?,
            None => None,
        };
        let (_, plan, _) = self.plan(&config, checkpoint.adapter.as_ref(), actor)?;
        let available = self.memory.or_else(|| MemoryBudget::of_device(&self.device)).map(MemoryBudget::available);
        Ok(ModelSurvey { parameters: plan.parameter_count(), bytes: plan.bytes(), available })
    }
}

impl std::fmt::Display for ModelSurvey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (millions, mib) = (self.parameters as f64 * 1e-6, |bytes: u64| bytes >> 20);
        write!(f, "{millions:.1} million values fit their config, {} MiB of memory", mib(self.bytes))?;
        match self.available {
            Some(available) => write!(f, " of {} MiB available", mib(available)),
            None => Ok(()),
        }
    }
}
