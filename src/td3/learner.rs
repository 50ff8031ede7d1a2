//! Everything that learns, and what it remembers from one update to the next.

use candle_core::Result;

use super::learning_actor::LearningActor;
use super::learning_critic::LearningCritic;
use super::optimizer::{Moments, Optimizer};
use super::{
    ActionSpace, Batch, CriticMoments, CriticNumbers, Frozen, Heads, LearnerSettings, Mlp, Random, Skipped, TwinCritic,
    Update,
};

/// Actor, critic, their targets and their optimisers.
///
/// The actor is `tanh(fc(feature))`; what makes the feature is not part of it.
#[derive(Debug, Clone)]
pub struct Learner {
    task: LearningTask,
    actor: LearningActor,
    critic: LearningCritic,
    /// Updates so far, skipped ones included.
    iteration: u64,
}

/// How is learned, and what an action means: the same for all updates.
#[derive(Debug, Clone)]
pub(super) struct LearningTask {
    pub(crate) settings: LearnerSettings,
    pub(crate) space: ActionSpace,
}

impl Learner {
    /// Starts from an actor with fresh critics; the targets begin as copies.
    pub fn new(settings: LearnerSettings, space: ActionSpace, actor: Mlp, random: &mut Random) -> Self {
        let critic = TwinCritic::random(actor.inputs(), actor.outputs(), random);
        Self::from_networks(settings, space, [actor.clone(), actor], [critic.clone(), critic])
    }

    /// Starts from networks and their targets, with fresh optimisers.
    pub fn from_networks(
        settings: LearnerSettings,
        space: ActionSpace,
        actors: [Mlp; 2],
        critics: [TwinCritic; 2],
    ) -> Self {
        let ([actor, actor_target], [critic, critic_target]) = (actors, critics);
        Self {
            task: LearningTask { settings, space },
            actor: LearningActor::new(actor, actor_target),
            critic: LearningCritic::new(critic, critic_target),
            iteration: 0,
        }
    }

    /// Goes on behind so many updates, with the optimisers as they were left.
    #[must_use]
    pub fn after(self, iteration: u64, actor: Optimizer<Moments>, critic: Optimizer<CriticMoments>) -> Self {
        let (actor, critic) = (self.actor.with_optimizer(actor), self.critic.with_optimizer(critic));
        Self { actor, critic, iteration, ..self }
    }

    /// Learns from a batch; `noise` holds a standard normal number for every number of the batch's actions.
    ///
    /// # Errors
    /// When a column of the batch has another length.
    pub fn update(&mut self, batch: &Batch, noise: &[f32]) -> Result<Update> {
        self.update_with(batch, noise, &mut Frozen)
    }

    /// As [`update`](Self::update), with heads that move together with the actor. The batch holds recomputed features.
    ///
    /// # Errors
    /// When a column of the batch has another length; those of the heads.
    pub fn update_with<H: Heads>(
        &mut self,
        batch: &Batch,
        noise: &[f32],
        heads: &mut H,
    ) -> std::result::Result<Update, H::Error> {
        let Self { task, actor, critic, .. } = self;
        self.iteration += 1;
        critic.make_targets(batch, noise, task, actor)?;
        let mut update = critic.step(batch, task)?;
        if update.skipped.is_none() && self.iteration.is_multiple_of(task.settings.update_actor_freq) {
            let actor = actor.step(batch, task, critic.network(), heads)?;
            if !(actor.loss.is_finite() && actor.norm.before.is_finite()) {
                update.skipped = Some(Skipped::Actor);
            }
            update.actor = Some(actor);
        }
        Ok(update)
    }

    /// The actor's layer.
    pub fn actor(&self) -> &Mlp {
        self.actor.network()
    }

    /// The actor that targets are made with.
    pub fn actor_target(&self) -> &Mlp {
        self.actor.target()
    }

    /// What moves the actor, and the heads together with it.
    pub fn actor_optimizer(&self) -> &Optimizer<Moments> {
        self.actor.optimizer()
    }

    /// The critic.
    pub fn critic(&self) -> &TwinCritic {
        self.critic.network()
    }

    /// The critic that targets are made with.
    pub fn critic_target(&self) -> &TwinCritic {
        self.critic.target()
    }

    /// What moves the critic.
    pub fn critic_optimizer(&self) -> &Optimizer<CriticMoments> {
        self.critic.optimizer()
    }

    /// The scales of an action.
    pub fn space(&self) -> &ActionSpace {
        &self.task.space
    }

    /// Updates so far, skipped ones included.
    pub fn iteration(&self) -> u64 {
        self.iteration
    }
}

/// What an update computed on its way: for tests against another implementation.
impl Learner {
    /// Both heads' estimates of the logged actions.
    pub fn estimates(&self) -> [&[f32]; 2] {
        self.critic.estimates()
    }

    /// What they should have been.
    pub fn targets(&self) -> &[f32] {
        self.critic.targets()
    }

    /// Both target heads' estimates of the smoothed next actions.
    pub fn target_estimates(&self) -> [&[f32]; 2] {
        self.critic.target_estimates()
    }

    /// The smoothed next actions as the critic saw them.
    pub fn next_actions(&self) -> &[f32] {
        self.critic.next_actions()
    }

    /// The critic's gradient before it was shortened.
    pub fn critic_gradient(&self) -> &CriticNumbers {
        self.critic.gradient()
    }

    /// The actor's gradient before it was shortened, in the order of its weights.
    pub fn actor_gradient(&self) -> &[f32] {
        self.actor.gradient()
    }
}
