//! The owner of all models.

use std::path::Path;

use candle_core::{Device, Tensor};

use super::decision::HeadOutput;
use super::golden::{self, GoldenFrame, GoldenFrames};
use super::last_frame::{ImageTokens, LastFrame, PooledPrompt};
use super::staged::{PolicyLoader, StagedPolicy, mismatch};
use super::{Decision, Stage, StageTimes, TunerError};
use crate::checkpoint::{HistoryConfig, Normalization, StoredPolicy, locate_live};
use crate::feature::{
    AttentionMap, EncodedFrame, ExtractedFeature, FeatureError, FeatureExtractor, HistoryImageProcessor, Pooled,
};
use crate::policy::{Actor, PolicyChange};
use crate::vision_language::processor::{GridThw, ImageProcessor, PromptTemplate, PromptTokenizer, TokenizedPrompt};
use crate::vision_language::{HiddenStates, VisionLanguageModel};
use planner_tuner_core::frame::{BodyVelocity, Frame};
use planner_tuner_core::planner::{PlannerParameters, PlannerSpec};

/// Size of the frame that warms a GPU up: that of the costmap pictures.
const WARM_UP_SIZE: (u32, u32) = (600, 400);

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
    pub(super) remembers_prefix: bool,
    /// Whether each stage waits for the device, so that its time is that of the work and not of queueing it.
    pub(super) waits_for_stages: bool,
    pub(super) golden: GoldenFrames,
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
        let (pooled, hidden_states) = self.pooled(&image, &prompt, &mut times)?;
        let (extracted, output) = times
            .measure(Stage::Heads, || self.done(self.apply(&self.extractor, &self.head, &pooled, newest_first)))?;
        // Of what was known before, nothing new can be learned about a policy either.
        if let Some(hidden_states) = hidden_states {
            let (newest_first, decided) = (newest_first.to_vec(), output.parameters().clone());
            self.golden.push(GoldenFrame { hidden_states, newest_first, decided });
        }
        let attention_map = self.attention_map(&extracted, &prompt, image.grid)?;
        Ok(Decision { extracted, attention_map, output, sequence_length: prompt.len(), times })
    }

    /// On a GPU, decides on a grey frame and forgets it: the first decision compiles the kernels and computes the prompt's
    /// constant beginning, which can take longer than a robot's guard waits. On a CPU nothing has to be made.
    ///
    /// # Errors
    /// As [`Self::decide`].
    pub fn warm_up(&mut self) -> Result<(), TunerError> {
        if self.device.is_cpu() {
            return Ok(());
        }
        let (width, height) = WARM_UP_SIZE;
        let grey = Frame::from_rgb8(width, height, vec![128; width as usize * height as usize * 3]);
        let standing = BodyVelocity::new(0.0, 0.0);
        // Both are in range; what cannot be made cannot be warmed with.
        let (Ok(grey), Ok(standing)) = (grey, standing) else { return Ok(()) };
        let past = self.encode_for_history(&grey)?;
        let past = vec![past; self.extractor.history_frames()].into_iter().flatten().collect::<Vec<_>>();
        let warmed = self.decide(&grey, standing, &past).map(|_| ());
        self.forget_last_frame();
        self.golden = GoldenFrames::default();
        // What a grey picture makes of untrained weights says nothing about the frames to come.
        match warmed {
            Err(TunerError::Feature(FeatureError::Numbers(_))) => Ok(()),
            other => other,
        }
    }

    /// Forgets the frame of the last decision, so that the next one computes everything: for measurements.
    pub fn forget_last_frame(&mut self) {
        self.last_frame = LastFrame::default();
    }

    pub(super) fn image_tokens(&mut self, frame: &Frame, times: &mut StageTimes) -> Result<ImageTokens, TunerError> {
        if let Some(image) = &self.last_frame.image {
            return Ok(image.clone());
        }
        let resized = times.measure(Stage::Resize, || self.processor.resize(frame))?;
        let patches = times.measure(Stage::Patches, || self.processor.cut(&resized))?;
        let tokens = times.measure(Stage::Vision, || self.done(self.model.image_tokens(&patches)))?;
        Ok(self.last_frame.image.insert(ImageTokens { grid: patches.grid(), tokens }).clone())
    }

    /// Whether the prompt's constant beginning is computed once, as it is from the start, or again for each frame: for
    /// measurements.
    pub fn remember_prefix(&mut self, remember: bool) {
        self.remembers_prefix = remember;
    }

    /// Whether each stage waits until the device has done its work: for measurements. A GPU's work is otherwise queued,
    /// and the stage that first asks for a number waits for all of it.
    pub fn wait_for_stages(&mut self, wait: bool) {
        self.waits_for_stages = wait;
    }

    /// The result of a stage, once its work is done, where somebody measures.
    fn done<T, E: Into<TunerError>>(&self, result: Result<T, E>) -> Result<T, TunerError> {
        let value = result.map_err(Into::into)?;
        if self.waits_for_stages {
            self.device.synchronize()?;
        }
        Ok(value)
    }

    /// What the head pools of the frame, and of which hidden states, if they had to be computed.
    fn pooled(
        &mut self,
        image: &ImageTokens,
        prompt: &TokenizedPrompt,
        times: &mut StageTimes,
    ) -> Result<(Pooled, Option<HiddenStates>), TunerError> {
        if let Some(pooled) = self.last_frame.pooled_for(&prompt.input_ids) {
            return Ok((pooled.clone(), None));
        }
        let ImageTokens { grid, tokens } = image;
        let hidden_states = times.measure(Stage::Text, || {
            self.done(match self.remembers_prefix {
                true => self.model.hidden_states(prompt, tokens, *grid),
                false => self.model.hidden_states_afresh(prompt, tokens, *grid),
            })
        })?;
        let pooled = times.measure(Stage::Heads, || self.done(self.extractor.pool(&hidden_states)))?;
        let input_ids = prompt.input_ids.clone();
        self.last_frame.pooled = Some(PooledPrompt { input_ids, pooled: pooled.clone() });
        Ok((pooled, Some(hidden_states)))
    }

    /// What loads policies that can take the place of the one in use.
    pub fn policy_loader(&self) -> PolicyLoader {
        PolicyLoader {
            history: self.history.clone(),
            hidden: self.model.config().text.hidden_size,
            planner: self.planner.clone(),
            device: self.device.clone(),
        }
    }

    /// Lets a policy decide on the observations of the last decisions, and compares with what came of them. Before the
    /// first one it gets a made-up observation, with nothing to compare.
    ///
    /// # Errors
    /// [`TunerError::Feature`] for a NaN or an infinity, [`TunerError::PolicyMismatch`] for a policy with the other kind
    /// of head.
    pub fn examine(&self, policy: &StagedPolicy) -> Result<PolicyChange, TunerError> {
        match (&self.head, &policy.head) {
            (HeadParts::Regression(_), HeadParts::Actor(_)) => {
                return Err(mismatch(policy.path(), "the regression head is in use; restart with a policy"));
            }
            (HeadParts::Actor(_), HeadParts::Regression(_)) => {
                return Err(mismatch(policy.path(), "an actor is in use, and this policy has none; restart with it"));
            }
            _ => {}
        }
        let on_frame = |frame: &GoldenFrame| {
            let decided = self.decide_on(&policy.extractor, &policy.head, frame)?;
            Ok::<_, TunerError>((frame.decided.clone(), decided))
        };
        let decisions = self.golden.iter().map(on_frame).collect::<Result<Vec<_>, _>>()?;
        if decisions.is_empty() {
            let grey = self.history_images.as_ref().map_or(0, |images| images.size() as usize);
            let pixels = Tensor::zeros((3, grey, grey), candle_core::DType::F32, &self.device)?;
            let past = if grey == 0 { None } else { policy.extractor.encode_frame(&pixels)? };
            let past = vec![past; policy.extractor.history_frames()].into_iter().flatten().collect::<Vec<_>>();
            let hidden_states = golden::made_up(self.model.config().text.hidden_size, &self.device)?;
            let pooled = policy.extractor.pool(&hidden_states)?;
            self.apply(&policy.extractor, &policy.head, &pooled, &past)?;
        }
        Ok(PolicyChange::between(&decisions))
    }

    /// Puts a policy that has been [examined](Self::examine) in place of the one in use.
    pub fn swap_policy(&mut self, policy: StagedPolicy) {
        self.extractor = policy.extractor;
        self.head = policy.head;
        self.last_frame.forget_heads();
        // The next policy is compared with this one. It has been examined on the same frames, so it gives numbers.
        for mut frame in std::mem::take(&mut self.golden) {
            if let Ok(decided) = self.decide_on(&self.extractor, &self.head, &frame) {
                frame.decided = decided;
                self.golden.push(frame);
            }
        }
    }

    /// Puts another policy's heads in place of those in use, however much they change. Nothing changes unless all of it
    /// fits and gives numbers. A folder means the policy that a robot which follows it should have.
    ///
    /// # Errors
    /// Those of [`PolicyLoader::load`] and [`Tuner::examine`].
    pub fn reload_policy(&mut self, policy: &Path) -> Result<PolicyChange, TunerError> {
        let live = if policy.is_dir() { locate_live(policy)? } else { None };
        let stored = live.map_or_else(|| StoredPolicy::open(policy), |located| located.open())?;
        let staged = self.policy_loader().load(&stored)?;
        let change = self.examine(&staged)?;
        self.swap_policy(staged);
        Ok(change)
    }

    pub(super) fn prompt(&self, velocity: BodyVelocity, grid: GridThw) -> Result<TokenizedPrompt, TunerError> {
        let merge = self.model.config().vision.spatial_merge_size;
        let prompt = self.template.render(velocity, self.planner.name());
        Ok(self.tokenizer.encode(&prompt, grid.image_tokens(merge))?)
    }

    /// What the heads of a policy make of an observation that was kept.
    fn decide_on(
        &self,
        extractor: &FeatureExtractor,
        head: &HeadParts,
        frame: &GoldenFrame,
    ) -> Result<PlannerParameters, TunerError> {
        let pooled = extractor.pool(&frame.hidden_states)?;
        let (_, output) = self.apply(extractor, head, &pooled, &frame.newest_first)?;
        Ok(output.parameters().clone())
    }

    /// The heads of a policy on what they pooled of one observation.
    fn apply(
        &self,
        extractor: &FeatureExtractor,
        head: &HeadParts,
        pooled: &Pooled,
        newest_first: &[EncodedFrame],
    ) -> Result<(ExtractedFeature, HeadOutput), TunerError> {
        let extracted = extractor.fuse(pooled, newest_first)?;
        let output = match head {
            HeadParts::Actor(actor) => {
                let action = actor.act(&extracted.feature)?;
                let parameters = self.planner.from_action(action.values())?;
                HeadOutput::Actor { action, parameters }
            }
            HeadParts::Regression(normalization) => {
                let normalised = extractor.regress(&extracted.feature, &self.device)?;
                let (outputs, means) = (normalised.len(), normalization.len());
                if outputs != means {
                    return Err(TunerError::Normalization { outputs, means });
                }
                let denormalised = normalization.denormalise(&normalised);
                let values = self.planner.from_regression(&denormalised)?;
                HeadOutput::Regression { normalised, denormalised, values }
            }
        };
        Ok((extracted, output))
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
