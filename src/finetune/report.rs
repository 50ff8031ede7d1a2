//! What a training has come to, against a predictor that always says the mean.

use serde::Serialize;

use crate::{Dataset, EpochPoint, Finetuning};

/// How well the best epoch predicts each output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The best epoch, from 1.
    pub epoch: u64,
    /// Of its examples.
    pub train_loss: f64,
    /// Of what was held back.
    pub validation_loss: Option<f64>,
    /// Frames that were learned from, and held back.
    pub frames: [usize; 2],
    /// Each output.
    pub outputs: Vec<OutputReport>,
    /// Outputs that never vary.
    pub constant: Vec<String>,
}

/// Mean absolute errors of an output, in its unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutputReport {
    /// As in the planner file.
    pub name: String,
    /// Empty for a number without a unit.
    pub unit: &'static str,
    /// Of the examples of the best epoch.
    pub train_mae: f64,
    /// Of a predictor that always says the examples' mean.
    pub train_mae_of_mean: f64,
    /// Of what was held back.
    pub validation_mae: Option<f64>,
    /// Of the same predictor.
    pub validation_mae_of_mean: Option<f64>,
}

impl OutputReport {
    /// The error on what was held back, as a share of the mean predictor's; `None` where nothing was or nothing varies.
    pub fn ratio(&self) -> Option<f64> {
        // Of a constant, the mean itself is off by rounding.
        const ROUNDING: f64 = 1e-6;
        let (error, of_mean) = (self.validation_mae?, self.validation_mae_of_mean?);
        (of_mean > ROUNDING).then(|| error / of_mean)
    }
}

impl Finetuning {
    /// What the best epoch came to; `None` before the first one is complete.
    pub fn report(&self) -> Option<Report> {
        let point = self.progress().curve.get(self.progress().best?)?;
        let material = self.material();
        let means = material.scale.normalization().mean();
        let of_mean = |items: &[usize]| mean_predictors_errors(&material.data, items, means);
        let (train, held_back) = (of_mean(&material.split.train), of_mean(&material.split.validation));
        let at = |values: &[f64], index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let outputs = material.data.outputs().iter().enumerate().map(|(index, output)| OutputReport {
            name: output.name.clone(),
            unit: output.unit,
            train_mae: at(&point.train_mae, index),
            train_mae_of_mean: at(&train, index),
            validation_mae: point.validation_mae.as_ref().map(|errors| at(errors, index)),
            validation_mae_of_mean: point.validation_mae.as_ref().map(|_| at(&held_back, index)),
        });
        let EpochPoint { epoch, train_loss, validation_loss, .. } = *point;
        Some(Report {
            epoch,
            train_loss,
            validation_loss,
            frames: [material.split.train.len(), material.split.validation.len()],
            outputs: outputs.collect(),
            constant: material.scale.constant().to_vec(),
        })
    }
}

fn mean_predictors_errors(data: &Dataset, items: &[usize], means: &[f32]) -> Vec<f64> {
    let count = items.len().max(1) as f64;
    let error = |(index, mean): (usize, &f32)| {
        let errors = items.iter().filter_map(|item| data.values(*item).get(index));
        errors.map(|value| (value - f64::from(*mean)).abs()).sum::<f64>() / count
    };
    means.iter().enumerate().map(error).collect()
}
