//! The model that learns: from a frame and a velocity to hidden states, and back.

use candle_core::{Device, Tensor};

use super::{LearningError, LoraLayers};
use crate::vision_language::processor::{
    ImageProcessor, ProcessedImage, PromptTemplate, PromptTokenizer, TokenizedPrompt,
};
use crate::vision_language::{ForwardPass, GradientSink, HiddenStates, ModelConfig, Precision, VisionLanguageModel};
use planner_tuner_core::frame::{BodyVelocity, Frame};

/// Image processor, prompt and vision-language model with a LoRA of its own.
#[derive(Debug)]
pub struct LearningModel {
    processor: ImageProcessor,
    template: PromptTemplate,
    tokenizer: PromptTokenizer,
    model: VisionLanguageModel,
    planner: String,
}

/// An observation as the model is shown it.
#[derive(Debug, Clone)]
pub struct Sight {
    image: ProcessedImage,
    prompt: TokenizedPrompt,
}

impl LearningModel {
    /// From its parts; see [`super::LearningModelOptions::load`].
    pub(crate) fn new(
        processor: ImageProcessor,
        (template, tokenizer): (PromptTemplate, PromptTokenizer),
        model: VisionLanguageModel,
        planner: String,
    ) -> Self {
        Self { processor, template, tokenizer, model, planner }
    }

    /// The model's sizes.
    pub fn config(&self) -> &ModelConfig {
        self.model.config()
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        self.model.device()
    }

    /// The formats that it computes in.
    pub fn precision(&self) -> Precision {
        self.model.precision()
    }

    /// The wording that it is shown.
    pub fn template(&self) -> &PromptTemplate {
        &self.template
    }

    /// Shows it another wording.
    pub fn set_template(&mut self, template: PromptTemplate) {
        self.template = template;
    }

    /// Lets `make` put a LoRA into the model.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn with_lora(
        &mut self,
        make: impl FnOnce(&mut VisionLanguageModel) -> Result<LoraLayers, LearningError>,
    ) -> Result<LoraLayers, LearningError> {
        make(&mut self.model)
    }

    /// Prepares an observation: pixels to patches, velocity to words and tokens.
    ///
    /// # Errors
    /// When the frame cannot be resized.
    pub fn see(&mut self, frame: &Frame, velocity: BodyVelocity) -> Result<Sight, LearningError> {
        let resized = self.processor.resize(frame)?;
        let image = self.processor.cut(&resized)?;
        let merge = self.model.config().vision.spatial_merge_size;
        let prompt = self.template.render(velocity, &self.planner);
        let prompt = self.tokenizer.encode(&prompt, image.grid().image_tokens(merge))?;
        Ok(Sight { image, prompt })
    }

    /// The last four hidden states `[seq, hidden]`. Nothing is kept for a way back.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn hidden_states(&mut self, sight: &Sight) -> Result<HiddenStates, LearningError> {
        let image_tokens = self.model.image_tokens(&sight.image)?;
        Ok(self.model.hidden_states_afresh(&sight.prompt, &image_tokens, sight.image.grid())?)
    }

    /// The last four hidden states `[seq, hidden]`, and what [`backward`](Self::backward) needs.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn forward(&mut self, sight: &Sight) -> Result<(HiddenStates, ForwardPass), LearningError> {
        Ok(self.model.forward_for_learning(&sight.prompt, &sight.image)?)
    }

    /// Takes the gradients of the hidden states, f32 `[seq, hidden]` each, back to the LoRA: block by block, what is found
    /// goes to `sink`.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn backward(
        &self,
        passed: ForwardPass,
        of_states: &[Tensor; 4],
        sink: &mut GradientSink<'_>,
    ) -> Result<(), LearningError> {
        Ok(self.model.backward(passed, of_states, sink)?)
    }

    /// The hidden states computed in one graph, in operations that have a gradient throughout: what blockwise gradients are
    /// compared with. For small models: all intermediate results are held.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn forward_as_one_graph(&mut self, sight: &Sight) -> Result<HiddenStates, LearningError> {
        Ok(self.model.forward_as_one_graph(&sight.prompt, &sight.image)?)
    }
}
