//! The scale that supervised training predicted parameters on.

use super::error::CheckpointError;
use super::npy;
use std::path::Path;

/// Mean and standard deviation of every predicted parameter, from `normalization/param_mean.npy` and `param_std.npy`.
///
/// One entry per output of the regression head, in its order: the planner's parameters, then the next linear (m/s) and
/// angular (rad/s) velocity. Finite, and every standard deviation is above zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Normalization {
    /// File of the means, relative to the checkpoint.
    pub const MEAN: &str = "normalization/param_mean.npy";
    /// File of the standard deviations, relative to the checkpoint.
    pub const STD: &str = "normalization/param_std.npy";

    /// Reads both files below a checkpoint folder.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let (mean_path, std_path) = (folder.as_ref().join(Self::MEAN), folder.as_ref().join(Self::STD));
        let (mean, std) = (npy::read_vector(&mean_path)?, npy::read_vector(&std_path)?);
        if mean.len() != std.len() {
            let what = format!("it holds {} values, param_mean.npy holds {}", std.len(), mean.len());
            return Err(CheckpointError::malformed(std_path, what));
        }
        if mean.is_empty() {
            return Err(CheckpointError::malformed(mean_path, "it holds no values, expected one per parameter"));
        }
        if let Some((index, value)) = mean.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            let what = format!("the mean of parameter {index} is {value}, expected a finite number");
            return Err(CheckpointError::malformed(mean_path, what));
        }
        if let Some((index, value)) = std.iter().enumerate().find(|(_, value)| !(value.is_finite() && **value > 0.0)) {
            let what = format!(
                "the standard deviation of parameter {index} is {value}, expected a positive number; a parameter that \
                 never varied in the training data cannot be predicted"
            );
            return Err(CheckpointError::malformed(std_path, what));
        }
        Ok(Self { mean, std })
    }

    /// From as many means as standard deviations, finite, and the latter above zero; `None` for others.
    pub fn new(mean: Vec<f32>, std: Vec<f32>) -> Option<Self> {
        let finite = mean.iter().all(|mean| mean.is_finite()) && std.iter().all(|std| std.is_finite() && *std > 0.0);
        (finite && mean.len() == std.len() && !mean.is_empty()).then_some(Self { mean, std })
    }

    /// Values in their own units on the scale of the head's outputs: `(value - mean) / std`. Of unequal lengths the
    /// shorter counts.
    pub fn normalise(&self, values: &[f64]) -> Vec<f32> {
        let scale = self.mean.iter().zip(&self.std);
        values
            .iter()
            .zip(scale)
            .map(|(value, (mean, std))| ((value - f64::from(*mean)) / f64::from(*std)) as f32)
            .collect()
    }

    /// Means, one per output of the head.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Standard deviations, one per output of the head; above zero.
    pub fn std(&self) -> &[f32] {
        &self.std
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.mean.len()
    }

    /// Never true: an empty normalization does not open.
    pub fn is_empty(&self) -> bool {
        self.mean.is_empty()
    }

    /// The head's outputs in their own units: `value = out * std + mean`. One output per parameter is expected; of
    /// unequal lengths the shorter counts.
    pub fn denormalise(&self, outputs: &[f32]) -> Vec<f32> {
        outputs.iter().zip(self.std.iter().zip(&self.mean)).map(|(out, (std, mean))| out * std + mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denormalises() {
        let normalization = Normalization { mean: vec![1.0, -1.0], std: vec![2.0, 0.5] };
        assert_eq!(normalization.denormalise(&[0.5, 2.0]), [2.0, 0.0]);
    }
}
