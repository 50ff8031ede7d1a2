//! What a user chooses about a model by name, on the command line or as a ROS parameter.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;

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
    fn new(what: &'static str, found: &str, expected: &'static str) -> Self {
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

/// A device by name; opened when the model is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// All cores.
    Cpu,
    /// A GPU by its ordinal.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = UnknownChoice;

    fn from_str(name: &str) -> Result<Self, UnknownChoice> {
        let unknown = || UnknownChoice::new("device", name, "cpu or cuda:N");
        match (name, name.strip_prefix("cuda:")) {
            ("cpu", _) => Ok(Self::Cpu),
            ("cuda", _) => Ok(Self::Cuda(0)),
            (_, Some(ordinal)) => ordinal.parse().map(Self::Cuda).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The program was built for the CPU alone.
    #[error("this build has no GPU support; build it with --features cuda, or use --device cpu")]
    NotBuiltIn,
    /// The driver refused.
    #[error("{device} cannot be opened; is there a driver? Or use --device cpu: {source}")]
    Open {
        /// The device.
        device: DeviceChoice,
        /// What the driver said.
        source: Box<candle_core::Error>,
    },
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// When this build has no support for it, or there is none.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(_) if !cfg!(feature = "cuda") => Err(DeviceError::NotBuiltIn),
            Self::Cuda(ordinal) => {
                Device::new_cuda(ordinal).map_err(|source| DeviceError::Open { device: self, source: Box::new(source) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn devices_are_spelled_one_way() {
        assert_eq!("cpu".parse(), Ok(DeviceChoice::Cpu));
        assert_eq!("cuda:1".parse(), Ok(DeviceChoice::Cuda(1)));
        assert_eq!("cuda".parse::<DeviceChoice>().unwrap().to_string(), "cuda:0");
        for wrong in ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU"] {
            let error = wrong.parse::<DeviceChoice>().unwrap_err().to_string();
            assert_eq!(error, format!("'{wrong}' is not a known device, expected cpu or cuda:N"));
        }
    }

    #[test]
    fn other_names_are_refused_with_those_that_are_known() {
        assert_eq!("as-trained".parse(), Ok(QuantizeChoice::AsTrained));
        assert_eq!("bf16".parse(), Ok(WeightFormat::Bf16));
        assert_eq!("actor".parse(), Ok(Head::Actor));
        let error = "fp4".parse::<QuantizeChoice>().unwrap_err().to_string();
        assert_eq!(error, "'fp4' is not a known quantisation, expected none, nf4 or as-trained");
    }
}
