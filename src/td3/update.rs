//! One update: the target, the critic's step, and every other time the actor's.

use candle_core::Result;

use super::learner::{CriticMoments, Frozen, Heads, Scratch};
use super::mlp::{Activations, Mlp};
use super::optimizer::{AdamStep, Moments, clip_factor, follow, square_sum};
use super::{Batch, Learner};

/// An action beyond this counts as stuck at the end of its range.
const SATURATED: f32 = 0.999;

/// Length of a gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradientNorm {
    /// As computed.
    pub before: f64,
    /// As used.
    pub after: f64,
}

/// What an update did.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Sum of both heads' mean squared errors.
    pub critic_loss: f64,
    /// Mean of the first head's estimates.
    pub q: f64,
    /// Mean of what they should have been.
    pub target: f64,
    /// Of the critic's step.
    pub critic_norm: GradientNorm,
    /// The actor's step, where it was its turn.
    pub actor: Option<ActorUpdate>,
    /// The step that was left out because it is not finite.
    pub skipped: Option<Skipped>,
}

/// What the actor's step did.
#[derive(Debug, Clone, PartialEq)]
pub struct ActorUpdate {
    /// Minus the mean estimate of the actor's own actions.
    pub loss: f64,
    /// Of the actor's step.
    pub norm: GradientNorm,
    /// For each parameter the share of the batch whose action is stuck at an end of its range.
    pub saturation: Vec<f64>,
}

/// A quantity that is NaN or infinite; the weights stay as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// Loss or gradient of the critic; neither network moved.
    Critic,
    /// Loss or gradient of the actor; the critic moved.
    Actor,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Critic => "critic",
            Self::Actor => "actor",
        })
    }
}

