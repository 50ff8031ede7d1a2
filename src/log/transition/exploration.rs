//! Exploration noise that can be drawn again.

use planner_tuner_core::numbers::{Action, NumbersError};
use planner_tuner_core::random::SplitMix;

/// Gaussian noise on actions. The same seed gives the same noise.
#[derive(Debug, Clone)]
pub struct Exploration {
    standard_deviation: f64,
    random: SplitMix,
}

impl Exploration {
    /// No noise at all.
    pub const NONE: Self = Self { standard_deviation: 0.0, random: SplitMix::new(0) };

    /// Noise of this standard deviation, in units of the action; `None` unless it is finite and at least 0.
    pub fn new(standard_deviation: f64, seed: u64) -> Option<Self> {
        let valid = standard_deviation.is_finite() && standard_deviation >= 0.0;
        valid.then_some(Self { standard_deviation, random: SplitMix::new(seed) })
    }

    /// Draws the noise for an action, and the action with it, cut to [-1, 1].
    ///
    /// # Errors
    /// None for an action: its numbers are finite, and so is the noise.
    pub fn explore(&mut self, action: &Action) -> Result<(Vec<f32>, Action), NumbersError> {
        let noise: Vec<f32> = action.values().iter().map(|_| self.draw()).collect();
        let explored = action.values().iter().zip(&noise).map(|(value, noise)| (value + noise).clamp(-1.0, 1.0));
        let explored = Action::from_values(explored.collect())?;
        Ok((noise, explored))
    }

    fn draw(&mut self) -> f32 {
        if self.standard_deviation == 0.0 { 0.0 } else { (self.random.normal() * self.standard_deviation) as f32 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn noise_has_its_standard_deviation_and_can_be_drawn_again() {
        let action = Action::from_values(vec![0.0; 1000]).unwrap();
        let draw = |seed| Exploration::new(0.1, seed).unwrap().explore(&action).unwrap();
        let (noise, explored) = draw(7);
        assert_eq!((&noise, &explored), (&draw(7).0, &draw(7).1));
        assert_ne!(noise, draw(8).0);
        let square: f64 = noise.iter().map(|noise| f64::from(*noise).powi(2)).sum();
        assert!((0.09..0.11).contains(&(square / 1000.0).sqrt()), "{square}");
    }

    #[test]
    fn the_noise_of_a_seed_is_that_of_earlier_versions() {
        let action = Action::from_values(vec![0.0; 3]).unwrap();
        let (noise, _) = Exploration::new(0.1, 7).unwrap().explore(&action).unwrap();
        assert_eq!(noise, [0.098_847_434, -0.186_425_58, 0.000_392_020_7]);
    }

    #[test]
    fn without_noise_the_action_stays_to_the_bit() {
        let action = Action::from_values(vec![-1.0, -0.0, 0.3]).unwrap();
        let (noise, explored) = Exploration::NONE.clone().explore(&action).unwrap();
        assert_eq!(noise, [0.0; 3]);
        assert_eq!(explored, action);
    }

    #[test]
    fn no_noise_leads_out_of_the_range() {
        let action = Action::from_values(vec![1.0; 100]).unwrap();
        let (_, explored) = Exploration::new(3.0, 1).unwrap().explore(&action).unwrap();
        assert!(explored.values().iter().all(|value| (-1.0..=1.0).contains(value)));
        assert!(Exploration::new(f64::NAN, 1).is_none() && Exploration::new(-0.1, 1).is_none());
    }
}
