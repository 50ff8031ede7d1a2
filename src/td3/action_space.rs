//! The three scales an action is written on: what the actor says, the planner's unit, what the critic sees.

use super::TrainError;
use planner_tuner_core::planner::{ParameterSpec, PlannerSpec};
use planner_tuner_model::checkpoint::Normalization;

/// Added to a standard deviation before it divides, as the original does.
const EPSILON: f32 = 1e-8;

/// Ranges and statistics of a planner's parameters, in the order of the action.
///
/// An actor's number in [-1, 1] is `action * scale + bias` in the parameter's unit; the critic sees
/// `(parameter - mean) / (std + 1e-8)`.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionSpace {
    names: Vec<String>,
    units: Vec<&'static str>,
    axes: Vec<Axis>,
}

/// One parameter's numbers, in its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    /// Smallest value that is set.
    pub low: f32,
    /// Largest value that is set.
    pub high: f32,
    /// Half the range.
    pub scale: f32,
    /// Its middle.
    pub bias: f32,
    /// Mean over the supervised training data.
    pub mean: f32,
    /// Standard deviation over the supervised training data.
    pub std: f32,
}

impl Axis {
    /// From [-1, 1] to the parameter's unit.
    pub fn parameter(&self, action: f32) -> f32 {
        action * self.scale + self.bias
    }

    /// From the parameter's unit to what the critic sees.
    pub fn normalised(&self, parameter: f32) -> f32 {
        (parameter - self.mean) / (self.std + EPSILON)
    }

    /// How much what the critic sees changes with the actor's number.
    pub fn slope(&self) -> f32 {
        self.scale / (self.std + EPSILON)
    }
}

impl ActionSpace {
    /// The ranges of a planner beside the statistics of the checkpoint that was trained for it.
    ///
    /// # Errors
    /// [`TrainError::Normalization`] when there are statistics for fewer parameters.
    pub fn new(planner: &PlannerSpec, normalization: &Normalization) -> Result<Self, TrainError> {
        Self::from_statistics(planner, normalization.mean(), normalization.std())
    }

    /// The ranges of a planner beside mean and standard deviation of its parameters, in its order.
    ///
    /// # Errors
    /// [`TrainError::Normalization`] when there are statistics for fewer parameters.
    pub fn from_statistics(planner: &PlannerSpec, mean: &[f32], std: &[f32]) -> Result<Self, TrainError> {
        let parameters = planner.parameters();
        let statistics = mean.iter().zip(std);
        let axes: Vec<Axis> =
            parameters.iter().zip(statistics).map(|(parameter, (mean, std))| axis(parameter, *mean, *std)).collect();
        if axes.len() != parameters.len() {
            let (planner, expected, found) = (planner.name().to_owned(), parameters.len(), mean.len().min(std.len()));
            return Err(TrainError::Normalization { planner, expected, found });
        }
        Ok(Self {
            names: parameters.iter().map(|parameter| parameter.name().to_owned()).collect(),
            units: parameters.iter().map(|parameter| parameter.unit().symbol()).collect(),
            axes,
        })
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.axes.len()
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.axes.is_empty()
    }

    /// The parameters' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The parameters' units; empty where there is none.
    pub fn units(&self) -> &[&'static str] {
        &self.units
    }

    /// The parameters' numbers.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Changes rows of values, one a parameter, in place.
    pub fn each(&self, rows: &mut [f32], change: impl Fn(&Axis, f32) -> f32) {
        for row in rows.chunks_exact_mut(self.len().max(1)) {
            row.iter_mut().zip(&self.axes).for_each(|(value, axis)| *value = change(axis, *value));
        }
    }
}

fn axis(parameter: &ParameterSpec, mean: f32, std: f32) -> Axis {
    let (low, high) = (parameter.min() as f32, parameter.max() as f32);
    Axis { low, high, scale: (high - low) / 2.0, bias: (high + low) / 2.0, mean, std }
}
