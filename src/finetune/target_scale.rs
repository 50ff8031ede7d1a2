//! The scale on which outputs are learned.

use planner_tuner_model::checkpoint::Normalization;

use crate::{Dataset, FinetuneError};

/// Mean and standard deviation of each output over the frames that are learned from.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetScale {
    normalization: Normalization,
    constant: Vec<String>,
}

impl TargetScale {
    /// Of some frames of a dataset. An output that never varies has no scale: its deviation is written as 1, so that its target
    /// is 0 and a checkpoint with it can be read, and it is said.
    ///
    /// # Errors
    /// [`FinetuneError::Data`] when there are no frames.
    pub fn of(data: &Dataset, items: &[usize]) -> Result<Self, FinetuneError> {
        let (mut mean, mut std, mut constant) = (Vec::new(), Vec::new(), Vec::new());
        let count = items.len() as f64;
        for (index, output) in data.outputs().iter().enumerate() {
            let values = || items.iter().filter_map(|item| data.values(*item).get(index).copied());
            let average = values().sum::<f64>() / count;
            let deviation = (values().map(|value| (value - average).powi(2)).sum::<f64>() / count).sqrt();
            // Below a millionth of the value, it is rounding.
            let varies = deviation > 1e-6 * average.abs().max(1e-6);
            if !varies {
                constant.push(output.name.clone());
            }
            mean.push(average as f32);
            std.push(if varies { deviation as f32 } else { 1.0 });
        }
        let none = || FinetuneError::Data { path: "data".into(), problem: "no frames to learn from".into() };
        Ok(Self { normalization: Normalization::new(mean, std).ok_or_else(none)?, constant })
    }

    /// As it is saved with a checkpoint.
    pub fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    /// Outputs that never vary: nothing about them can be learned.
    pub fn constant(&self) -> &[String] {
        &self.constant
    }
}
