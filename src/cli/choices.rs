//! What the command line calls the choices of a model, with the words of its help.

use clap::ValueEnum;

use crate::td3::heads::HiddenFormat;
use crate::tuner::{Head, QuantizeChoice};
use crate::vision_language::WeightFormat;

/// Which head turns the feature into parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HeadArg {
    /// The policy's actor
    Actor,
    /// The supervised checkpoint's regression
    Regression,
}

/// Format of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WeightFormatArg {
    /// 32-bit floats: the reference
    F32,
    /// bfloat16: half the memory, the format of the published checkpoints
    Bf16,
}

/// Whether the weights are quantised while they are loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum QuantizeArg {
    /// As they are
    #[default]
    None,
    /// bitsandbytes' NF4 with double quantisation
    Nf4,
    /// NF4 if the policy's vlm_info says that it was trained on 4 bits
    AsTrained,
}

/// In which format hidden states are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum HiddenFormatArg {
    /// As a CPU computes them: four bytes a number
    #[default]
    F32,
    /// Half the room; what a GPU computes, and a rounding error of 0.4 % of what a CPU computes
    Bf16,
}

impl From<HeadArg> for Head {
    fn from(arg: HeadArg) -> Self {
        match arg {
            HeadArg::Actor => Self::Actor,
            HeadArg::Regression => Self::Regression,
        }
    }
}

impl From<WeightFormatArg> for WeightFormat {
    fn from(arg: WeightFormatArg) -> Self {
        match arg {
            WeightFormatArg::F32 => Self::F32,
            WeightFormatArg::Bf16 => Self::Bf16,
        }
    }
}

impl From<QuantizeArg> for QuantizeChoice {
    fn from(arg: QuantizeArg) -> Self {
        match arg {
            QuantizeArg::None => Self::None,
            QuantizeArg::Nf4 => Self::Nf4,
            QuantizeArg::AsTrained => Self::AsTrained,
        }
    }
}

impl From<HiddenFormatArg> for HiddenFormat {
    fn from(arg: HiddenFormatArg) -> Self {
        match arg {
            HiddenFormatArg::F32 => Self::F32,
            HiddenFormatArg::Bf16 => Self::Bf16,
        }
    }
}