impl Learner {
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
        self.iteration += 1;
        self.make_targets(batch, noise)?;
        let mut update = self.step_critic(batch)?;
        if update.skipped.is_none() && self.iteration.is_multiple_of(self.settings.update_actor_freq) {
            let actor = self.step_actor(batch, heads)?;
            if !(actor.loss.is_finite() && actor.norm.before.is_finite()) {
                update.skipped = Some(Skipped::Actor);
            }
            update.actor = Some(actor);
        }
        Ok(update)
    }

    /// What the estimates should be: the rewards of the window and the value of what comes after it.
    fn make_targets(&mut self, batch: &Batch, noise: &[f32]) -> Result<()> {
        let Self { space, settings, scratch, .. } = self;
        let Scratch { actor, next_action, target_pass, targets, .. } = scratch;
        act(&self.actor_target, &batch.next_state, batch.size, actor, next_action)?;
        let clip = settings.noise_clip;
        for (row, noise) in next_action.chunks_exact_mut(space.len().max(1)).zip(noise.chunks_exact(space.len().max(1)))
        {
            for ((value, noise), axis) in row.iter_mut().zip(noise).zip(space.axes()) {
                let smoothed = axis.parameter(*value) + (noise * settings.policy_noise * axis.std).clamp(-clip, clip);
                let inside = if settings.clamp_next_action { smoothed.clamp(axis.low, axis.high) } else { smoothed };
                *value = axis.normalised(inside);
            }
        }
        self.critic_target.evaluate(&batch.next_state, next_action, batch.size, target_pass)?;
        let [q1, q2] = target_pass.estimates();
        let windows = batch.reward.iter().zip(&batch.not_done).zip(&batch.discount);
        targets.clear();
        targets.extend(q1.iter().zip(q2).zip(windows).map(|((q1, q2), ((reward, not_done), discount))| {
            // Nothing is added where nothing follows, whatever the estimate says of an observation that is not there.
            reward + if *not_done == 0.0 { 0.0 } else { not_done * discount * least(*q1, *q2) }
        }));
        Ok(())
    }

    fn step_critic(&mut self, batch: &Batch) -> Result<Update> {
        let Self { space, settings, scratch, critic, critic_target, critic_optimizer, .. } = self;
        let Scratch { action, pass, targets, estimates, critic_gradient: gradient, .. } = scratch;
        action.clone_from(&batch.action);
        space.each(action, |axis, parameter| axis.normalised(parameter));
        critic.evaluate(&batch.state, action, batch.size, pass)?;
        let rows = batch.size.max(1) as f64;
        let mut critic_loss = 0.0;
        for (of_head, q) in estimates.iter_mut().zip(pass.estimates()) {
            of_head.clear();
            of_head.extend(q.iter().zip(targets.iter()).map(|(q, target)| q - target));
            critic_loss += of_head.iter().map(|error| f64::from(*error) * f64::from(*error)).sum::<f64>() / rows;
            of_head.iter_mut().for_each(|error| *error *= (2.0 / rows) as f32);
        }
        let mean = |values: &[f32]| values.iter().copied().map(f64::from).sum::<f64>() / rows;
        let (q, target) = (mean(pass.estimates()[0]), mean(targets));
        critic.weight_gradient(action, estimates.each_ref().map(Vec::as_slice), pass, gradient)?;
        let [first, second] = gradient.heads.each_ref();
        let (first, second) = rayon::join(|| square_sum(first), || square_sum(second));
        let before = (square_sum(&gradient.encoder) + first + second).sqrt();
        let clip = clip_factor(before, settings.max_grad_norm);
        let critic_norm = GradientNorm { before, after: before * f64::from(clip) };
        let finite = critic_loss.is_finite() && before.is_finite();
        if finite {
            critic_optimizer.steps += 1;
            let adam = AdamStep::new(settings.critic_lr, critic_optimizer.steps, clip);
            let CriticMoments { encoder, heads: [first, second] } = &mut critic_optimizer.moments;
            let tau = settings.tau;
            let step = |mlp: &mut Mlp, target: &mut Mlp, gradient: &[f32], moments: &mut Moments| {
                adam.apply(mlp.values_mut(), gradient, moments);
                follow(target.values_mut(), mlp.values(), tau);
            };
            step(&mut critic.encoder, &mut critic_target.encoder, &gradient.encoder, encoder);
            let ([q1, q2], [target1, target2], [of_q1, of_q2]) =
                (&mut critic.heads, &mut critic_target.heads, &gradient.heads);
            rayon::join(|| step(q1, target1, of_q1, first), || step(q2, target2, of_q2, second));
        }
        let skipped = (!finite).then_some(Skipped::Critic);
        Ok(Update { critic_loss, q, target, critic_norm, actor: None, skipped })
    }

    fn step_actor<H: Heads>(&mut self, batch: &Batch, heads: &mut H) -> std::result::Result<ActorUpdate, H::Error> {
        let Self { space, settings, scratch, actor, actor_target, actor_optimizer, critic, .. } = self;
        let Scratch { actor: activations, said, action, actor_pass: pass, .. } = scratch;
        let Scratch { action_gradient, actor_gradient, feature_gradient, .. } = scratch;
        let rows = batch.size.max(1);
        act(actor, &batch.state, batch.size, activations, said)?;
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
        let features = H::LEARN.then_some((0..actor.inputs(), feature_gradient.as_mut_slice()));
        actor.backward(&batch.state, activations, action_gradient, Some(actor_gradient), features)?;

        // One norm over all that one optimiser moves.
        let before = (square_sum(actor_gradient) + heads.pass_on(batch, feature_gradient)?).sqrt();
        let clip = clip_factor(before, settings.max_grad_norm);
        if loss.is_finite() && before.is_finite() {
            actor_optimizer.steps += 1;
            let adam = AdamStep::new(settings.actor_lr, actor_optimizer.steps, clip);
            heads.step(adam)?;
            adam.apply(actor.values_mut(), actor_gradient, &mut actor_optimizer.moments);
            follow(actor_target.values_mut(), actor.values(), settings.tau);
        }
        let saturation = saturation(said, space.len());
        Ok(ActorUpdate { loss, norm: GradientNorm { before, after: before * f64::from(clip) }, saturation })
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

/// The smaller one; NaN where either is, so that it is seen.
fn least(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() { f32::NAN } else { a.min(b) }
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
