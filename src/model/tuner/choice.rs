//! What a user chooses about a model by name, on the command line or as a ROS parameter.

use std::str::FromStr;

use super::Head;
use crate::vision_language::{Quantize, WeightFormat};

/// A name that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' is not a known {what}, expected {expected}")]
pub struct UnknownChoice {
    what: &'static str,
    found: String,
    expected: &'static str,
}

impl UnknownChoice {
    pub(crate) fn new(what: &'static str, found: &str, expected: &'static str) -> Self {
        Self { what, found: found.to_owned(), expected }
    }
}

/// Whether the weights are quantised while they are loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QuantizeChoice {
    /// As they are.
    #[default]
    None,
    /// bitsandbytes' NF4 with double quantisation.
    Nf4,
    /// NF4 if the policy's vlm_info says that it was trained on 4 bits.
    AsTrained,
}

impl QuantizeChoice {
    /// The choice, where it does not depend on the policy.
    pub fn resolve(self) -> Option<Quantize> {
        match self {
            Self::None => Some(Quantize::None),
            Self::Nf4 => Some(Quantize::Nf4),
            Self::AsTrained => None,
        }
    }
}

impl FromStr for QuantizeChoice {
    type Err = UnknownChoice;

    fn from_str(name: &str) -> Result<Self, UnknownChoice> {
        match name {
            "none" => Ok(Self::None),
            "nf4" => Ok(Self::Nf4),
            "as-trained" => Ok(Self::AsTrained),
            _ => Err(UnknownChoice::new("quantisation", name, "none, nf4 or as-trained")),
        }
    }
}

impl FromStr for Head {
    type Err = UnknownChoice;

    fn from_str(name: &str) -> Result<Self, UnknownChoice> {
        match name {
            "actor" => Ok(Self::Actor),
            "regression" => Ok(Self::Regression),
            _ => Err(UnknownChoice::new("head", name, "actor or regression")),
        }
    }
}

impl FromStr for WeightFormat {
    type Err = UnknownChoice;

    fn from_str(name: &str) -> Result<Self, UnknownChoice> {
        match name {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            _ => Err(UnknownChoice::new("format of weights", name, "f32 or bf16")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn other_names_are_refused_with_those_that_are_known() {
        assert_eq!("as-trained".parse(), Ok(QuantizeChoice::AsTrained));
        assert_eq!("bf16".parse(), Ok(WeightFormat::Bf16));
        assert_eq!("actor".parse(), Ok(Head::Actor));
        let error = "fp4".parse::<QuantizeChoice>().unwrap_err().to_string();
        assert_eq!(error, "'fp4' is not a known quantisation, expected none, nf4 or as-trained");
    }
}
