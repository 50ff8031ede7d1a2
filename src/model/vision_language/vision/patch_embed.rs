//! The patch embedding, with its temporal halves folded into one matrix.

use candle_core::{DType, Module, Result, Tensor};
use candle_nn::VarBuilder;

use crate::vision_language::{Linear, Precision, VisionConfig};

/// HF `Qwen2_5_VisionPatchEmbed`: a Conv3d without bias whose stride is its kernel, that is, one matrix product.
///
/// A still image fills every temporal slot with the same pixels, so the kernel is summed over time once, at load:
/// half the multiplications, and half the pixels to prepare.
#[derive(Debug)]
pub struct PatchEmbed {
    proj: Linear,
}

impl PatchEmbed {
    /// Reads `proj` and folds it.
    pub fn new(config: &VisionConfig, precision: Precision, vb: VarBuilder) -> Result<Self> {
        let (side, chans) = (config.patch_size, config.in_chans);
        let shape = (config.hidden_size, chans, config.temporal_patch_size, side, side);
        let kernel = vb.pp("proj").get_with_hints_dtype(shape, "weight", Default::default(), DType::F32)?;
        let folded = kernel.sum(2)?.reshape((config.hidden_size, chans * side * side))?; // [hidden, c*y*x]
        Ok(Self { proj: Linear::from_weight(folded.to_dtype(precision.weights())?)? })
    }
}

impl Module for PatchEmbed {
    /// `[patches, channel * y * x] -> [patches, hidden]`
    fn forward(&self, patches: &Tensor) -> Result<Tensor> {
        self.proj.forward(patches)
    }
}
