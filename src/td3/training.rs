//! Update after update, with what has to be remembered in between.

use super::curves::CurvePoint;
use super::heads::{HeadTraining, LearningHeads, LearningView};
use super::{
    ActionSpace, Automatic, Batch, Learner, Learns, Mlp, Progress, Random, ReplayBuffer, RewardScale, Sampler,
    TrainConfig, TrainError, exploration_noise,
};

/// Updates between two points of the curves.
pub(super) const POINT_EVERY: u64 = 50;

/// Skipped updates in a row that end a training.
const MOST_SKIPPED: u32 = 10;

/// A training of the actor's `fc` on logged features, or of `fc` and the heads on what was seen.
#[derive(Debug)]
pub struct Training {
    config: TrainConfig,
    learner: Learner,
    /// The actor that the training began with.
    start: Mlp,
    progress: Progress,
    sampler: Sampler,
    batch: Batch,
    noise: Vec<f32>,
    heads: Option<HeadTraining>,
}

impl Training {
    /// Begins with an actor and fresh critics.
    ///
    /// # Errors
    /// [`TrainError::NothingToLearn`] when the buffer has no window.
    pub fn start(
        config: TrainConfig,
        space: ActionSpace,
        actor: Mlp,
        buffer: ReplayBuffer,
        seed: u64,
    ) -> Result<Self, TrainError> {
        let mut random = Random::new(seed);
        let reward_scale = match config.reward_scale {
            RewardScale::Fixed(scale) => scale,
            RewardScale::Named(Automatic::Auto) => buffer.reward_deviation().map_or(1.0, |std| (1.0 / std) as f32),
        };
        let learner = Learner::new(config.learner(), space, actor.clone(), &mut random);
        let progress = Progress::new(random, reward_scale);
        Self::go_on(config, learner, actor, progress, buffer)
    }

    /// Goes on from what was saved.
    ///
    /// # Errors
    /// [`TrainError::NothingToLearn`] when the buffer has no window.
    pub(super) fn go_on(
        config: TrainConfig,
        learner: Learner,
        start: Mlp,
        progress: Progress,
        buffer: ReplayBuffer,
    ) -> Result<Self, TrainError> {
        let sampler = Sampler::new(buffer, config.n_step, config.gamma, progress.reward_scale())?;
        Ok(Self { config, learner, start, progress, sampler, batch: Batch::default(), noise: Vec::new(), heads: None })
    }

    /// Lets heads learn, too, if they are to. Features are then computed from what was seen; those of the log are never learned from.
    #[must_use]
    pub fn with_heads(self, heads: Option<HeadTraining>) -> Self {
        Self { heads, ..self }
    }

    /// One update; every fifty, a point of the curves.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] when ten in a row gave no numbers, [`TrainError::Tensor`].
    pub fn step(&mut self) -> Result<Option<CurvePoint>, TrainError> {
        let random = self.progress.random();
        self.sampler.draw(self.config.batch_size, random, &mut self.batch);
        self.noise.clear();
        self.noise.extend((0..self.batch.action.len()).map(|_| random.normal()));
        let update = match &mut self.heads {
            None => self.learner.update(&self.batch, &self.noise)?,
            Some(heads) => {
                heads.refresh(&mut self.batch)?;
                self.learner.update_with(&self.batch, &self.noise, heads)?
            }
        };
        let in_a_row = self.progress.count(&update);
        let iteration = self.learner.iteration();
        if let Some(whose) = update.skipped {
            log::warn!("update {iteration} is skipped: the {whose} has a loss or gradient that is not finite");
        }
        if in_a_row >= MOST_SKIPPED {
            return Err(TrainError::Diverged { skipped: in_a_row, iteration });
        }
        let is_due = self.learner.iteration().is_multiple_of(POINT_EVERY);
        Ok(is_due.then(|| self.take_point()))
    }

    /// The point of the updates behind the last one, where there are any: what a training ends with that stops between two
    /// points. Going on is not changed by it, these updates are in the next regular point, too.
    pub fn pending_point(&self) -> Option<CurvePoint> {
        let mut averages = self.progress.averages().clone();
        let (step, noise) = (self.iteration(), self.exploration_noise());
        (averages.updates() > 0).then(|| averages.take(step, noise, self.learner.space().len()))
    }

    fn take_point(&mut self) -> CurvePoint {
        let (step, noise) = (self.learner.iteration(), self.exploration_noise());
        self.progress.take_point(step, noise, self.learner.space().len())
    }

    /// The settings.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Actor, critic and their targets.
    pub fn learner(&self) -> &Learner {
        &self.learner
    }

    /// The heads, where they learn.
    pub fn heads(&self) -> Option<&LearningHeads> {
        self.heads.as_ref().map(HeadTraining::heads)
    }

    /// The heads with their optimiser, where they learn.
    pub(super) fn head_training(&self) -> Option<&HeadTraining> {
        self.heads.as_ref()
    }

    /// What it remembers besides its networks.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Features of evenly spread steps under the heads of the start and those of now, where heads learn.
    ///
    /// # Errors
    /// When an observation cannot be seen.
    pub(super) fn old_and_new_features(&mut self) -> Result<Option<[Vec<f32>; 2]>, TrainError> {
        self.heads.as_mut().map(HeadTraining::old_and_new).transpose()
    }

    /// What learns.
    pub fn learns(&self) -> Learns {
        self.heads.as_ref().map_or(Learns::Actor, HeadTraining::mode)
    }

    /// The model with its LoRA, where that learns.
    pub fn view(&self) -> Option<&LearningView> {
        self.heads.as_ref().and_then(HeadTraining::view)
    }

    /// The actor that the training began with.
    pub fn start_actor(&self) -> &Mlp {
        &self.start
    }

    /// What is learned from.
    pub fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// Updates so far.
    pub fn iteration(&self) -> u64 {
        self.learner.iteration()
    }

    /// Updates that were left out because their numbers were none.
    pub fn skipped(&self) -> u64 {
        self.progress.skipped()
    }

    /// What rewards are multiplied by, for the whole training.
    pub fn reward_scale(&self) -> f32 {
        self.progress.reward_scale()
    }

    /// The noise that the current policy is to be driven with.
    pub fn exploration_noise(&self) -> f64 {
        exploration_noise(&self.config, self.iteration())
    }
}
