//! The actor, its target and its optimiser: what it says, and a step towards what the critic likes better.

use candle_core::Result;

use super::learner::LearningTask;
use super::mlp::{Activations, Gradients, Mlp};
use super::optimizer::{Moments, Optimizer, clip_factor, follow, square_sum};
use super::{ActorUpdate, Batch, CriticPass, GradientNorm, Heads, TwinCritic};

/// An action beyond this counts as stuck at the end of its range.
const SATURATED: f32 = 0.999;

/// An actor that learns. What is computed on the way is kept, to be looked at and to be written over.
#[derive(Debug, Clone)]
pub(super) struct LearningActor {
    network: Mlp,
    target: Mlp,
    optimizer: Optimizer<Moments>,
    activations: Activations,
    /// Its actions in [-1, 1].
    said: Vec<f32>,
    /// The same as the critic takes them.
    action: Vec<f32>,
    pass: CriticPass,
    action_gradient: Vec<f32>,
    gradient: Vec<f32>,
    /// Of the features, where something in front of them learns.
    feature_gradient: Vec<f32>,
}

impl LearningActor {
    /// With a fresh optimiser.
    pub(super) fn new(network: Mlp, target: Mlp) -> Self {
        let count = network.values().len();
        Self {
            network,
            target,
            optimizer: Optimizer::after(0, Moments::zeros(count)),
            activations: Activations::default(),
            said: Vec::new(),
            action: Vec::new(),
            pass: CriticPass::default(),
            action_gradient: Vec::new(),
            gradient: vec![0.0; count],
            feature_gradient: Vec::new(),
        }
    }

    pub(super) fn with_optimizer(self, optimizer: Optimizer<Moments>) -> Self {
        Self { optimizer, ..self }
    }

    /// What the target says of the batch's next features, in [-1, 1]; written over `action`.
    pub(super) fn next_action(&mut self, batch: &Batch, action: &mut Vec<f32>) -> Result<()> {
        act(&self.target, &batch.next_state, batch.size, &mut self.activations, action)
    }

    /// Moves towards actions that the critic estimates higher, the heads along with it, and the target behind. Nothing
    /// moves where loss or gradient is not finite.
    pub(super) fn step<H: Heads>(
        &mut self,
        batch: &Batch,
        task: &LearningTask,
        critic: &TwinCritic,
        heads: &mut H,
    ) -> std::result::Result<ActorUpdate, H::Error> {
        let LearningTask { settings, space } = task;
        let Self { network, activations, said, action, pass, action_gradient, gradient, feature_gradient, .. } = self;
        let rows = batch.size.max(1);
        act(network, &batch.state, batch.size, activations, said)?;
        action.clone_from(said);
        space.each(action, |axis, said| axis.normalised(axis.parameter(said)));
        critic.evaluate_first(&batch.state, action, batch.size, pass)?;
        let loss = -pass.estimates()[0].iter().copied().map(f64::from).sum::<f64>() / rows as f64;
        let estimate = vec![-1.0 / rows as f32; batch.size];
        critic.action_gradient(action, &estimate, pass, action_gradient)?;
        // Through normalisation, scaling and tanh.
        space.each(action_gradient, |axis, gradient| gradient * axis.slope());
        action_gradient.iter_mut().zip(said.iter()).for_each(|(gradient, said)| *gradient *= 1.0 - said * said);
        feature_gradient.resize(if H::LEARN { batch.state.len() } else { 0 }, 0.0);
        let features = H::LEARN.then_some((0..network.inputs(), feature_gradient.as_mut_slice()));
        network.backward(
            &batch.state,
            activations,
            action_gradient,
            Gradients { weights: Some(gradient), inputs: features },
        )?;

        // One norm over all that one optimiser moves.
        let before = (square_sum(gradient) + heads.pass_on(batch, feature_gradient)?).sqrt();
        let clip = clip_factor(before, settings.max_grad_norm);
        if loss.is_finite() && before.is_finite() {
            let (adam, moments) = self.optimizer.next_step(settings.actor_lr, clip);
            heads.step(adam)?;
            adam.apply(network.values_mut(), gradient, moments);
            follow(self.target.values_mut(), network.values(), settings.tau);
        }
        let saturation = saturation(said, space.len());
        Ok(ActorUpdate { loss, norm: GradientNorm { before, after: before * f64::from(clip) }, saturation })
    }

    pub(super) fn network(&self) -> &Mlp {
        &self.network
    }

    pub(super) fn target(&self) -> &Mlp {
        &self.target
    }

    pub(super) fn optimizer(&self) -> &Optimizer<Moments> {
        &self.optimizer
    }

    /// The gradient of the last step, before it was shortened.
    pub(super) fn gradient(&self) -> &[f32] {
        &self.gradient
    }
}

/// The actor's numbers in [-1, 1] for rows of features.
pub(super) fn act(
    actor: &Mlp,
    feature: &[f32],
    batch: usize,
    activations: &mut Activations,
    action: &mut Vec<f32>,
) -> Result<()> {
    actor.forward(feature, batch, activations)?;
    action.clear();
    action.extend(activations.output().iter().map(|value| value.tanh()));
    Ok(())
}

/// For each parameter the share of rows that are stuck at an end of its range.
fn saturation(actions: &[f32], parameters: usize) -> Vec<f64> {
    let mut counts = vec![0.0; parameters];
    let rows = actions.chunks_exact(parameters.max(1));
    let number = rows.len().max(1) as f64;
    for row in rows {
        counts.iter_mut().zip(row).for_each(|(count, action)| *count += f64::from(u8::from(action.abs() > SATURATED)));
    }
    counts.iter_mut().for_each(|count| *count /= number);
    counts
}
