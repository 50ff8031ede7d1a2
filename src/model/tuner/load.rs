//! From files to a tuner that is ready to decide.

use std::sync::Arc;

use candle_core::Device;

use super::adapter_in_use::ModelReload;
use super::frozen::FrozenModel;
use super::past::PastFrames;
use super::staged::{PolicyLoader, mismatch};
use super::{Compute, ModelSpec, QuantizeChoice, Tuner, TunerError};
use crate::checkpoint::{Adapter, HistoryConfig, PolicyCheckpoint, StoredPolicy, SupervisedCheckpoint, TensorTable};
use crate::device::{DeviceError, GpuFacts};
use crate::learning::LearningModelOptions;
use crate::vision_language::hub::{HubEnvironment, ModelSource};
use crate::vision_language::processor::{
    ImageProcessor, PreprocessorConfig, ProcessorError, PromptTemplate, PromptTokenizer,
};
use crate::vision_language::{ModelConfig, Precision, Quantize, VisionLanguageModel, WeightFormat};
use crate::weights::{LoadPlan, LoraAdapter, MemoryBudget, MergedWeights};

/// Which head turns the feature into parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// The policy's actor.
    Actor,
    /// The supervised checkpoint's regression.
    Regression,
}

/// What a tuner is made of.
#[derive(Debug, Clone)]
pub struct TunerOptions {
    /// Which model.
    pub model: ModelSpec,
    /// Where to compute.
    pub device: Device,
    /// Format of the vision-language model's weights; without a choice the device's usual one.
    pub format: Option<WeightFormat>,
    /// What the weights may take; `None` asks the system.
    pub memory: Option<MemoryBudget>,
}

/// Told after each tensor of the vision-language model: how many have been read, and how many there are.
pub type LoadProgress = Box<dyn Fn(usize, usize) + Send + Sync>;

impl TunerOptions {
    /// Finds the base model's files and opens the device.
    ///
    /// # Errors
    /// [`TunerError::Hub`] or [`TunerError::Device`].
    pub fn open(model: ModelSpec<ModelSource>, compute: Compute, hub: &HubEnvironment) -> Result<Self, TunerError> {
        let device = compute.device.open()?;
        refuse_bf16_without_hardware(&device, compute.format)?;
        let model = model.locate(hub).map_err(Box::new)?;
        Ok(Self { model, device, format: compute.format, memory: None })
    }

    /// Loads everything. Nothing is read before names, shapes and memory have been checked.
    ///
    /// # Errors
    /// The first layer that does not fit, with all of its differences.
    pub fn load(self, progress: Option<LoadProgress>) -> Result<Tuner, TunerError> {
        let checkpoint = SupervisedCheckpoint::open(&self.model.checkpoint)?;
        let policy = self.model.policy.as_deref().map(StoredPolicy::open).transpose()?;
        let has_actor = matches!(policy, Some(StoredPolicy::Actor(_)));
        let head = self.model.head.unwrap_or(if has_actor { Head::Actor } else { Head::Regression });
        let actor = match &policy {
            Some(StoredPolicy::Actor(policy)) => Some(&**policy),
            _ => None,
        };

        let config = ModelConfig::load(&self.model.base.join("config.json"))?;
        let hidden = config.text.hidden_size;
        let (planner, device) = (self.model.planner.clone(), self.device.clone());
        let loader = PolicyLoader::new(history(&checkpoint).cloned(), hidden, planner, device);
        if let Some(policy) = actor {
            loader.check(policy)?;
        }
        let model = self.load_model(&config, checkpoint.adapter.as_ref(), actor, progress)?;
        let reload = ModelReload::new(self.clone(), config.clone(), &checkpoint, actor)?;
        let heads = match (head, &policy) {
            (Head::Actor, None) => return Err(TunerError::NoPolicy),
            (Head::Actor, Some(StoredPolicy::Actor(policy))) => loader.load_actor(policy)?,
            (Head::Actor, Some(StoredPolicy::Heads(policy))) => {
                return Err(mismatch(&policy.folder, "it has no actor; use the regression head, or leave out --head"));
            }
            // A policy in the one-folder form is a regression head that was trained on.
            (Head::Regression, Some(StoredPolicy::Heads(policy))) => loader.load_heads(policy)?,
            (Head::Regression, _) => loader.load_supervised(&checkpoint)?,
        };
        let preprocessor =
            PreprocessorConfig::load(&self.model.base, Some(self.model.checkpoint.as_path()), self.model.pixels)?;
        let tokenizer = PromptTokenizer::load(&self.model.base, config.image_token_id)?;
        let template = PromptTemplate::load(Some(self.model.checkpoint.as_path()))?;
        let past = history(&checkpoint).cloned().map(PastFrames::new).transpose().map_err(ProcessorError::from)?;
        let frozen = FrozenModel::new(ImageProcessor::new(preprocessor), template, tokenizer, model);
        Ok(Tuner::new(frozen, heads, past, loader.with_models(reload)))
    }

