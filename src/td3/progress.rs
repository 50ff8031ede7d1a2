//! What a training remembers besides its networks.

use serde::{Deserialize, Serialize};

use super::curves::{Averages, CurvePoint};
use super::{Random, Skipped, Update};

/// What a training remembers besides its networks: how far its random numbers are, what it skipped, what the next point of
/// the curves is made of. Saved with the training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    random: Random,
    /// What all rewards are multiplied by.
    reward_scale: f32,
    /// Updates left out since the start.
    skipped: u64,
    /// Left out in a row: of the critic, of the actor.
    skipped_in_a_row: [u32; 2],
    averages: Averages,
}

impl Progress {
    /// At the start.
    pub fn new(random: Random, reward_scale: f32) -> Self {
        Self { random, reward_scale, skipped: 0, skipped_in_a_row: [0; 2], averages: Averages::default() }
    }

    /// Where random numbers come from.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// What rewards are multiplied by, for the whole training.
    pub fn reward_scale(&self) -> f32 {
        self.reward_scale
    }

    /// Updates that were left out because their numbers were none.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Takes an update in. How many have been skipped in a row with it, of the critic or of the actor.
    pub fn count(&mut self, update: &Update) -> u32 {
        self.averages.add(update);
        // The actor's turn comes less often: its count stands still in between.
        let [critic, actor] = &mut self.skipped_in_a_row;
        *critic = if update.skipped == Some(Skipped::Critic) { *critic + 1 } else { 0 };
        if update.actor.is_some() {
            *actor = if update.skipped == Some(Skipped::Actor) { *actor + 1 } else { 0 };
        }
        self.skipped += u64::from(update.skipped.is_some());
        *self.skipped_in_a_row.iter().max().unwrap_or(&0)
    }

    /// The averages since the last point.
    pub fn averages(&self) -> &Averages {
        &self.averages
    }

    /// The point of the updates since the last one, and a new start; see [`Averages::take`].
    pub fn take_point(&mut self, step: u64, exploration_noise: f64, parameters: usize) -> CurvePoint {
        self.averages.take(step, exploration_noise, parameters)
    }
}
