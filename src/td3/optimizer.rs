//! Adam, with a state that can be written down and taken up again to the last bit.

/// How averages fade, and what keeps a division from 0: Adam's own defaults, as in the original.
const BETA: (f64, f64) = (0.9, 0.999);
const EPSILON: f32 = 1e-8;

/// Adam's running averages for a row of weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Of the gradient.
    pub first: Vec<f32>,
    /// Of its square.
    pub second: Vec<f32>,
}

/// Adam's averages for the weights of a network, and how often they were stepped.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimizer<M> {
    steps: u64,
    moments: M,
}

impl<M> Optimizer<M> {
    /// Goes on behind `steps` steps that gave these averages: 0 steps and zeros are a fresh start.
    pub fn after(steps: u64, moments: M) -> Self {
        Self { steps, moments }
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The averages.
    pub fn moments(&self) -> &M {
        &self.moments
    }

    /// Counts the next step, at a learning rate, the gradient times `clip`. Its sizes, and the averages it has to update.
    pub fn next_step(&mut self, learning_rate: f64, clip: f32) -> (AdamStep, &mut M) {
        self.steps += 1;
        (AdamStep::new(learning_rate, self.steps, clip), &mut self.moments)
    }
}

/// The sizes of a step, which depend on how many were taken before.
#[derive(Debug, Clone, Copy)]
pub struct AdamStep {
    learning_rate: f64,
    rate: f32,
    root: f32,
    clip: f32,
}

impl AdamStep {
    /// Step number `step`, from 1, at a learning rate, the gradient times `clip`.
    pub fn new(learning_rate: f64, step: u64, clip: f32) -> Self {
        let faded = |beta: f64| 1.0 - beta.powf(step as f64);
        let rate = (learning_rate / faded(BETA.0)) as f32;
        Self { learning_rate, rate, root: faded(BETA.1).sqrt() as f32, clip }
    }

    /// The learning rate.
    pub fn learning_rate(self) -> f64 {
        self.learning_rate
    }

    /// What the gradient is multiplied by.
    pub fn clip(self) -> f32 {
        self.clip
    }

    /// Moves the weights against their gradient.
    pub fn apply(self, weights: &mut [f32], gradient: &[f32], moments: &mut Moments) {
        self.apply_with(weights, gradient, &mut moments.first, &mut moments.second);
    }

    /// As [`apply`](Self::apply), with the averages of the gradient and of its square side by side.
    pub fn apply_with(self, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        let (taken, kept, added) = ((1.0 - BETA.0) as f32, BETA.1 as f32, (1.0 - BETA.1) as f32);
        let averages = first.iter_mut().zip(second);
        for ((weight, gradient), (first, second)) in weights.iter_mut().zip(gradient).zip(averages) {
            let gradient = gradient * self.clip;
            *first += (gradient - *first) * taken;
            *second = *second * kept + gradient * gradient * added;
            *weight -= self.rate * *first / (second.sqrt() / self.root + EPSILON);
        }
    }
}

impl Moments {
    /// For `count` weights that have not moved yet.
    pub fn zeros(count: usize) -> Self {
        Self { first: vec![0.0; count], second: vec![0.0; count] }
    }
}

/// Sum of squares, in double precision.
pub fn square_sum(values: &[f32]) -> f64 {
    // Eight sums side by side, which the processor can keep apart; always the same eight.
    let mut sums = [0.0_f64; 8];
    let chunks = values.chunks_exact(8);
    for value in chunks.remainder() {
        sums[0] += f64::from(*value) * f64::from(*value);
    }
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += f64::from(*value) * f64::from(*value));
    }
    sums.iter().sum()
}

/// The factor that brings a gradient's norm down to `limit`; 1 where it is below.
pub fn clip_factor(norm: f64, limit: f64) -> f32 {
    (limit / (norm + 1e-6)).min(1.0) as f32
}

/// Moves a target's weights by the share `tau` towards the weights.
pub fn follow(target: &mut [f32], weights: &[f32], tau: f32) {
    target.iter_mut().zip(weights).for_each(|(target, weight)| *target = tau * weight + (1.0 - tau) * *target);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn the_first_steps_are_as_long_as_the_learning_rate() {
        let (mut weights, mut moments) = (vec![1.0, -2.0, 0.5], Moments::zeros(3));
        for step in 1..=3 {
            AdamStep::new(0.01, step, 1.0).apply(&mut weights, &[0.3, -40.0, 0.0], &mut moments);
        }
        assert!((weights[0] - 0.97).abs() < 1e-5 && (weights[1] + 1.97).abs() < 1e-5, "{weights:?}");
        assert_eq!(weights[2], 0.5);
    }

    #[test]
    fn long_gradients_are_shortened_and_short_ones_left_alone() {
        let gradient = [3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 12.0];
        let norm = square_sum(&gradient).sqrt();
        assert_eq!(norm, 13.0);
        assert!((f64::from(clip_factor(norm, 0.5)) * norm - 0.5).abs() < 1e-6);
        assert_eq!(clip_factor(0.1, 0.5), 1.0);
    }

    #[test]
    fn a_target_follows() {
        let mut target = [0.0, 1.0];
        follow(&mut target, &[1.0, 1.0], 0.25);
        assert_eq!(target, [0.25, 1.0]);
    }
}
