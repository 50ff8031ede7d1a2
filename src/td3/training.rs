//! Update after update, with what has to be remembered in between.

use serde::{Deserialize, Serialize};

use super::curves::{Averages, CurvePoint};
use super::heads::{HeadTraining, LearningHeads};
use super::{
    ActionSpace, Automatic, Batch, Learner, Mlp, Random, ReplayBuffer, RewardScale, Sampler, Skipped, TrainConfig,
    TrainError, exploration_noise,
};

/// Updates between two points of the curves.
pub(super) const POINT_EVERY: u64 = 50;

/// Skipped updates in a row that end a training.
const MOST_SKIPPED: u32 = 10;

/// A training of the actor's `fc` on logged features, or of `fc` and the heads on what was seen.
#[derive(Debug)]
pub struct Training {
    pub(super) config: TrainConfig,
    pub(super) learner: Learner,
    /// The actor that the training began with.
    pub(super) start: Mlp,
    pub(super) progress: Progress,
    pub(super) sampler: Sampler,
    batch: Batch,
    noise: Vec<f32>,
    pub(super) heads: Option<HeadTraining>,
}

/// What a training remembers besides its networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub(super) random: Random,
    /// What all rewards are multiplied by.
    pub(super) reward_scale: f32,
    /// Updates left out since the start.
    pub(super) skipped: u64,
    /// Left out in a row: of the critic, of the actor.
    pub(super) skipped_in_a_row: [u32; 2],
    pub(super) averages: Averages,
}

/// What learns, as the option `--train` calls it.
pub(super) fn mode(heads_learn: bool) -> &'static str {
    if heads_learn { "heads" } else { "actor" }
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
        let averages = Averages::default();
        let progress = Progress { random, reward_scale, skipped: 0, skipped_in_a_row: [0; 2], averages };
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
        let sampler = Sampler::new(buffer, config.n_step, config.gamma, progress.reward_scale)?;
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
        let Progress { random, skipped, skipped_in_a_row, averages, .. } = &mut self.progress;
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
        averages.add(&update);
        let iteration = self.learner.iteration();

        // The actor's turn comes less often: its count stands still in between.
        let [critic, actor] = skipped_in_a_row;
        *critic = if update.skipped == Some(Skipped::Critic) { *critic + 1 } else { 0 };
        if update.actor.is_some() {
            *actor = if update.skipped == Some(Skipped::Actor) { *actor + 1 } else { 0 };
        }
        *skipped += u64::from(update.skipped.is_some());
        let in_a_row = *critic.max(actor);
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
        let mut averages = self.progress.averages.clone();
        let (step, noise) = (self.iteration(), self.exploration_noise());
        (averages.updates() > 0).then(|| averages.take(step, noise, self.learner.space().len()))
    }

    fn take_point(&mut self) -> CurvePoint {
        let (step, noise) = (self.learner.iteration(), self.exploration_noise());
        self.progress.averages.take(step, noise, self.learner.space().len())
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

    /// What learns, as the option `--train` calls it.
    pub fn mode(&self) -> &'static str {
        mode(self.heads.is_some())
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
        self.progress.skipped
    }

    /// What rewards are multiplied by, for the whole training.
    pub fn reward_scale(&self) -> f32 {
        self.progress.reward_scale
    }

    /// The noise that the current policy is to be driven with.
    pub fn exploration_noise(&self) -> f64 {
        exploration_noise(&self.config, self.iteration())
    }
}
