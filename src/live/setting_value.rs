//! What a setting may be: its type, unit, range, and when it may change.

use std::fmt;

/// A value as ROS parameters carry it.
#[derive(Debug, Clone, PartialEq)]
pub enum SettingValue {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Double(f64),
    /// Text.
    Text(String),
}

impl SettingValue {
    /// The type's name in messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::Integer(_) => "integer",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
        }
    }
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "'{value}'"),
        }
    }
}

/// Which values are accepted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Accepted {
    /// Every value of the type.
    All,
    /// Finite numbers from the first to the second.
    Between(f64, f64),
    /// One of these words.
    OneOf(&'static [&'static str]),
}

impl Accepted {
    /// Whether `value`, which has the setting's type, is accepted.
    pub fn contains(&self, value: &SettingValue) -> bool {
        match (self, value) {
            (Self::All, _) => true,
            (Self::Between(min, max), SettingValue::Double(value)) => (*min..=*max).contains(value),
            (Self::Between(min, max), SettingValue::Integer(value)) => (*min..=*max).contains(&(*value as f64)),
            (Self::OneOf(words), SettingValue::Text(value)) => words.contains(&value.as_str()),
            _ => false,
        }
    }
}

/// Whether a setting may change while the node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Models, topics and devices: read at start.
    AtStart,
    /// Limits and rates: at any time.
    Live,
}

/// All that is known of a setting but its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// The ROS parameter's name.
    pub name: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Unit of a number; empty without one.
    pub unit: &'static str,
    /// Which values are accepted.
    pub accepted: Accepted,
    /// When it may change.
    pub change: Change,
}

/// Why settings were refused. Nothing of what was asked for has been set then.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum SettingError {
    /// No such setting.
    #[error("there is no parameter '{name}'{hint}")]
    Unknown {
        /// The name that was given.
        name: String,
        /// `; did you mean '…'?`, or nothing.
        hint: String,
    },
    /// Another type.
    #[error("parameter '{name}' is of type {expected}, found the {found_type} {found}")]
    Type {
        /// The setting.
        name: &'static str,
        /// Its type.
        expected: &'static str,
        /// Type of what was given.
        found_type: &'static str,
        /// What was given.
        found: String,
    },
    /// A number that is not in the range, or a word that is not known.
    #[error("parameter '{name}' is {found}, expected {expected}")]
    Range {
        /// The setting.
        name: &'static str,
        /// The accepted values in words.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The setting is read at start.
    #[error("parameter '{name}' is read at start only; set it in the parameters file and restart the node")]
    AtStart {
        /// The setting.
        name: &'static str,
    },
    /// Two settings contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

impl Declaration {
    /// The accepted values in words, with the unit.
    pub fn expected(&self) -> String {
        match self.accepted {
            Accepted::All => "any value".into(),
            Accepted::Between(min, max) if self.unit.is_empty() => format!("{min} to {max}"),
            Accepted::Between(min, max) => format!("{min} to {max} {}", self.unit),
            Accepted::OneOf(words) => format!("one of {}", words.join(", ")),
        }
    }

    /// Checks a value of the setting's type against its range.
    ///
    /// # Errors
    /// [`SettingError::Range`].
    pub fn check(&self, value: &SettingValue) -> Result<(), SettingError> {
        if self.accepted.contains(value) {
            return Ok(());
        }
        Err(SettingError::Range { name: self.name, expected: self.expected(), found: value.to_string() })
    }
}

/// A Rust type that a setting may have.
pub(super) trait SettingType: Sized {
    const NAME: &'static str;
    fn to_value(&self) -> SettingValue;
    /// `None` for a value of another type. A whole number is a double, too: YAML writes 2.0 as 2.
    fn from_value(value: &SettingValue) -> Option<Self>;
}

impl SettingType for bool {
    const NAME: &'static str = "bool";
    fn to_value(&self) -> SettingValue {
        SettingValue::Bool(*self)
    }
    fn from_value(value: &SettingValue) -> Option<Self> {
        if let SettingValue::Bool(value) = value { Some(*value) } else { None }
    }
}

impl SettingType for i64 {
    const NAME: &'static str = "integer";
    fn to_value(&self) -> SettingValue {
        SettingValue::Integer(*self)
    }
    fn from_value(value: &SettingValue) -> Option<Self> {
        if let SettingValue::Integer(value) = value { Some(*value) } else { None }
    }
}

impl SettingType for f64 {
    const NAME: &'static str = "double";
    fn to_value(&self) -> SettingValue {
        SettingValue::Double(*self)
    }
    fn from_value(value: &SettingValue) -> Option<Self> {
        match value {
            SettingValue::Double(value) => Some(*value),
            SettingValue::Integer(value) => Some(*value as f64),
            _ => None,
        }
    }
}

impl SettingType for String {
    const NAME: &'static str = "string";
    fn to_value(&self) -> SettingValue {
        SettingValue::Text(self.clone())
    }
    fn from_value(value: &SettingValue) -> Option<Self> {
        if let SettingValue::Text(value) = value { Some(value.clone()) } else { None }
    }
}
