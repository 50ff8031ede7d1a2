//! `config/td3.yaml`: how training learns, under the original's names.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::TrainError;
use planner_tuner_core::planner::nearest_quoted_key;

/// How training learns. The keys are described in `config/td3.yaml`.
///
/// ```
/// use planner_tuner_td3::TrainConfig;
///
/// let config = TrainConfig::from_yaml("n_step: 8", "mine.yaml")?;
/// assert_eq!((config.n_step, config.gamma), (8, 0.99));
/// # Ok::<(), planner_tuner_td3::TrainError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "described in config/td3.yaml, once")]
pub struct TrainConfig {
    pub gamma: f64,
    pub tau: f32,
    pub policy_noise: f32,
    pub noise_clip: f32,
    pub update_actor_freq: u64,
    pub n_step: usize,
    pub actor_lr: f64,
    pub critic_lr: f64,
    pub max_grad_norm: f64,
    pub batch_size: usize,
    pub buffer_size: usize,
    pub max_step: u64,
    pub exploration_noise_start: f64,
    pub exploration_noise_end: f64,
    pub exploration_steps: u64,
    pub reward_scale: RewardScale,
    pub reward_limit: f32,
    pub clamp_next_action: bool,
}

/// What rewards are multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RewardScale {
    /// A number.
    Fixed(f32),
    /// One over the standard deviation of the rewards in the logs, found once.
    Named(Automatic),
}

/// The word `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Automatic {
    /// Found in the logs.
    Auto,
}

/// The part of the settings that an update needs.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "described in config/td3.yaml, once")]
pub struct LearnerSettings {
    pub tau: f32,
    pub policy_noise: f32,
    pub noise_clip: f32,
    pub update_actor_freq: u64,
    pub actor_lr: f64,
    pub critic_lr: f64,
    pub max_grad_norm: f64,
    pub clamp_next_action: bool,
}

/// The original's values; `config/td3.yaml` says the same, key by key.
impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            gamma: 0.99,
            tau: 0.005,
            policy_noise: 0.2,
            noise_clip: 0.5,
            update_actor_freq: 2,
            n_step: 4,
            actor_lr: 2e-5,
            critic_lr: 2e-5,
            max_grad_norm: 0.5,
            batch_size: 128,
            buffer_size: 200_000,
            max_step: 20_000,
            exploration_noise_start: 0.1,
            exploration_noise_end: 0.01,
            exploration_steps: 20_000,
            reward_scale: RewardScale::Named(Automatic::Auto),
            reward_limit: 1000.0,
            clamp_next_action: true,
        }
    }
}

