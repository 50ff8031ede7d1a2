//! A policy that is loaded beside the one in use.

use std::path::{Path, PathBuf};

use candle_core::Device;

use super::adapter_in_use::{ModelReload, ReloadedModel};
use super::policy_heads::{OutputHead, PolicyHeads};
use super::{TunerError, heads};
use crate::checkpoint::{HeadsPolicy, HistoryConfig, PolicyCheckpoint, StoredPolicy, SupervisedCheckpoint};
use crate::feature::FeatureExtractor;
use crate::vision_language::VisionLanguageModel;
use crate::weights::MemoryBudget;
use planner_tuner_core::planner::PlannerSpec;

/// Loads policies for a tuner, on any thread, while that one goes on deciding.
#[derive(Debug, Clone)]
pub struct PolicyLoader {
    history: Option<HistoryConfig>,
    hidden: usize,
    planner: PlannerSpec,
    device: Device,
    /// `None` while the tuner itself is being loaded.
    models: Option<ModelReload>,
}

/// A policy that fits the tuner's model. Whether it is any good shows on frames: [`super::Tuner::examine`].
#[derive(Debug)]
pub struct StagedPolicy {
    heads: PolicyHeads,
    /// The vision-language model with the policy's adapter, where it is not the one in use.
    model: Option<Box<ReloadedModel>>,
    path: PathBuf,
    step: Option<u64>,
}

impl StagedPolicy {
    /// The actor's file, or the folder of a policy in the one-folder form.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The training step, when known.
    pub fn step(&self) -> Option<u64> {
        self.step
    }

    pub(super) fn heads(&self) -> &PolicyHeads {
        &self.heads
    }

    /// Whether it brings a vision-language model of its own.
    pub fn has_model(&self) -> bool {
        self.model.is_some()
    }

    pub(super) fn parts(&mut self) -> (&PolicyHeads, Option<&mut VisionLanguageModel>) {
        (&self.heads, self.model.as_mut().map(|model| &mut model.model))
    }

    pub(super) fn into_parts(self) -> (PolicyHeads, Option<ReloadedModel>) {
        (self.heads, self.model.map(|model| *model))
    }
}

impl PolicyLoader {
    /// For policies on hidden states of width `hidden`, with the supervised checkpoint's history, if it uses any.
    pub(super) fn new(history: Option<HistoryConfig>, hidden: usize, planner: PlannerSpec, device: Device) -> Self {
        Self { history, hidden, planner, device, models: None }
    }

    /// Lets policies bring adapters of their own.
    pub(super) fn with_models(self, models: ModelReload) -> Self {
        Self { models: Some(models), ..self }
    }

    /// What the weights of a second vision-language model may take, instead of what the system says is free.
    #[must_use]
    pub fn with_memory(self, memory: MemoryBudget) -> Self {
        let models = self.models.map(|models| models.with_memory(memory));
        Self { models, ..self }
    }

    /// Notes that a model which came with a policy is in use now.
    pub(super) fn note_in_use(&self, model: &ReloadedModel) {
        self.models.iter().for_each(|models| models.note_in_use(model));
    }

    pub(super) fn planner(&self) -> &PlannerSpec {
        &self.planner
    }

    /// Where the policies compute.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Loads a policy that has been opened. Everything that can be said without a frame is checked. For a policy that was
    /// trained with another adapter than the model in use has, the model is loaded a second time, beside the first.
    ///
    /// # Errors
    /// [`TunerError::PolicyMismatch`] for a policy of another planner or another use of history, and where there is no memory
    /// for a second model; otherwise those of loading.
    pub fn load(&self, policy: &StoredPolicy) -> Result<StagedPolicy, TunerError> {
        let (heads, step, files) = match policy {
            StoredPolicy::Actor(policy) => (self.load_actor(policy)?, policy.step, Some(&**policy)),
            StoredPolicy::Heads(policy) => (self.load_heads(policy)?, None, None),
        };
        let model = self.models.as_ref().map(|models| models.for_policy(policy.path(), files)).transpose()?;
        Ok(StagedPolicy { heads, model: model.flatten().map(Box::new), path: policy.path().into(), step })
    }

    /// An actor with its heads, whatever adapter it came with.
    pub(super) fn load_actor(&self, policy: &PolicyCheckpoint) -> Result<PolicyHeads, TunerError> {
        self.check(policy)?;
        let actions = self.planner.parameters().len();
        let history = self.history.as_ref();
        let (extractor, actor) = heads::load_policy(policy, history, self.hidden, actions, &self.device)?;
        Ok(self.heads(extractor, OutputHead::Actor(actor)))
    }

    pub(super) fn load_heads(&self, policy: &HeadsPolicy) -> Result<PolicyHeads, TunerError> {
        if self.history.is_some() != policy.history_encoder.is_some() {
            let (has, wants) = if self.history.is_some() { ("no", "a") } else { ("a", "no") };
            let reason =
                format!("it has {has} history encoder, the supervised checkpoint's configuration wants {wants}");
            return Err(mismatch(&policy.folder, &reason));
        }
        let tables = (&policy.regression_head, policy.history_encoder.as_ref());
        let extractor = heads::load_heads(tables, self.history.as_ref(), self.hidden, &self.device)?;
        Ok(self.heads(extractor, OutputHead::Regression(policy.normalization.clone())))
    }

    /// The heads of the supervised checkpoint itself.
    pub(super) fn load_supervised(&self, checkpoint: &SupervisedCheckpoint) -> Result<PolicyHeads, TunerError> {
        let extractor = heads::load_supervised(checkpoint, self.hidden, &self.device)?;
        Ok(self.heads(extractor, OutputHead::Regression(checkpoint.normalization.clone())))
    }

    fn heads(&self, extractor: FeatureExtractor, output: OutputHead) -> PolicyHeads {
        PolicyHeads::new(extractor, output, self.planner.clone(), self.device.clone())
    }

    /// What a policy says of its own training must agree with what it is run on.
    pub(super) fn check(&self, policy: &PolicyCheckpoint) -> Result<(), TunerError> {
        let uses_history = self.history.is_some();
        if let Some(info) = policy.vlm_info.as_ref().filter(|info| info.use_history != uses_history) {
            let reason = format!(
                "vlm_info says use_history {}, the supervised checkpoint's history_config.json says {uses_history}; \
                 use the checkpoint that the policy was trained from",
                info.use_history
            );
            return Err(mismatch(&policy.path, &reason));
        }
        let trained = policy.manifest.as_ref().map_or(&[][..], |manifest| manifest.origin.parameters.as_slice());
        let names: Vec<&str> = self.planner.parameters().iter().map(|parameter| parameter.name()).collect();
        if !trained.is_empty() && trained != names {
            let (trained, names) = (trained.join(", "), names.join(", "));
            let planner = self.planner.name();
            let reason = format!("its actions are {trained}; those of planner {planner} are {names}");
            return Err(mismatch(&policy.path, &reason));
        }
        Ok(())
    }
}

/// A policy that contradicts what it is run on.
pub(super) fn mismatch(policy: &Path, reason: &str) -> TunerError {
    TunerError::PolicyMismatch { policy: policy.display().to_string(), reason: reason.to_owned() }
}
