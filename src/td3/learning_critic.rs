//! The critic, its target and its optimiser: what an estimate should be, and a step towards it.

use candle_core::Result;

use super::learner::LearningTask;
use super::learning_actor::LearningActor;
use super::optimizer::{Optimizer, clip_factor};
use super::{Batch, CriticMoments, CriticNumbers, CriticPass, GradientNorm, Skipped, TwinCritic, Update};

/// A critic that learns. What is computed on the way is kept, to be looked at and to be written over.
#[derive(Debug, Clone)]
pub(super) struct LearningCritic {
    network: TwinCritic,
    target: TwinCritic,
    optimizer: Optimizer<CriticMoments>,
    next_action: Vec<f32>,
    target_pass: CriticPass,
    targets: Vec<f32>,
    action: Vec<f32>,
    pass: CriticPass,
    /// Of both estimates.
    errors: [Vec<f32>; 2],
    gradient: CriticNumbers,
}

impl LearningCritic {
    /// With a fresh optimiser.
    pub(super) fn new(network: TwinCritic, target: TwinCritic) -> Self {
        let moments = CriticMoments::new(network.numbers(), network.numbers());
        Self {
            optimizer: Optimizer::after(0, moments),
            next_action: Vec::new(),
            target_pass: CriticPass::default(),
            targets: Vec::new(),
            action: Vec::new(),
            pass: CriticPass::default(),
            errors: [Vec::new(), Vec::new()],
            gradient: network.numbers(),
            network,
            target,
        }
    }

    pub(super) fn with_optimizer(self, optimizer: Optimizer<CriticMoments>) -> Self {
        Self { optimizer, ..self }
    }

    /// What the estimates should be: the rewards of the window and the value of what comes after it.
    pub(super) fn make_targets(
        &mut self,
        batch: &Batch,
        noise: &[f32],
        task: &LearningTask,
        actor: &mut LearningActor,
    ) -> Result<()> {
        let LearningTask { settings, space } = task;
        let Self { next_action, target_pass, targets, .. } = self;
        actor.next_action(batch, next_action)?;
        let clip = settings.noise_clip;
        for (row, noise) in next_action.chunks_exact_mut(space.len().max(1)).zip(noise.chunks_exact(space.len().max(1)))
        {
            for ((value, noise), axis) in row.iter_mut().zip(noise).zip(space.axes()) {
                let smoothed = axis.parameter(*value) + (noise * settings.policy_noise * axis.std).clamp(-clip, clip);
                let inside = if settings.clamp_next_action { smoothed.clamp(axis.low, axis.high) } else { smoothed };
                *value = axis.normalised(inside);
            }
        }
        self.target.evaluate(&batch.next_state, next_action, batch.size, target_pass)?;
        let [q1, q2] = target_pass.estimates();
        let windows = batch.reward.iter().zip(&batch.not_done).zip(&batch.discount);
        targets.clear();
        targets.extend(q1.iter().zip(q2).zip(windows).map(|((q1, q2), ((reward, not_done), discount))| {
            // Nothing is added where nothing follows, whatever the estimate says of an observation that is not there.
            reward + if *not_done == 0.0 { 0.0 } else { not_done * discount * least(*q1, *q2) }
        }));
        Ok(())
    }

    /// Moves both estimates towards the targets that were made, and the target network behind them. Nothing moves where
    /// loss or gradient is not finite.
    pub(super) fn step(&mut self, batch: &Batch, task: &LearningTask) -> Result<Update> {
        let LearningTask { settings, space } = task;
        let Self { network, action, pass, targets, errors, gradient, .. } = self;
        action.clone_from(&batch.action);
        space.each(action, |axis, parameter| axis.normalised(parameter));
        network.evaluate(&batch.state, action, batch.size, pass)?;
        let rows = batch.size.max(1) as f64;
        let mut critic_loss = 0.0;
        for (of_head, q) in errors.iter_mut().zip(pass.estimates()) {
            of_head.clear();
            of_head.extend(q.iter().zip(targets.iter()).map(|(q, target)| q - target));
            critic_loss += of_head.iter().map(|error| f64::from(*error) * f64::from(*error)).sum::<f64>() / rows;
            of_head.iter_mut().for_each(|error| *error *= (2.0 / rows) as f32);
        }
        let mean = |values: &[f32]| values.iter().copied().map(f64::from).sum::<f64>() / rows;
        let (q, target) = (mean(pass.estimates()[0]), mean(targets));
        network.weight_gradient(action, errors.each_ref().map(Vec::as_slice), pass, gradient)?;
        let before = gradient.square_sum().sqrt();
        let clip = clip_factor(before, settings.max_grad_norm);
        let critic_norm = GradientNorm { before, after: before * f64::from(clip) };
        let finite = critic_loss.is_finite() && before.is_finite();
        if finite {
            let (adam, moments) = self.optimizer.next_step(settings.critic_lr, clip);
            network.descend(adam, gradient, moments);
            self.target.follow(network, settings.tau);
        }
        let skipped = (!finite).then_some(Skipped::Critic);
        Ok(Update { critic_loss, q, target, critic_norm, actor: None, skipped })
    }

    pub(super) fn network(&self) -> &TwinCritic {
        &self.network
    }

    pub(super) fn target(&self) -> &TwinCritic {
        &self.target
    }

    pub(super) fn optimizer(&self) -> &Optimizer<CriticMoments> {
        &self.optimizer
    }

    /// Both estimates of the logged actions, at the last step.
    pub(super) fn estimates(&self) -> [&[f32]; 2] {
        self.pass.estimates()
    }

    /// What they should have been.
    pub(super) fn targets(&self) -> &[f32] {
        &self.targets
    }

    /// The target network's estimates of the smoothed next actions.
    pub(super) fn target_estimates(&self) -> [&[f32]; 2] {
        self.target_pass.estimates()
    }

    /// The smoothed next actions, normalised.
    pub(super) fn next_actions(&self) -> &[f32] {
        &self.next_action
    }

    /// The gradient of the last step, before it was shortened.
    pub(super) fn gradient(&self) -> &CriticNumbers {
        &self.gradient
    }
}

/// The smaller one; NaN where either is, so that it is seen.
fn least(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() { f32::NAN } else { a.min(b) }
}
