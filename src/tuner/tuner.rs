//! The owner of all models.

use std::path::Path;

use candle_core::{Device, Tensor};

use super::decision::HeadOutput;
use super::last_frame::{ImageTokens, LastFrame, PooledPrompt};
use super::{Decision, Stage, StageTimes, TunerError, heads};
use crate::checkpoint::{HistoryConfig, Normalization, PolicyCheckpoint};
use crate::feature::{AttentionMap, EncodedFrame, ExtractedFeature, FeatureExtractor, HistoryImageProcessor, Pooled};
use crate::frame::{BodyVelocity, Frame};
use crate::planner::PlannerSpec;
use crate::policy::Actor;
use crate::vision_language::VisionLanguageModel;
use crate::vision_language::processor::{GridThw, ImageProcessor, PromptTemplate, PromptTokenizer, TokenizedPrompt};

/// Turns frames into planner parameters. Loaded by [`super::TunerOptions::load`].
#[derive(Debug)]
pub struct Tuner {
    pub(super) processor: ImageProcessor,
    pub(super) template: PromptTemplate,
    pub(super) tokenizer: PromptTokenizer,
    pub(super) model: VisionLanguageModel,
    pub(super) extractor: FeatureExtractor,
    pub(super) head: HeadParts,
    pub(super) last_frame: LastFrame,
    pub(super) history_images: Option<HistoryImageProcessor>,
    /// The supervised checkpoint's, where it uses history.
    pub(super) history: Option<HistoryConfig>,
    pub(super) planner: PlannerSpec,
    pub(super) device: Device,
}

/// The head in use.
#[derive(Debug)]
pub(super) enum HeadParts {
    Actor(Actor),
    Regression(Normalization),
}

impl Tuner {
    /// The planner that is tuned.
    pub fn planner(&self) -> &PlannerSpec {
        &self.planner
    }

    /// How many decisions back each history frame lies, newest first; empty for a head without history.
    pub fn history_offsets(&self) -> &[usize] {
        self.history.as_ref().map_or(&[], |history| &history.history_offsets)
    }

    /// Encodes a frame for the decisions after it; `None` for a head without history.
    ///
    /// # Errors
    /// When the frame cannot be resized or a tensor operation fails.
    pub fn encode_for_history(&mut self, frame: &Frame) -> Result<Option<EncodedFrame>, TunerError> {
        let Some(images) = &mut self.history_images else { return Ok(None) };
        self.last_frame.turn_to(frame);
        if let Some(encoded) = &self.last_frame.encoded {
            return Ok(Some(encoded.clone()));
        }
        let side = images.size() as usize;
        let pixels = Tensor::from_vec(images.process(frame), (3, side, side), &self.device)?;
        self.last_frame.encoded = self.extractor.encode_frame(&pixels)?;
        Ok(self.last_frame.encoded.clone())
    }

    /// Decides for one frame, with the frames before it newest first.
    ///
    /// Where the frame is that of the decision before, its image tokens are used again; where the prompt is the same, too
    /// (the velocity, to the digits that are printed), so is what the head pooled. The result is the same, bit for bit.
    ///
    /// # Errors
    /// The stage that failed; a NaN or an infinity anywhere is an error, never a parameter.
    pub fn decide(
        &mut self,
        frame: &Frame,
        velocity: BodyVelocity,
        newest_first: &[EncodedFrame],
    ) -> Result<Decision, TunerError> {
        let mut times = StageTimes::default();
        self.last_frame.turn_to(frame);
        let image = self.image_tokens(frame, &mut times)?;
        let prompt = times.measure(Stage::Prompt, || self.prompt(velocity, image.grid))?;
        let pooled = self.pooled(&image, &prompt, &mut times)?;
        let (extracted, output) = times.measure(Stage::Heads, || {
            let extracted = self.extractor.fuse(&pooled, newest_first)?;
            let output = self.apply_head(&extracted)?;
            Ok::<_, TunerError>((extracted, output))
        })?;
        let attention_map = self.attention_map(&extracted, &prompt, image.grid)?;
        Ok(Decision { extracted, attention_map, output, sequence_length: prompt.len(), times })
    }

    /// Forgets the frame of the last decision, so that the next one computes everything: for measurements.
    pub fn forget_last_frame(&mut self) {
        self.last_frame = LastFrame::default();
    }

