//! From files to a model that can learn.

use std::path::PathBuf;
use std::sync::Arc;

use candle_core::Device;

use super::{LearningError, LearningModel};
use crate::checkpoint::TensorTable;
use crate::tuner::LoadProgress;
use crate::vision_language::processor::{
    ImageProcessor, PixelBudget, PreprocessorConfig, PromptTemplate, PromptTokenizer,
};
use crate::vision_language::{ModelConfig, Precision, VisionLanguageModel};
use crate::weights::{MemoryBudget, MergedWeights};

/// What a model that learns is made of.
#[derive(Debug, Clone)]
pub struct LearningModelOptions {
    /// Folder of the base model: config.json, tokenizer.json, preprocessor_config.json, weights.
    pub base: PathBuf,
    /// Folder whose prompt.json and preprocessor_config.json are used, where it has them: a supervised checkpoint's.
    pub wording: Option<PathBuf>,
    /// The planner that the prompt names.
    pub planner: String,
    /// Overrides of the image processor's pixel budget.
    pub pixels: PixelBudget,
    /// Where to compute.
    pub device: Device,
    /// Formats of the base model.
    pub precision: Precision,
}

impl LearningModelOptions {
    /// Reads the base model, without any adapter. Nothing is read before names, shapes and memory have been checked.
    ///
    /// # Errors
    /// What does not fit, with all differences.
    pub fn load(self, progress: Option<LoadProgress>) -> Result<LearningModel, LearningError> {
        let Self { base, wording, planner, pixels, device, precision } = self;
        let config = ModelConfig::load(&base.join("config.json"))?;
        let mut weights = MergedWeights::new(TensorTable::open_sharded(&base)?, None)?;
        let precision = if weights.is_quantised() { precision.already_quantised() } else { precision };
        let plan = VisionLanguageModel::plan(&config, precision)?;
        plan.check(&weights)?;
        if let Some(memory) = MemoryBudget::of_device(&device) {
            memory.check(&plan, &base.display().to_string())?;
        }
        if let Some(report) = progress {
            let total = plan.tensor_count();
            weights = weights.on_read(Box::new(move |read| report(read, total)));
        }
        let preprocessor = PreprocessorConfig::load(&base, wording.as_deref(), pixels)?;
        let tokenizer = PromptTokenizer::load(&base, config.image_token_id)?;
        let template = match &wording {
            Some(folder) if folder.join(PromptTemplate::FILE).is_file() => PromptTemplate::load(Some(folder))?,
            _ => PromptTemplate::built_in()?,
        };
        let model = VisionLanguageModel::load(config, Arc::new(weights), precision, &device)?;
        Ok(LearningModel::new(ImageProcessor::new(preprocessor), (template, tokenizer), model, planner))
    }
}
