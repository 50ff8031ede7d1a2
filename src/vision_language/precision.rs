//! Which number format each part of the model uses.

use candle_core::{DType, Device};

/// Number formats of the vision-language model. Heads are always f32 and have no say here.
///
/// There is no f16: block 31 of the 3B vision tower overflows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precision {
    weights: DType,
    activations: DType,
}

/// The formats a user can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WeightFormat {
    /// 32-bit floats: the reference.
    F32,
    /// bfloat16: half the memory, the format of the published checkpoints.
    Bf16,
}

impl Precision {
    /// Everything in f32.
    pub const F32: Precision = Precision { weights: DType::F32, activations: DType::F32 };

    /// The policy: a CPU computes in f32 whatever the weights are stored in; a GPU computes in the weights' format,
    /// bf16 unless f32 is asked for.
    pub fn new(device: &Device, format: Option<WeightFormat>) -> Self {
        match (device.is_cpu(), format) {
            (true, Some(WeightFormat::Bf16)) => Self { weights: DType::BF16, activations: DType::F32 },
            (true, _) | (false, Some(WeightFormat::F32)) => Self::F32,
            (false, _) => Self { weights: DType::BF16, activations: DType::BF16 },
        }
    }

    /// Format in which the matrices are kept in memory.
    pub fn weights(self) -> DType {
        self.weights
    }

    /// Format of activations, biases and norms.
    pub fn activations(self) -> DType {
        self.activations
    }
}
