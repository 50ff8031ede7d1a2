//! Search for numbers that drive well: the cross-entropy method.
//!
//! Candidates are drawn from a normal distribution, drive, and the best of them say where the next ones are drawn from (R. Y.
//! Rubinstein, *The Cross-Entropy Method for Combinatorial and Continuous Optimization*, 1999). Nothing is known about the
//! shape of what is searched, and drives in few worlds are a noisy measure; the method takes both.

use planner_tuner_core::random::Random;

/// Share of the old distribution in the new one, so that one lucky generation does not decide.
const MEMORY: f64 = 0.3;
/// Deviations do not fall below this: a search that believes it is done learns nothing more.
const LEAST_DEVIATION: f64 = 0.02;

/// Where good numbers are believed to lie. All of them run from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossEntropySearch {
    mean: Vec<f64>,
    deviation: Vec<f64>,
    random: Random,
}

/// Numbers that were tried, and what they were worth: more is better.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// From 0 to 1.
    pub numbers: Vec<f64>,
    /// Their score; one that is not finite counts as the worst.
    pub score: f64,
}

impl CrossEntropySearch {
    /// Begins around some numbers from 0 to 1.
    pub fn around(mean: Vec<f64>, deviation: f64, seed: u64) -> Self {
        let deviation = vec![deviation; mean.len()];
        Self { mean, deviation, random: Random::new(seed) }
    }

    /// The middle of what is believed: the answer, once the search is over.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// How wide the search still is, as a mean over all numbers.
    pub fn width(&self) -> f64 {
        self.deviation.iter().sum::<f64>() / self.deviation.len().max(1) as f64
    }

    /// What to try next; the first is [`Self::mean`] itself.
    pub fn candidates(&mut self, count: usize) -> Vec<Vec<f64>> {
        let mut candidates = vec![self.mean.clone()];
        while candidates.len() < count {
            let drawn = self.mean.iter().zip(&self.deviation);
            let random = &mut self.random;
            let numbers =
                drawn.map(|(mean, deviation)| (mean + deviation * f64::from(random.normal())).clamp(0.0, 1.0));
            candidates.push(numbers.collect());
        }
        candidates
    }

    /// Moves to where the best of those that were tried lie.
    pub fn learn(&mut self, mut tried: Vec<Tried>, best: usize) {
        let worth = |tried: &Tried| if tried.score.is_finite() { tried.score } else { f64::NEG_INFINITY };
        tried.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
        tried.truncate(best.max(1));
        let count = tried.len() as f64;
        for (place, (mean, deviation)) in self.mean.iter_mut().zip(&mut self.deviation).enumerate() {
            let numbers = || tried.iter().filter_map(|tried| tried.numbers.get(place));
            let middle = numbers().sum::<f64>() / count;
            let spread = (numbers().map(|number| (number - middle).powi(2)).sum::<f64>() / count).sqrt();
            if count > 0.0 {
                *mean = MEMORY * *mean + (1.0 - MEMORY) * middle;
                *deviation = (MEMORY * *deviation + (1.0 - MEMORY) * spread).max(LEAST_DEVIATION);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Best at 0.3, 0.6, 0.9, …; worst where nothing is known.
    fn score(numbers: &[f64]) -> f64 {
        let wanted = [0.3, 0.6, 0.9];
        -numbers.iter().zip(wanted).map(|(number, wanted)| (number - wanted).powi(2)).sum::<f64>()
    }

    fn searched(seed: u64, noise: f64) -> Vec<f64> {
        let mut search = CrossEntropySearch::around(vec![0.5; 3], 0.3, seed);
        let mut random = Random::new(seed + 1);
        for _ in 0..20 {
            let mut of = |numbers: Vec<f64>| {
                let score = score(&numbers) + noise * f64::from(random.normal());
                Tried { numbers, score }
            };
            let tried = search.candidates(30).into_iter().map(&mut of).collect();
            search.learn(tried, 6);
        }
        search.mean().to_vec()
    }

    #[test]
    fn it_finds_a_peak_with_and_without_noise() {
        for (noise, near) in [(0.0, 1e-3), (0.02, 2e-2)] {
            let found = searched(1, noise);
            assert!(-score(&found) < near, "{noise}: {found:?}");
        }
        assert_eq!(searched(4, 0.1), searched(4, 0.1));
    }

    #[test]
    fn numbers_stay_in_range_and_a_score_that_is_not_a_number_is_the_worst() {
        let mut search = CrossEntropySearch::around(vec![0.0, 1.0], 0.5, 2);
        let candidates = search.candidates(50);
        assert!(candidates.iter().flatten().all(|number| (0.0..=1.0).contains(number)));
        let of =
            |(place, numbers): (usize, Vec<f64>)| Tried { numbers, score: if place == 3 { 1.0 } else { f64::NAN } };
        let wanted = candidates.get(3).cloned().unwrap_or_default();
        search.learn(candidates.into_iter().enumerate().map(of).collect(), 1);
        let expected: Vec<f64> = [0.0, 1.0].iter().zip(&wanted).map(|(old, new)| 0.3 * old + 0.7 * new).collect();
        assert_eq!(search.mean(), expected);
    }
}
