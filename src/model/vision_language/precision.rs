//! In which form each part of the model is stored and computed.

use candle_core::{DType, Device};

use crate::device::GpuFacts;
use crate::weights::nf4::AbsmaxFormat;

/// Number formats of the vision-language model. Heads are always f32 and have no say here.
///
/// There is no f16: block 31 of the 3B vision tower overflows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precision {
    weights: DType,
    activations: DType,
    nf4: Option<AbsmaxFormat>,
}

/// The formats a user can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightFormat {
    /// 32-bit floats: the reference.
    F32,
    /// bfloat16: half the memory, the format of the published checkpoints.
    Bf16,
}

/// Whether the linear layers of the language model and of the vision blocks are quantised while they are loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Quantize {
    /// As they are.
    #[default]
    None,
    /// bitsandbytes' NF4 with double quantisation: an eighth of f32's memory.
    Nf4,
}

impl Precision {
    /// Everything in f32.
    pub const F32: Precision = Precision { weights: DType::F32, activations: DType::F32, nf4: None };

    /// The policy: a CPU computes in f32 whatever the weights are stored in; a GPU computes in the weights' format, bf16
    /// unless f32 is asked for or the GPU is too old for it.
    pub fn new(device: &Device, format: Option<WeightFormat>) -> Self {
        let too_old = || GpuFacts::of(device).is_some_and(|gpu| !gpu.has_bf16());
        match (device.is_cpu(), format) {
            (false, None) if too_old() => Self::F32,
            (true, Some(WeightFormat::Bf16)) => Self { weights: DType::BF16, ..Self::F32 },
            (true, _) | (false, Some(WeightFormat::F32)) => Self::F32,
            (false, _) => Self { weights: DType::BF16, activations: DType::BF16, nf4: None },
        }
    }

    /// With the linear layers quantised; what bitsandbytes leaves alone stays in its format.
    pub fn quantised(self, quantize: Quantize) -> Self {
        match quantize {
            Quantize::None => self,
            Quantize::Nf4 => Self { nf4: Some(AbsmaxFormat::Double), ..self },
        }
    }

    /// For a checkpoint whose layers are in NF4 already: they stay so, with scales that lose nothing a second time.
    pub fn already_quantised(self) -> Self {
        Self { nf4: Some(AbsmaxFormat::Single), ..self }
    }

    /// The same without quantisation, for the layers that bitsandbytes leaves alone.
    pub fn unquantised(self) -> Self {
        Self { nf4: None, ..self }
    }

    /// Format in which matrices that are not quantised are kept in memory.
    pub fn weights(self) -> DType {
        self.weights
    }

    /// Format of activations, biases and norms.
    pub fn activations(self) -> DType {
        self.activations
    }

    /// How linear layers are quantised, if they are.
    pub fn nf4(self) -> Option<AbsmaxFormat> {
        self.nf4
    }
}
