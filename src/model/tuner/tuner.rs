//! The owner of all models.

use std::path::Path;

use super::frozen::{FrozenModel, ImageTokens};
use super::golden::{GoldenFrames, SeenFrame};
use super::last_frame::LastFrame;
use super::past::PastFrames;
use super::policy_heads::PolicyHeads;
use super::stage_end::StageEnd;
use super::staged::{PolicyLoader, StagedPolicy};
use super::{Decision, Stage, StageTimes, TunerError};
use crate::checkpoint::{HistoryConfig, StoredPolicy, locate_live};
use crate::feature::{AttentionMap, EncodedFrame, ExtractedFeature, FeatureError, Pooled, ProjectedPrefix};
use crate::policy::PolicyChange;
use crate::vision_language::HiddenStates;
use crate::vision_language::processor::TokenizedPrompt;
use planner_tuner_core::frame::{BodyVelocity, Frame};
use planner_tuner_core::planner::PlannerSpec;

/// Size of the frame that warms a GPU up: that of the costmap pictures.
const WARM_UP_SIZE: (u32, u32) = (600, 400);

/// Turns frames into planner parameters. Loaded by [`super::TunerOptions::load`].
#[derive(Debug)]
pub struct Tuner {
    frozen: FrozenModel,
    heads: PolicyHeads,
    /// What the heads in use made of the prompt's constant beginning.
    known_prefix: ProjectedPrefix,
    /// `None` for a supervised checkpoint without history.
    past: Option<PastFrames>,
    last_frame: LastFrame,
    golden: GoldenFrames,
    stage_end: StageEnd,
    loader: PolicyLoader,
}

impl Tuner {
    /// A tuner that has not decided yet. `loader` is what the heads were loaded by, and the next ones will be.
    pub(super) fn new(frozen: FrozenModel, heads: PolicyHeads, past: Option<PastFrames>, loader: PolicyLoader) -> Self {
        Self {
            frozen,
            heads,
            known_prefix: ProjectedPrefix::default(),
            past,
            last_frame: LastFrame::default(),
            golden: GoldenFrames::default(),
            stage_end: StageEnd::new(loader.device().clone()),
            loader,
        }
    }

    /// The planner that is tuned.
    pub fn planner(&self) -> &PlannerSpec {
        self.loader.planner()
    }

    /// How the heads are shown the past, where they are.
    pub fn history_config(&self) -> Option<&HistoryConfig> {
        self.past.as_ref().map(PastFrames::config)
    }

    /// How many decisions back each history frame lies, newest first; empty for a head without history.
    pub fn history_offsets(&self) -> &[usize] {
        self.history_config().map_or(&[], |history| &history.history_offsets)
    }

    /// Width of the hidden states.
    pub fn hidden_size(&self) -> usize {
        self.frozen.config().text.hidden_size
    }

    /// Encodes a frame for the decisions after it; `None` for a head without history.
    ///
    /// # Errors
    /// When the frame cannot be resized or a tensor operation fails.
    pub fn encode_for_history(&mut self, frame: &Frame) -> Result<Option<EncodedFrame>, TunerError> {
        let Some(past) = &mut self.past else { return Ok(None) };
        self.last_frame.turn_to(frame);
        self.last_frame.encoded_or(|| Ok(self.heads.encode_frame(&past.pixels(frame, self.loader.device())?)?))
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
        let image = self.image_tokens(frame, &mut times)?;
        let prompt = times.measure(Stage::Prompt, || self.prompt(velocity, &image))?;
        let (pooled, hidden_states) = self.pooled(&image, &prompt, &mut times)?;
        let (extracted, output) =
            times.measure(Stage::Heads, || self.stage_end.of(self.heads.apply(&pooled, newest_first)))?;
        // Of what was known before, nothing new can be learned about a policy either.
        if let Some(hidden_states) = hidden_states {
            let seen = SeenFrame { frame: frame.clone(), velocity };
            self.golden.push(seen, hidden_states, newest_first, output.parameters());
        }
        let attention_map = self.attention_map(&extracted, &prompt, &image)?;
        Ok(Decision { extracted, attention_map, output, sequence_length: prompt.len(), times })
    }

