//! The part of a tuner that never learns: from a frame and a velocity to hidden states.

use candle_core::Tensor;

use super::golden::SeenFrame;
use super::stage_end::StageEnd;
use super::{Stage, StageTimes, TunerError};
use crate::vision_language::processor::{GridThw, ImageProcessor, PromptTemplate, PromptTokenizer, TokenizedPrompt};
use crate::vision_language::{HiddenStates, ModelConfig, VisionLanguageModel};
use planner_tuner_core::frame::{BodyVelocity, Frame};

/// Image processor, prompt and vision-language model of one base model and checkpoint.
#[derive(Debug)]
pub(super) struct FrozenModel {
    processor: ImageProcessor,
    template: PromptTemplate,
    tokenizer: PromptTokenizer,
    model: VisionLanguageModel,
    remembers_prefix: bool,
}

/// The frame as the vision tower sees it.
#[derive(Debug, Clone)]
pub(super) struct ImageTokens {
    grid: GridThw,
    /// `[tokens, hidden]`
    tokens: Tensor,
}

impl FrozenModel {
    /// All of one base model and checkpoint.
    pub(super) fn new(
        processor: ImageProcessor,
        template: PromptTemplate,
        tokenizer: PromptTokenizer,
        model: VisionLanguageModel,
    ) -> Self {
        Self { processor, template, tokenizer, model, remembers_prefix: true }
    }

    pub(super) fn config(&self) -> &ModelConfig {
        self.model.config()
    }

    pub(super) fn remember_prefix(&mut self, remember: bool) {
        self.remembers_prefix = remember;
    }

    pub(super) fn image_tokens(
        &mut self,
        frame: &Frame,
        end: &StageEnd,
        times: &mut StageTimes,
    ) -> Result<ImageTokens, TunerError> {
        let resized = times.measure(Stage::Resize, || self.processor.resize(frame))?;
        let patches = times.measure(Stage::Patches, || self.processor.cut(&resized))?;
        let tokens = times.measure(Stage::Vision, || end.of(self.model.image_tokens(&patches)))?;
        Ok(ImageTokens { grid: patches.grid(), tokens })
    }

    /// The hidden states that another vision-language model of the same base has of a frame.
    pub(super) fn look_through(
        &mut self,
        model: &mut VisionLanguageModel,
        seen: &SeenFrame,
        planner: &str,
    ) -> Result<HiddenStates, TunerError> {
        let resized = self.processor.resize(&seen.frame)?;
        let patches = self.processor.cut(&resized)?;
        let image = ImageTokens { grid: patches.grid(), tokens: model.image_tokens(&patches)? };
        let prompt = self.prompt(seen.velocity, planner, &image)?;
        Ok(model.hidden_states_afresh(&prompt, &image.tokens, image.grid)?)
    }

    /// Puts another vision-language model of the same base in place of the one in use.
    pub(super) fn replace_model(&mut self, model: VisionLanguageModel) {
        self.model = model;
    }

    /// The prompt's text without the image's tokens.
    pub(super) fn prompt_text(&self, velocity: BodyVelocity, planner: &str) -> String {
        self.template.render(velocity, planner).text(0)
    }

    /// The prompt with a place for the image.
    pub(super) fn prompt(
        &self,
        velocity: BodyVelocity,
        planner: &str,
        image: &ImageTokens,
    ) -> Result<TokenizedPrompt, TunerError> {
        let merge = self.config().vision.spatial_merge_size;
        let prompt = self.template.render(velocity, planner);
        Ok(self.tokenizer.encode(&prompt, image.grid.image_tokens(merge))?)
    }

    pub(super) fn hidden_states(
        &mut self,
        prompt: &TokenizedPrompt,
        image: &ImageTokens,
    ) -> Result<HiddenStates, TunerError> {
        let ImageTokens { grid, tokens } = image;
        Ok(match self.remembers_prefix {
            true => self.model.hidden_states(prompt, tokens, *grid)?,
            false => self.model.hidden_states_afresh(prompt, tokens, *grid)?,
        })
    }

    /// Rows and columns of the image's tokens.
    pub(super) fn token_grid(&self, image: &ImageTokens) -> (usize, usize) {
        let merge = self.config().vision.spatial_merge_size;
        (image.grid.h / merge, image.grid.w / merge)
    }
}
