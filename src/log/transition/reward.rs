//! From terms and weights to a reward.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RewardTerms;
use planner_tuner_core::planner::nearest_quoted_key;

/// The weights of `config/reward.yaml`, which explains them. Finite by construction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RewardFile")]
pub struct RewardWeights {
    slack_reward: f64,
    progress_reward: f64,
    failure_reward: f64,
    success_reward: f64,
    collision_reward: f64,
    collision_distance: f64,
    bound: f64,
}

/// The keys of the file; what is left out is as in the built-in one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RewardFile {
    slack_reward: Option<f64>,
    progress_reward: Option<f64>,
    failure_reward: Option<f64>,
    success_reward: Option<f64>,
    collision_reward: Option<f64>,
    collision_distance: Option<f64>,
    bound: Option<f64>,
}

/// Why weights were refused.
#[derive(Debug, thiserror::Error)]
pub enum RewardError {
    /// The file cannot be read.
    #[error("reward file {path}: {source}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not what config/reward.yaml shows.
    #[error("reward file {file}: {problem}{hint}")]
    Invalid {
        /// The file.
        file: String,
        /// Where (line and column) and what.
        problem: serde_yaml::Error,
        /// The nearest known key as a half-sentence, or nothing.
        hint: String,
    },
}

/// Why a weight was refused. serde puts it into words of its own error, with line and column.
#[derive(Debug, thiserror::Error)]
enum WeightError {
    #[error("{key} is {value}, expected a number within ±{LARGEST}")]
    Magnitude { key: &'static str, value: f64 },
    #[error("{key} is {value}, expected a number above 0 and up to {LARGEST}")]
    NotPositive { key: &'static str, value: f64 },
}

impl RewardWeights {
    /// Weights from a file. Keys that it leaves out have their built-in values.
    ///
    /// # Errors
    /// [`RewardError`] for a file that cannot be read, an unknown or repeated key, a number that is not finite.
    pub fn load(path: &Path) -> Result<Self, RewardError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| RewardError::Read { path: path.to_owned(), source })?;
        Self::from_yaml(&text, &path.display().to_string())
    }

    /// Weights from YAML text; `file` names it in errors.
    ///
    /// # Errors
    /// [`RewardError::Invalid`].
    pub fn from_yaml(text: &str, file: &str) -> Result<Self, RewardError> {
        serde_yaml::from_str(text).map_err(|problem: serde_yaml::Error| {
            let hint = nearest_quoted_key(&problem.to_string());
            RewardError::Invalid { file: file.to_owned(), problem, hint }
        })
    }

    /// No reward may lie beyond plus or minus this.
    pub fn bound(&self) -> f64 {
        self.bound
    }

    /// What a step is worth.
    pub fn reward(&self, terms: &RewardTerms) -> f32 {
        let progress = terms.progress_m.map_or(0.0, |metres| metres * self.progress_reward);
        let failure = if terms.collision || terms.time_out { self.failure_reward } else { 0.0 };
        let success = if terms.success { self.success_reward } else { 0.0 };
        let near = terms.nearest_laser_m.filter(|distance| *distance < self.collision_distance);
        let near_collision =
            near.map_or(0.0, |distance| self.collision_reward * (1.0 - distance / self.collision_distance).powi(2));
        (self.slack_reward + progress + failure + success + near_collision) as f32
    }
}

impl Default for RewardWeights {
    /// As in the built-in file; a test holds the two together.
    fn default() -> Self {
        Self {
            slack_reward: -1.0,
            progress_reward: 10.0,
            failure_reward: -50.0,
            success_reward: 0.0,
            collision_reward: 0.0,
            collision_distance: 0.05,
            bound: 1000.0,
        }
    }
}

impl TryFrom<RewardFile> for RewardWeights {
    type Error = WeightError;