impl TrainConfig {
    /// A file; keys that it leaves out keep the original's values.
    ///
    /// # Errors
    /// [`TrainError::ReadConfig`], and those of [`from_yaml`](Self::from_yaml).
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| TrainError::ReadConfig { path: path.to_owned(), source })?;
        Self::from_yaml(&text, &path.display().to_string())
    }

    /// Settings from YAML text; `file` names it in errors.
    ///
    /// # Errors
    /// [`TrainError::Config`] with line and column, [`TrainError::Setting`] for a value that cannot be.
    pub fn from_yaml(text: &str, file: &str) -> Result<Self, TrainError> {
        // A file without any key is null, not a map.
        let given = serde_yaml::from_str::<Option<Self>>(text).map_err(|problem| {
            let hint = nearest_quoted_key(&problem.to_string());
            TrainError::Config { file: file.to_owned(), problem, hint }
        })?;
        let config = given.unwrap_or_default();
        config.check(file)?;
        Ok(config)
    }

    /// What an update needs of it.
    pub fn learner(&self) -> LearnerSettings {
        LearnerSettings {
            tau: self.tau,
            policy_noise: self.policy_noise,
            noise_clip: self.noise_clip,
            update_actor_freq: self.update_actor_freq,
            actor_lr: self.actor_lr,
            critic_lr: self.critic_lr,
            max_grad_norm: self.max_grad_norm,
            clamp_next_action: self.clamp_next_action,
        }
    }

    fn check(&self, file: &str) -> Result<(), TrainError> {
        let share = "a number from 0 to 1";
        let from_0 = "a finite number from 0";
        let above_0 = "a finite number above 0";
        let (count, noise) = ("a whole number from 1", "a number from 0 to 1");
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let (scale, scale_fits) = match self.reward_scale {
            RewardScale::Fixed(scale) => (scale.to_string(), positive(scale.into())),
            RewardScale::Named(Automatic::Auto) => ("auto".to_owned(), true),
        };
        let [policy_noise, noise_clip] = [self.policy_noise, self.noise_clip].map(f64::from);
        let checks = [
            ("gamma", self.gamma.to_string(), share, (0.0..=1.0).contains(&self.gamma)),
            ("tau", self.tau.to_string(), "a number above 0, up to 1", self.tau > 0.0 && self.tau <= 1.0),
            ("policy_noise", policy_noise.to_string(), from_0, policy_noise == 0.0 || positive(policy_noise)),
            ("noise_clip", noise_clip.to_string(), from_0, noise_clip == 0.0 || positive(noise_clip)),
            ("update_actor_freq", self.update_actor_freq.to_string(), count, self.update_actor_freq > 0),
            ("n_step", self.n_step.to_string(), "a whole number from 1 to 64", (1..=64).contains(&self.n_step)),
            ("actor_lr", self.actor_lr.to_string(), above_0, positive(self.actor_lr)),
            ("critic_lr", self.critic_lr.to_string(), above_0, positive(self.critic_lr)),
            ("max_grad_norm", self.max_grad_norm.to_string(), above_0, positive(self.max_grad_norm)),
            (
                "batch_size",
                self.batch_size.to_string(),
                "a whole number from 1 to 65536",
                (1..=65_536).contains(&self.batch_size),
            ),
            (
                "buffer_size",
                self.buffer_size.to_string(),
                "a whole number from 1 to 10^8",
                (1..=100_000_000).contains(&self.buffer_size),
            ),
            ("max_step", self.max_step.to_string(), count, self.max_step > 0),
            (
                "exploration_noise_start",
                self.exploration_noise_start.to_string(),
                noise,
                (0.0..=1.0).contains(&self.exploration_noise_start),
            ),
            (
                "exploration_noise_end",
                self.exploration_noise_end.to_string(),
                noise,
                (0.0..=1.0).contains(&self.exploration_noise_end),
            ),
            ("exploration_steps", self.exploration_steps.to_string(), count, self.exploration_steps > 0),
            ("reward_scale", scale, "auto, or a finite number above 0", scale_fits),
            ("reward_limit", self.reward_limit.to_string(), above_0, positive(self.reward_limit.into())),
        ];
        match checks.into_iter().find(|(.., fits)| !fits) {
            Some((key, found, expected, _)) => Err(TrainError::Setting { file: file.to_owned(), key, found, expected }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_shipped_file_holds_every_key_with_its_default() {
        let shipped = include_str!("../../config/td3.yaml");
        assert_eq!(TrainConfig::from_yaml(shipped, "config/td3.yaml").unwrap(), TrainConfig::default());
        let keys = serde_json::to_value(TrainConfig::default()).unwrap();
        for key in keys.as_object().unwrap().keys() {
            assert!(shipped.contains(&format!("\n{key}: ")), "{key}");
        }
        assert_eq!(TrainConfig::from_yaml("# nothing", "empty.yaml").unwrap(), TrainConfig::default());
    }

    #[test]
    fn wrong_keys_and_values_are_named() {
        let error = |text: &str| TrainConfig::from_yaml(text, "my.yaml").unwrap_err().to_string();
        let unknown = error("gamma: 0.9\npolicy_nois: 0.3");
        assert!(unknown.starts_with("my.yaml: ") && unknown.contains("line 2"), "{unknown}");
        assert!(unknown.ends_with("; did you mean 'policy_noise'?"), "{unknown}");
        assert_eq!(error("gamma: 1.5"), "my.yaml: gamma is 1.5, expected a number from 0 to 1");
        assert_eq!(error("n_step: 0"), "my.yaml: n_step is 0, expected a whole number from 1 to 64");
        assert_eq!(error("actor_lr: .nan"), "my.yaml: actor_lr is NaN, expected a finite number above 0");
        assert_eq!(error("reward_scale: -1"), "my.yaml: reward_scale is -1, expected auto, or a finite number above 0");
        assert!(error("n_step: many").contains("line 1"), "{}", error("n_step: many"));
        assert!(TrainConfig::from_yaml("reward_scale: 0.01", "my.yaml").is_ok());
    }
}
