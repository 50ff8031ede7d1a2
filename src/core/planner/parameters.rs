//! The only type that leaves towards a robot.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{ParameterSpec, PlannerSpec};

/// A value for every parameter of a planner, finite and in range by construction, integers integral.
///
/// Made by [`PlannerSpec::from_action`], [`PlannerSpec::from_regression`] and [`PlannerSpec::safe_defaults`] alone.
/// Serialises as a map from name to number in the order of the action, integers as integers.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannerParameters {
    spec: PlannerSpec,
    values: Vec<f64>,
}

impl PlannerParameters {
    /// The caller has made sure that there is a settable value for every parameter of `spec`.
    pub(super) fn in_range(spec: PlannerSpec, values: Vec<f64>) -> Self {
        Self { spec, values }
    }

    /// The planner these values are for.
    pub fn spec(&self) -> &PlannerSpec {
        &self.spec
    }

    /// Every parameter with its value (in the parameter's unit), in the order of the action.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&ParameterSpec, f64)> {
        self.spec.parameters().iter().zip(self.values.iter().copied())
    }

    /// The value of one parameter in its unit; `None` when the planner has none of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(parameter, _)| parameter.name() == name).map(|(_, value)| value)
    }
}

impl Serialize for PlannerParameters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (parameter, value) in self.iter() {
            if parameter.is_integer() {
                // Integral and within ±1e9 by construction, so the conversion is exact.
                map.serialize_entry(parameter.name(), &(value as i64))?;
            } else {
                map.serialize_entry(parameter.name(), &value)?;
            }
        }
        map.end()
    }
}
