//! One entry of a planner file: a name, a unit and a range that have been checked.

mod entry;

use serde::Deserialize;

pub use entry::InvalidParameter;

/// Unit of a planner parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Unit {
    /// Velocity, m/s.
    #[serde(rename = "m/s")]
    MetresPerSecond,
    /// Yaw rate, rad/s.
    #[serde(rename = "rad/s")]
    RadiansPerSecond,
    /// Distance, m.
    #[serde(rename = "m")]
    Metres,
    /// Time, s.
    #[serde(rename = "s")]
    Seconds,
    /// A weight or a count (`none` in the file).
    #[serde(rename = "none")]
    Dimensionless,
}

impl Unit {
    /// The symbol as in the planner file; empty for [`Unit::Dimensionless`].
    pub const fn symbol(self) -> &'static str {
        match self {
            Unit::MetresPerSecond => "m/s",
            Unit::RadiansPerSecond => "rad/s",
            Unit::Metres => "m",
            Unit::Seconds => "s",
            Unit::Dimensionless => "",
        }
    }
}

/// A planner parameter: `min < max`, all numbers finite, the safe default in range, integers integral.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSpec {
    name: String,
    unit: Unit,
    min: f64,
    max: f64,
    integer: bool,
    safe_default: f64,
    loss_weight: f64,
    description: String,
}

impl ParameterSpec {
    /// The planner's own name for it, such as `max_vel_x`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Unit of every number here.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// Smallest value that is ever set.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// Largest value that is ever set.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// Whether the planner takes whole numbers only.
    pub fn is_integer(&self) -> bool {
        self.integer
    }

    /// The value to fall back to when there is no valid decision.
    pub fn safe_default(&self) -> f64 {
        self.safe_default
    }

    /// How much its squared error counts in supervised learning.
    pub fn loss_weight(&self) -> f64 {
        self.loss_weight
    }

    /// What the parameter does, one sentence.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The nearest settable value to a finite `value`: cut to the range, integers rounded to nearest with halves away
    /// from zero. The result is in range, because an integer parameter's limits are integral.
    pub(crate) fn settable(&self, value: f64) -> f64 {
        let value = if self.integer { value.round() } else { value };
        value.clamp(self.min, self.max)
    }
}

/// A quantity that a supervised head predicts besides the parameters. Never sent to a planner.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    name: String,
    unit: Unit,
    min: f64,
    max: f64,
    loss_weight: f64,
    description: String,
}

impl Prediction {
    /// Name, such as `next_linear_vel`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Unit of every number here.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// Smallest plausible value.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// Largest plausible value.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// How much its squared error counts in supervised learning.
    pub fn loss_weight(&self) -> f64 {
        self.loss_weight
    }

    /// What it is, one sentence.
    pub fn description(&self) -> &str {
        &self.description
    }
}