    /// On a GPU, decides on a grey frame and forgets it: the first decision compiles the kernels and computes the prompt's
    /// constant beginning, which can take longer than a robot's guard waits. On a CPU nothing has to be made.
    ///
    /// # Errors
    /// As [`Self::decide`].
    pub fn warm_up(&mut self) -> Result<(), TunerError> {
        if self.loader.device().is_cpu() {
            return Ok(());
        }
        let (width, height) = WARM_UP_SIZE;
        let grey = Frame::from_rgb8(width, height, vec![128; width as usize * height as usize * 3]);
        let standing = BodyVelocity::new(0.0, 0.0);
        // Both are in range; what cannot be made cannot be warmed with.
        let (Ok(grey), Ok(standing)) = (grey, standing) else { return Ok(()) };
        let past = self.encode_for_history(&grey)?;
        let past = self.heads.past_of(past);
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

    /// Whether the prompt's constant beginning is computed once, as it is from the start, or again for each frame: for
    /// measurements.
    pub fn remember_prefix(&mut self, remember: bool) {
        self.frozen.remember_prefix(remember);
    }

    /// Whether each stage waits until the device has done its work: for measurements. A GPU's work is otherwise queued,
    /// and the stage that first asks for a number waits for all of it.
    pub fn wait_for_stages(&mut self, wait: bool) {
        self.stage_end.wait(wait);
    }

    /// The prompt's text for a velocity, without the image's tokens: two velocities with the same text look the same.
    pub fn prompt_text(&self, velocity: BodyVelocity) -> String {
        self.frozen.prompt_text(velocity, self.planner().name())
    }

    /// The last four hidden states of a frame, as [`Self::decide`] computes them: for heads that are still learning.
    ///
    /// # Errors
    /// The stage that failed.
    pub fn hidden_states(&mut self, frame: &Frame, velocity: BodyVelocity) -> Result<HiddenStates, TunerError> {
        let image = self.image_tokens(frame, &mut StageTimes::default())?;
        let prompt = self.prompt(velocity, &image)?;
        self.frozen.hidden_states(&prompt, &image)
    }

    fn image_tokens(&mut self, frame: &Frame, times: &mut StageTimes) -> Result<ImageTokens, TunerError> {
        self.last_frame.turn_to(frame);
        self.last_frame.image_or(|| self.frozen.image_tokens(frame, &self.stage_end, times))
    }

    fn prompt(&self, velocity: BodyVelocity, image: &ImageTokens) -> Result<TokenizedPrompt, TunerError> {
        self.frozen.prompt(velocity, self.planner().name(), image)
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
        let hidden_states =
            times.measure(Stage::Text, || self.stage_end.of(self.frozen.hidden_states(prompt, image)))?;
        let pooled = times
            .measure(Stage::Heads, || self.stage_end.of(self.heads.pool(&mut self.known_prefix, &hidden_states)))?;
        self.last_frame.keep_pooled(&prompt.input_ids, &pooled);
        Ok((pooled, Some(hidden_states)))
    }

    /// What loads policies that can take the place of the one in use.
    pub fn policy_loader(&self) -> PolicyLoader {
        self.loader.clone()
    }

    /// Lets a policy decide on the observations of the last decisions, and compares with what came of them. Before the
    /// first one it gets a made-up observation, with nothing to compare. A policy that brings a vision-language model of its
    /// own looks at the newest of them again, which takes as long as the decisions did.
    ///
    /// # Errors
    /// [`TunerError::Feature`] for a NaN or an infinity, [`TunerError::PolicyMismatch`] for a policy with the other kind
    /// of head.
    pub fn examine(&mut self, policy: &mut StagedPolicy) -> Result<PolicyChange, TunerError> {
        self.heads.expect_same_kind(policy.heads(), policy.path())?;
        let Self { frozen, golden, loader, .. } = self;
        let (heads, model) = policy.parts();
        let mut known_prefix = ProjectedPrefix::default();
        let decisions = match model {
            None => golden
                .compare(|hidden_states, newest_first| heads.decide(&mut known_prefix, hidden_states, newest_first))?,
            Some(model) => golden.compare_seen_again(|seen, newest_first| {
                let hidden_states = frozen.look_through(model, seen, loader.planner().name())?;
                heads.decide(&mut ProjectedPrefix::default(), &hidden_states, newest_first)
            })?,
        };
        if decisions.is_empty() {
            heads.try_on_made_up(self.hidden_size(), self.past.as_ref().map_or(0, PastFrames::side))?;
        }
        Ok(PolicyChange::between(&decisions))
    }

    /// Puts a policy that has been [examined](Self::examine) in place of the one in use.
    pub fn swap_policy(&mut self, policy: StagedPolicy) {
        let (heads, model) = policy.into_parts();
        self.heads = heads;
        self.known_prefix = ProjectedPrefix::default();
        if let Some(model) = model {
            self.loader.note_in_use(&model);
            self.frozen.replace_model(model.model);
            // Whatever the old model has seen, the new one sees otherwise.
            self.last_frame = LastFrame::default();
            self.golden = GoldenFrames::default();
            return;
        }
        self.last_frame.forget_heads();
        // It has been examined on the same observations, so it gives numbers.
        self.golden.decide_again(|hidden_states, newest_first| {
            self.heads.decide(&mut self.known_prefix, hidden_states, newest_first)
        });
    }

    /// Puts another policy's heads in place of those in use, however much they change. Nothing changes unless all of it
    /// fits and gives numbers. A folder means the policy that a robot which follows it should have.
    ///
    /// # Errors
    /// Those of [`PolicyLoader::load`] and [`Tuner::examine`].
    pub fn reload_policy(&mut self, policy: &Path) -> Result<PolicyChange, TunerError> {
        let live = if policy.is_dir() { locate_live(policy)? } else { None };
        let stored = live.map_or_else(|| StoredPolicy::open(policy), |located| located.open())?;
        let mut staged = self.policy_loader().load(&stored)?;
        let change = self.examine(&mut staged)?;
        self.swap_policy(staged);
        Ok(change)
    }

    fn attention_map(
        &self,
        extracted: &ExtractedFeature,
        prompt: &TokenizedPrompt,
        image: &ImageTokens,
    ) -> Result<AttentionMap, TunerError> {
        let (rows, cols) = self.frozen.token_grid(image);
        let weights = extracted.attention.iter().copied().skip(prompt.image_start).take(prompt.image_tokens);
        AttentionMap::new(rows, cols, weights.collect()).ok_or_else(|| {
            TunerError::Tensor(candle_core::Error::Msg("the attention does not cover the image tokens".into()))
        })
    }
}
