//! The entries of a planner file as they are written, and the checks that make a [`ParameterSpec`] of them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{ParameterSpec, Prediction, Unit};

/// What is wrong with an entry whose keys and types are right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidParameter {
    /// Empty, or with blanks or control characters in it.
    #[error("name '{0}' is empty or holds blanks; use the planner's own parameter name")]
    Name(String),
    /// NaN, infinite, or so large that a range could overflow.
    #[error("{name}: {field} is {value}, expected a finite number within ±{limit:e}", limit = LARGEST)]
    NotFinite {
        /// The parameter.
        name: String,
        /// The key.
        field: &'static str,
        /// What the file says.
        value: f64,
    },
    /// The range is empty or reversed.
    #[error("{name}: min {min} is not below max {max}; swap or widen them")]
    Range {
        /// The parameter.
        name: String,
        /// Lower limit in the file.
        min: f64,
        /// Upper limit in the file.
        max: f64,
    },
    /// A fraction where the planner wants a whole number.
    #[error("{name}: {field} is {value}, expected a whole number because integer is true")]
    Fraction {
        /// The parameter.
        name: String,
        /// The key.
        field: &'static str,
        /// What the file says.
        value: f64,
    },
    /// A weight that no loss has.
    #[error("{name}: loss_weight is {value}, expected a number from 0 on")]
    LossWeight {
        /// The parameter.
        name: String,
        /// What the file says.
        value: f64,
    },
    /// The safe default is not a value that could be set.
    #[error("{name}: safe_default {safe_default} is outside its range {min} to {max}")]
    SafeDefault {
        /// The parameter.
        name: String,
        /// What the file says.
        safe_default: f64,
        /// Lower limit.
        min: f64,
        /// Upper limit.
        max: f64,
    },
}

/// Largest accepted magnitude: far above any planner parameter, low enough that ranges and integers stay exact.
const LARGEST: f64 = 1e9;

/// The keys of a parameter in a planner file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParameterEntry {
    name: String,
    unit: Unit,
    min: f64,
    max: f64,
    #[serde(default)]
    integer: bool,
    safe_default: f64,
    #[serde(default = "one")]
    loss_weight: f64,
    description: String,
}

/// The keys of a prediction in a planner file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PredictionEntry {
    name: String,
    unit: Unit,
    min: f64,
    max: f64,
    #[serde(default = "one")]
    loss_weight: f64,
    description: String,
}

fn one() -> f64 {
    1.0
}

fn check_name(name: &str) -> Result<(), InvalidParameter> {
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(InvalidParameter::Name(name.escape_debug().to_string()));
    }
    Ok(())
}

fn check_numbers(name: &str, numbers: &[(&'static str, f64)], integer: bool) -> Result<(), InvalidParameter> {
    for &(field, value) in numbers {
        if !(-LARGEST..=LARGEST).contains(&value) {
            return Err(InvalidParameter::NotFinite { name: name.to_owned(), field, value });
        }
        if integer && value.fract() != 0.0 {
            return Err(InvalidParameter::Fraction { name: name.to_owned(), field, value });
        }
    }
    Ok(())
}

fn check_range(name: &str, min: f64, max: f64) -> Result<(), InvalidParameter> {
    if min < max { Ok(()) } else { Err(InvalidParameter::Range { name: name.to_owned(), min, max }) }
}

fn check_loss_weight(name: &str, loss_weight: f64) -> Result<(), InvalidParameter> {
    if (0.0..=LARGEST).contains(&loss_weight) {
        return Ok(());
    }
    Err(InvalidParameter::LossWeight { name: name.to_owned(), value: loss_weight })
}

impl TryFrom<ParameterEntry> for ParameterSpec {
    type Error = InvalidParameter;

    fn try_from(entry: ParameterEntry) -> Result<Self, InvalidParameter> {
        let ParameterEntry { name, unit, min, max, integer, safe_default, loss_weight, description } = entry;
        check_name(&name)?;
        check_numbers(&name, &[("min", min), ("max", max), ("safe_default", safe_default)], integer)?;
        check_range(&name, min, max)?;
        if !(min..=max).contains(&safe_default) {
            return Err(InvalidParameter::SafeDefault { name, safe_default, min, max });
        }
        check_loss_weight(&name, loss_weight)?;
        Ok(Self { name, unit, min, max, integer, safe_default, loss_weight, description })
    }
}

impl TryFrom<PredictionEntry> for Prediction {
    type Error = InvalidParameter;

    fn try_from(entry: PredictionEntry) -> Result<Self, InvalidParameter> {
        let PredictionEntry { name, unit, min, max, loss_weight, description } = entry;
        check_name(&name)?;
        check_numbers(&name, &[("min", min), ("max", max)], false)?;
        check_range(&name, min, max)?;
        check_loss_weight(&name, loss_weight)?;
        Ok(Self { name, unit, min, max, loss_weight, description })
    }
}

impl<'de> Deserialize<'de> for ParameterSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Checked::<ParameterEntry, Self>::new("a parameter (keys and values)"))
    }
}

impl<'de> Deserialize<'de> for Prediction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Checked::<PredictionEntry, Self>::new("a prediction (keys and values)"))
    }
}

/// Checks an entry while the parser still knows where it stands, so that the message carries line and column
/// (`#[serde(try_from)]` reports after the entry has been left).
struct Checked<Entry, Target> {
    expecting: &'static str,
    types: PhantomData<(Entry, Target)>,
}

impl<Entry, Target> Checked<Entry, Target> {
    fn new(expecting: &'static str) -> Self {
        Self { expecting, types: PhantomData }
    }
}

impl<'de, Entry, Target> Visitor<'de> for Checked<Entry, Target>
where
    Entry: Deserialize<'de>,
    Target: TryFrom<Entry, Error = InvalidParameter>,
{
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
        let entry = Entry::deserialize(MapAccessDeserializer::new(map))?;
        Target::try_from(entry).map_err(A::Error::custom)
    }
}