    fn try_from(file: RewardFile) -> Result<Self, WeightError> {
        let built_in = Self::default();
        let weights = Self {
            slack_reward: file.slack_reward.unwrap_or(built_in.slack_reward),
            progress_reward: file.progress_reward.unwrap_or(built_in.progress_reward),
            failure_reward: file.failure_reward.unwrap_or(built_in.failure_reward),
            success_reward: file.success_reward.unwrap_or(built_in.success_reward),
            collision_reward: file.collision_reward.unwrap_or(built_in.collision_reward),
            collision_distance: file.collision_distance.unwrap_or(built_in.collision_distance),
            bound: file.bound.unwrap_or(built_in.bound),
        };
        let numbers = [
            ("slack_reward", weights.slack_reward),
            ("progress_reward", weights.progress_reward),
            ("failure_reward", weights.failure_reward),
            ("success_reward", weights.success_reward),
            ("collision_reward", weights.collision_reward),
        ];
        let absurd = numbers.into_iter().find(|(_, value)| !(-LARGEST..=LARGEST).contains(value));
        if let Some((key, value)) = absurd {
            return Err(WeightError::Magnitude { key, value });
        }
        for (key, value) in [("collision_distance", weights.collision_distance), ("bound", weights.bound)] {
            if !(value > 0.0 && value <= LARGEST) {
                return Err(WeightError::NotPositive { key, value });
            }
        }
        Ok(weights)
    }
}

/// Largest accepted magnitude: far above any weight, low enough that sums of them stay finite in single precision.
const LARGEST: f64 = 1e9;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_built_in_weights_are_those_of_the_file() {
        let file = include_str!("../../../config/reward.yaml");
        assert_eq!(RewardWeights::from_yaml(file, "config/reward.yaml").unwrap(), RewardWeights::default());
        assert_eq!(file.matches("\nbound").count(), 1, "every key is written down");
    }

    #[test]
    fn each_term_has_its_weight() {
        let weights = RewardWeights::default();
        let none = RewardTerms::default();
        assert_eq!(weights.reward(&none), -1.0);
        assert_eq!(weights.reward(&RewardTerms { progress_m: Some(0.25), ..none }), 1.5);
        assert_eq!(weights.reward(&RewardTerms { collision: true, ..none }), -51.0);
        assert_eq!(weights.reward(&RewardTerms { time_out: true, collision: true, ..none }), -51.0, "failed once");
        assert_eq!(weights.reward(&RewardTerms { success: true, ..none }), -1.0);
        let later = "slack_reward: 0\nsuccess_reward: 50\nfailure_reward: -100\ncollision_reward: -10";
        let later = RewardWeights::from_yaml(later, "later").unwrap();
        assert_eq!(later.reward(&RewardTerms { success: true, ..none }), 50.0);
        assert_eq!(later.reward(&RewardTerms { time_out: true, ..none }), -100.0);
        for (distance, reward) in [(0.0, -10.0), (0.025, -2.5), (0.05, 0.0), (0.2, 0.0)] {
            assert_eq!(later.reward(&RewardTerms { nearest_laser_m: Some(distance), ..none }), reward, "{distance}");
        }
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let refused = |text: &str| RewardWeights::from_yaml(text, "r.yaml").unwrap_err().to_string();
        let typo = refused("slack_reward: 0\nsucces_reward: 50\n");
        assert!(typo.contains("r.yaml") && typo.contains("did you mean 'success_reward'?"), "{typo}");
        assert!(refused("failure_reward: .nan").contains("failure_reward is NaN"));
        assert!(refused("collision_distance: 0").contains("above 0"));
        assert!(refused("bound: -3").contains("bound is -3"));
        assert!(refused("slack_reward: 0\nslack_reward: 1\n").contains("duplicate"), "repeated keys");
        assert!(refused("slack_reward: fast").contains("r.yaml"));
        let absent = RewardWeights::load(Path::new("/nowhere/reward.yaml")).unwrap_err().to_string();
        assert!(absent.contains("/nowhere/reward.yaml"), "{absent}");
    }
}
