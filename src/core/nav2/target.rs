//! A place where a planner parameter goes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Name of a ROS node without its leading slash where it lies in the tuner's own namespace
/// (`controller_server`, `local_costmap/local_costmap`), or with it where it does not (`/robot2/controller_server`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);

impl NodeName {
    /// Takes names made of letters, digits, `_` and single `/`, none of them at the end.
    pub fn new(name: &str) -> Option<Self> {
        let relative = name.strip_prefix('/').unwrap_or(name);
        let token = |token: &str| {
            token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && token.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        relative.split('/').all(token).then(|| Self(name.to_owned()))
    }

    /// The name as the mapping has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part: the node's own name.
    pub(super) fn base(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Type of a ROS parameter. Servers refuse a value of another type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RosType {
    /// `PARAMETER_DOUBLE`.
    Double,
    /// `PARAMETER_INTEGER`.
    Integer,
}

/// Value of a ROS parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RosValue {
    /// `PARAMETER_INTEGER`.
    Integer(i64),
    /// `PARAMETER_DOUBLE`, finite.
    Double(f64),
}

impl RosValue {
    /// The number, whatever its type.
    pub fn as_f64(self) -> f64 {
        match self {
            RosValue::Integer(value) => value as f64,
            RosValue::Double(value) => value,
        }
    }
}

impl fmt::Display for RosValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RosValue::Integer(value) => write!(f, "{value}"),
            RosValue::Double(value) => write!(f, "{value:?}"),
        }
    }
}

/// Where a planner parameter goes: `value * gain + offset`, cut to `[min, max]`, as a ROS parameter of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub(super) parameter: String,
    pub(super) node: NodeName,
    pub(super) ros_parameter: String,
    pub(super) ros_type: RosType,
    pub(super) gain: f64,
    pub(super) offset: f64,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) live: bool,
    pub(super) remedy: Option<String>,
    /// Width of the parameter's range, as the ROS parameter counts it.
    pub(super) range: f64,
    /// Least change that is worth a set, as a share of the range, where the mapping's own does not count.
    pub(super) min_change: Option<f64>,
    /// Never below this share of another ROS parameter of the same node.
    pub(super) at_least: Option<(f64, String)>,
}

impl Target {
    /// The planner parameter.
    pub fn parameter(&self) -> &str {
        &self.parameter
    }

    /// The node that has the ROS parameter.
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// The ROS parameter, such as `FollowPath.max_vel_x`.
    pub fn ros_parameter(&self) -> &str {
        &self.ros_parameter
    }

    /// Its type.
    pub fn ros_type(&self) -> RosType {
        self.ros_type
    }

    /// Whether the node uses a new value while it runs. Otherwise it accepts, stores and ignores it.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// What to do about a parameter that is not live.
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// Width of the parameter's range in the ROS parameter's unit.
    pub fn range(&self) -> f64 {
        self.range
    }

    /// The least change that is worth a set, as a share of the range, where it differs from the mapping's.
    pub fn min_change(&self) -> Option<f64> {
        self.min_change
    }

    /// The share of another ROS parameter that the value does not go below, and that parameter.
    pub fn at_least(&self) -> Option<(f64, &str)> {
        self.at_least.as_ref().map(|(share, of)| (*share, of.as_str()))
    }

    /// The ROS value for a value of the planner parameter, `at_least` apart. Integers are rounded to nearest, halves away from zero.
    pub fn value_for(&self, value: f64) -> RosValue {
        let value = value * self.gain + self.offset;
        let value = self.min.map_or(value, |min| value.max(min));
        let value = self.max.map_or(value, |max| value.min(max));
        match self.ros_type {
            RosType::Double => RosValue::Double(value),
            // Ranges, gains and offsets are checked to keep this far within 64 bits.
            RosType::Integer => RosValue::Integer(value.round() as i64),
        }
    }
}