    /// The same model with its base as it was published, for a LoRA to learn beside it. 4 bits for a policy that was trained
    /// on 4 bits, where nothing else is chosen.
    pub fn learning(&self, policy: &PolicyCheckpoint) -> LearningModelOptions {
        let quantize = self.model.quantize.resolve().unwrap_or_else(|| self.as_trained(Some(policy)));
        LearningModelOptions {
            base: self.model.base.clone(),
            wording: Some(self.model.checkpoint.clone()),
            planner: self.model.planner.name().to_owned(),
            pixels: self.model.pixels,
            device: self.device.clone(),
            precision: Precision::new(&self.device, self.format).quantised(quantize),
        }
    }

    pub(super) fn load_model(
        &self,
        config: &ModelConfig,
        supervised: Option<&Adapter>,
        policy: Option<&PolicyCheckpoint>,
        progress: Option<LoadProgress>,
    ) -> Result<VisionLanguageModel, TunerError> {
        let (mut weights, plan, precision) = self.plan(config, supervised, policy)?;
        if let Some(report) = progress {
            let total = plan.tensor_count();
            weights = weights.on_read(Box::new(move |read| report(read, total)));
        }
        Ok(VisionLanguageModel::load(config.clone(), Arc::new(weights), precision, &self.device)?)
    }

    /// What will be read, and how. Names, shapes and memory have been checked.
    pub(super) fn plan(
        &self,
        config: &ModelConfig,
        supervised: Option<&Adapter>,
        policy: Option<&PolicyCheckpoint>,
    ) -> Result<(MergedWeights, LoadPlan, Precision), TunerError> {
        let adapter = adapter(supervised, policy);
        let adapter =
            adapter.map(|Adapter { config, tensors, .. }| LoraAdapter::new(config, tensors.clone())).transpose()?;
        let weights = MergedWeights::new(TensorTable::open_sharded(&self.model.base)?, adapter)?;
        let precision = self.precision(&weights, policy)?;
        let plan = VisionLanguageModel::plan(config, precision)?;
        plan.check(&weights)?;
        if let Some(memory) = self.memory.or_else(|| MemoryBudget::of_device(&self.device)) {
            memory.check(&plan, &self.model.base.display().to_string())?;
        }
        Ok((weights, plan, precision))
    }
}

impl TunerOptions {
    fn precision(&self, weights: &MergedWeights, policy: Option<&PolicyCheckpoint>) -> Result<Precision, TunerError> {
        let quantised = weights.is_quantised();
        if quantised && self.model.quantize == QuantizeChoice::Nf4 {
            return Err(TunerError::AlreadyQuantised { base: self.model.base.clone() });
        }
        let precision = Precision::new(&self.device, self.format);
        if quantised {
            return Ok(precision.already_quantised());
        }
        Ok(precision.quantised(self.model.quantize.resolve().unwrap_or_else(|| self.as_trained(policy))))
    }

    /// What nobody chose: 4 bits for a policy that was trained on 4 bits.
    fn as_trained(&self, policy: Option<&PolicyCheckpoint>) -> Quantize {
        match policy.filter(|policy| policy.vlm_info.as_ref().is_some_and(|info| info.use_4bit)) {
            Some(policy) => {
                let name = policy.path.display();
                log::info!("{name} was trained on 4-bit weights: the linear layers are quantised to NF4");
                Quantize::Nf4
            }
            None => Quantize::None,
        }
    }
}

fn refuse_bf16_without_hardware(device: &Device, format: Option<WeightFormat>) -> Result<(), DeviceError> {
    match GpuFacts::of(device).filter(|gpu| !gpu.has_bf16()) {
        Some(GpuFacts { name, compute_capability: (major, minor), .. }) if format == Some(WeightFormat::Bf16) => {
            Err(DeviceError::NoBf16 { name, major, minor })
        }
        _ => Ok(()),
    }
}

/// An adapter that was trained with the policy takes the place of the supervised one.
pub(super) fn adapter<'a>(
    supervised: Option<&'a Adapter>,
    policy: Option<&'a PolicyCheckpoint>,
) -> Option<&'a Adapter> {
    policy.and_then(|policy| policy.lora_adapter.as_ref()).or(supervised)
}

/// The history configuration, if the checkpoint uses history at all.
pub(super) fn history(checkpoint: &SupervisedCheckpoint) -> Option<&HistoryConfig> {
    checkpoint.history_encoder.is_some().then_some(&checkpoint.history_config)
}
