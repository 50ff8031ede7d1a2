//! Everything that learns, and what it remembers from one update to the next.

use super::mlp::{Activations, Mlp};
use super::optimizer::{AdamStep, Moments};
use super::{ActionSpace, Batch, CriticNumbers, CriticPass, LearnerSettings, Random, TwinCritic};

/// What makes the features, as far as the actor's optimiser moves it together with the actor's own layer.
///
/// The original's actor owns one feature extractor, which its critic and both targets share. So the actor's loss moves it,
/// by way of the action alone: the critic takes the feature as it is, and its own loss goes no further back. Otherwise
/// the extractor could raise its estimates instead of its actions.
pub trait Heads {
    /// What can go wrong.
    type Error: From<candle_core::Error>;
    /// Whether anything of it learns.
    const LEARN: bool;

    /// Takes the gradient of the batch's features, row by row, back to all that learns. The gradient's sum of squares.
    ///
    /// # Errors
    /// Whatever keeps it from being computed.
    fn pass_on(&mut self, batch: &Batch, of_features: &[f32]) -> Result<f64, Self::Error>;

    /// Moves against the gradient that was last passed on.
    ///
    /// # Errors
    /// When the device refuses.
    fn step(&mut self, adam: AdamStep) -> Result<(), Self::Error>;
}

/// Features that come from the log and do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frozen;

impl Heads for Frozen {
    type Error = candle_core::Error;
    const LEARN: bool = false;

    fn pass_on(&mut self, _: &Batch, _: &[f32]) -> Result<f64, Self::Error> {
        Ok(0.0)
    }

    fn step(&mut self, _: AdamStep) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Actor, critic, their targets and their optimisers.
///
/// The actor is `tanh(fc(feature))`; what makes the feature is not part of it.
#[derive(Debug, Clone)]
pub struct Learner {
    pub(super) settings: LearnerSettings,
    pub(super) space: ActionSpace,
    pub(super) actor: Mlp,
    pub(super) actor_target: Mlp,
    pub(super) critic: TwinCritic,
    pub(super) critic_target: TwinCritic,
    pub(super) actor_optimizer: Optimizer<Moments>,
    pub(super) critic_optimizer: Optimizer<CriticMoments>,
    /// Updates so far, skipped ones included.
    pub(super) iteration: u64,
    pub(super) scratch: Scratch,
}

/// Adam's averages and how often it stepped.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimizer<M> {
    pub(super) steps: u64,
    pub(super) moments: M,
}

/// Adam's averages for the parts of a critic.
#[derive(Debug, Clone, PartialEq)]
pub struct CriticMoments {
    pub(super) encoder: Moments,
    pub(super) heads: [Moments; 2],
}

/// What is computed on the way, kept to be looked at and to be written over.
#[derive(Debug, Clone)]
pub(super) struct Scratch {
    pub(super) actor: Activations,
    pub(super) said: Vec<f32>,
    pub(super) next_action: Vec<f32>,
    pub(super) action: Vec<f32>,
    pub(super) targets: Vec<f32>,
    pub(super) target_pass: CriticPass,
    pub(super) pass: CriticPass,
    pub(super) actor_pass: CriticPass,
    pub(super) estimates: [Vec<f32>; 2],
    pub(super) critic_gradient: CriticNumbers,
    pub(super) action_gradient: Vec<f32>,
    pub(super) actor_gradient: Vec<f32>,
    /// Of the features, where something in front of them learns.
    pub(super) feature_gradient: Vec<f32>,
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
        let moments = |mlp: &Mlp| Moments::zeros(mlp.values().len());
        let critic_moments =
            CriticMoments { encoder: moments(&critic.encoder), heads: critic.heads.each_ref().map(moments) };
        Self {
            actor_optimizer: Optimizer { steps: 0, moments: moments(&actor) },
            critic_optimizer: Optimizer { steps: 0, moments: critic_moments },
            iteration: 0,
            scratch: Scratch::new(&actor, &critic),
            settings,
            space,
            actor,
            actor_target,
            critic,
            critic_target,
        }
    }

    /// The actor's layer.
    pub fn actor(&self) -> &Mlp {
        &self.actor
    }

    /// The actor that targets are made with.
    pub fn actor_target(&self) -> &Mlp {
        &self.actor_target
    }

    /// The critic.
    pub fn critic(&self) -> &TwinCritic {
        &self.critic
    }

    /// The critic that targets are made with.
    pub fn critic_target(&self) -> &TwinCritic {
        &self.critic_target
    }

    /// The scales of an action.
    pub fn space(&self) -> &ActionSpace {
        &self.space
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
        self.scratch.pass.estimates()
    }

    /// What they should have been.
    pub fn targets(&self) -> &[f32] {
        &self.scratch.targets
    }

    /// Both target heads' estimates of the smoothed next actions.
    pub fn target_estimates(&self) -> [&[f32]; 2] {
        self.scratch.target_pass.estimates()
    }

    /// The smoothed next actions as the critic saw them.
    pub fn next_actions(&self) -> &[f32] {
        &self.scratch.next_action
    }

    /// The critic's gradient before it was shortened.
    pub fn critic_gradient(&self) -> &CriticNumbers {
        &self.scratch.critic_gradient
    }

    /// The actor's gradient before it was shortened, in the order of its weights.
    pub fn actor_gradient(&self) -> &[f32] {
        &self.scratch.actor_gradient
    }
}

impl Scratch {
    fn new(actor: &Mlp, critic: &TwinCritic) -> Self {
        Self {
            actor: Activations::default(),
            said: Vec::new(),
            next_action: Vec::new(),
            action: Vec::new(),
            targets: Vec::new(),
            target_pass: CriticPass::default(),
            pass: CriticPass::default(),
            actor_pass: CriticPass::default(),
            estimates: [Vec::new(), Vec::new()],
            critic_gradient: critic.numbers(),
            action_gradient: Vec::new(),
            actor_gradient: vec![0.0; actor.values().len()],
            feature_gradient: Vec::new(),
        }
    }
}
