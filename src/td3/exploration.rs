//! How much noise a policy is to be driven with.

use super::TrainConfig;

/// Standard deviation of the exploration noise after some updates, in units of the action: from start to end in a
/// straight line, then the end.
pub fn exploration_noise(config: &TrainConfig, updates: u64) -> f64 {
    let (start, end) = (config.exploration_noise_start, config.exploration_noise_end);
    let share = (updates as f64 / config.exploration_steps.max(1) as f64).min(1.0);
    start + (end - start) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_start_to_end() {
        let config = TrainConfig { exploration_steps: 100, ..TrainConfig::default() };
        let noises = [0, 50, 100, 1000].map(|updates| exploration_noise(&config, updates));
        for (noise, expected) in noises.into_iter().zip([0.1, 0.055, 0.01, 0.01]) {
            assert!((noise - expected).abs() < 1e-12, "{noises:?}");
        }
    }
}