    fn image_tokens(&mut self, frame: &Frame, times: &mut StageTimes) -> Result<ImageTokens, TunerError> {
        if let Some(image) = &self.last_frame.image {
            return Ok(image.clone());
        }
        let resized = times.measure(Stage::Resize, || self.processor.resize(frame))?;
        let patches = times.measure(Stage::Patches, || self.processor.cut(&resized))?;
        let tokens = times.measure(Stage::Vision, || self.model.image_tokens(&patches))?;
        Ok(self.last_frame.image.insert(ImageTokens { grid: patches.grid(), tokens }).clone())
    }

    fn pooled(
        &mut self,
        image: &ImageTokens,
        prompt: &TokenizedPrompt,
        times: &mut StageTimes,
    ) -> Result<Pooled, TunerError> {
        if let Some(pooled) = self.last_frame.pooled_for(&prompt.input_ids) {
            return Ok(pooled.clone());
        }
        let ImageTokens { grid, tokens } = image;
        let hidden_states = times.measure(Stage::Text, || self.model.hidden_states(prompt, tokens, *grid))?;
        let pooled = times.measure(Stage::Heads, || self.extractor.pool(&hidden_states))?;
        let input_ids = prompt.input_ids.clone();
        self.last_frame.pooled = Some(PooledPrompt { input_ids, pooled: pooled.clone() });
        Ok(pooled)
    }

    /// Puts another policy's heads in place of those in use. Nothing changes unless all of it fits.
    ///
    /// # Errors
    /// Those of loading; [`TunerError::PolicyMismatch`] for a policy with an adapter of its own, which changes the
    /// vision-language model and needs a restart, and for a tuner that runs the regression head.
    pub fn reload_policy(&mut self, policy: &Path) -> Result<(), TunerError> {
        let policy = PolicyCheckpoint::open(policy)?;
        let mismatch = |reason: &str| TunerError::PolicyMismatch {
            policy: policy.path.display().to_string(),
            reason: reason.to_owned(),
        };
        if policy.lora_adapter.is_some() {
            return Err(mismatch("it brings an adapter for the vision-language model; restart with this policy"));
        }
        if !matches!(self.head, HeadParts::Actor(_)) {
            return Err(mismatch("the regression head is in use; restart with a policy"));
        }
        let (hidden, actions) = (self.model.config().text.hidden_size, self.planner.parameters().len());
        let (extractor, actor) = heads::load_policy(&policy, self.history.as_ref(), hidden, actions, &self.device)?;
        self.extractor = extractor;
        self.head = HeadParts::Actor(actor);
        self.last_frame.forget_heads();
        Ok(())
    }

    fn prompt(&self, velocity: BodyVelocity, grid: GridThw) -> Result<TokenizedPrompt, TunerError> {
        let merge = self.model.config().vision.spatial_merge_size;
        let prompt = self.template.render(velocity, self.planner.name());
        Ok(self.tokenizer.encode(&prompt, grid.image_tokens(merge))?)
    }

    fn apply_head(&self, extracted: &ExtractedFeature) -> Result<HeadOutput, TunerError> {
        match &self.head {
            HeadParts::Actor(actor) => {
                let action = actor.act(&extracted.feature)?;
                let parameters = self.planner.from_action(action.values())?;
                Ok(HeadOutput::Actor { action, parameters })
            }
            HeadParts::Regression(normalization) => {
                let normalised = self.extractor.regress(&extracted.feature, &self.device)?;
                let (outputs, means) = (normalised.len(), normalization.len());
                if outputs != means {
                    return Err(TunerError::Normalization { outputs, means });
                }
                let denormalised = normalization.denormalise(&normalised);
                let values = self.planner.from_regression(&denormalised)?;
                Ok(HeadOutput::Regression { normalised, denormalised, values })
            }
        }
    }

    fn attention_map(
        &self,
        extracted: &ExtractedFeature,
        prompt: &TokenizedPrompt,
        grid: GridThw,
    ) -> Result<AttentionMap, TunerError> {
        let merge = self.model.config().vision.spatial_merge_size;
        let image = extracted.attention.iter().copied().skip(prompt.image_start).take(prompt.image_tokens);
        AttentionMap::new(grid.h / merge, grid.w / merge, image.collect()).ok_or_else(|| {
            TunerError::Tensor(candle_core::Error::Msg("the attention does not cover the image tokens".into()))
        })
    }
}
