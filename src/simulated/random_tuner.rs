//! Parameters at random: what anything that has learned must be better than.

use super::{SimulatedError, tuning_of};
use crate::planner::PlannerSpec;
use crate::random::Random;
use crate::simulation::drive::{Decision, Moment, Tuner};

/// Draws every parameter from its whole range at every decision.
pub struct RandomTuner {
    planner: PlannerSpec,
    random: Random,
}

impl RandomTuner {
    /// A tuner for one drive.
    pub fn new(planner: PlannerSpec, seed: u64) -> Self {
        Self { planner, random: Random::new(seed) }
    }
}

impl Tuner for RandomTuner {
    type Error = SimulatedError;

    fn decide(&mut self, _: &Moment<'_>) -> Result<Option<Decision>, SimulatedError> {
        let mut drawn = || (2.0 * self.random.uniform() - 1.0) as f32;
        let action: Vec<f32> = self.planner.parameters().iter().map(|_| drawn()).collect();
        let tuning = tuning_of(&self.planner.from_action(&action)?)?;
        Ok(Some(Decision { tuning, latency_s: 0.0 }))
    }
}
