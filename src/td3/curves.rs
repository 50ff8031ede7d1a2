//! What is drawn of a training: averages over some updates.

use serde::{Deserialize, Serialize};

use super::{ActionSpace, Update};

/// Sums since the last point of the curves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Averages {
    updates: u64,
    skipped: u64,
    /// Critic's loss, estimate, target, norm before and after clipping.
    critic: [f64; 5],
    critic_updates: u64,
    /// Actor's loss, norm before and after clipping.
    actor: [f64; 3],
    actor_updates: u64,
    saturation: Vec<f64>,
}

/// One point of all curves: means over the updates since the point before.
#[derive(Debug, Clone, PartialEq)]
pub struct CurvePoint {
    /// The last update that is in it.
    pub step: u64,
    /// The values in the order of [`curve_names`]; `None` where no update had one.
    pub values: Vec<Option<f64>>,
}

/// The curves that every training has, before those of the parameters.
const NAMES: [&str; 10] = [
    "critic_loss",
    "q",
    "target_q",
    "critic_grad_norm",
    "critic_grad_norm_clipped",
    "actor_loss",
    "actor_grad_norm",
    "actor_grad_norm_clipped",
    "exploration_noise",
    "skipped_updates",
];

/// What comes before a parameter's name in the name of its curve.
pub(super) const SATURATION: &str = "saturation/";

/// The names of the curves: what every training has, then the share of saturated actions of each parameter.
pub fn curve_names(space: &ActionSpace) -> Vec<String> {
    let saturation = space.names().iter().map(|name| format!("{SATURATION}{name}"));
    NAMES.iter().map(|name| (*name).to_owned()).chain(saturation).collect()
}

impl Averages {
    /// Takes an update in.
    pub fn add(&mut self, update: &Update) {
        self.updates += 1;
        self.skipped += u64::from(update.skipped.is_some());
        if update.critic_loss.is_finite() && update.critic_norm.before.is_finite() {
            let norm = update.critic_norm;
            add(&mut self.critic, [update.critic_loss, update.q, update.target, norm.before, norm.after]);
            self.critic_updates += 1;
        }
        if let Some(actor) = update.actor.as_ref().filter(|_| update.skipped.is_none()) {
            add(&mut self.actor, [actor.loss, actor.norm.before, actor.norm.after]);
            self.actor_updates += 1;
            self.saturation.resize(actor.saturation.len(), 0.0);
            self.saturation.iter_mut().zip(&actor.saturation).for_each(|(sum, share)| *sum += share);
        }
    }

    /// Number of updates in it.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The means, and a new start. `parameters` is the number of saturation curves.
    pub fn take(&mut self, step: u64, exploration_noise: f64, parameters: usize) -> CurvePoint {
        let sums = std::mem::take(self);
        let mean = |sum: f64, count: u64| (count > 0).then(|| sum / count as f64);
        let [loss, q, target, before, after] = sums.critic.map(|sum| mean(sum, sums.critic_updates));
        let [actor_loss, actor_before, actor_after] = sums.actor.map(|sum| mean(sum, sums.actor_updates));
        let mut values = vec![loss, q, target, before, after, actor_loss, actor_before, actor_after];
        values.extend([Some(exploration_noise), Some(sums.skipped as f64)]);
        let shares = sums.saturation.iter().map(|sum| mean(*sum, sums.actor_updates));
        values.extend(shares.chain(std::iter::repeat(None)).take(parameters));
        CurvePoint { step, values }
    }
}

fn add<const N: usize>(sums: &mut [f64; N], values: [f64; N]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}
