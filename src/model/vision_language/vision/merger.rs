//! Four neighbouring patches become one image token (HF `Qwen2_5_VLPatchMerger`).

use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;

use super::block::RMS_NORM_EPS;
use crate::vision_language::linear::LinearVisitor;
use crate::vision_language::rms_norm::RmsNorm;
use crate::vision_language::{Linear, Precision, VisionConfig};

/// Norm, concatenation of a block of patches, and an MLP.
#[derive(Debug)]
pub struct PatchMerger {
    ln_q: RmsNorm,
    mlp_0: Linear,
    mlp_2: Linear,
    merged_width: usize,
}

impl PatchMerger {
    /// Reads `ln_q`, `mlp.0` and `mlp.2`.
    pub fn new(config: &VisionConfig, precision: Precision, vb: VarBuilder) -> Result<Self> {
        // bitsandbytes leaves the merger as it is.
        let precision = precision.unquantised();
        let merged_width = config.hidden_size * config.merge_unit();
        let norm_vb = vb.pp("ln_q").set_dtype(precision.activations());
        Ok(Self {
            ln_q: RmsNorm::new(config.hidden_size, RMS_NORM_EPS, norm_vb)?,
            mlp_0: Linear::new(merged_width, merged_width, precision, vb.pp("mlp.0"))?,
            mlp_2: Linear::new(merged_width, config.out_hidden_size, precision, vb.pp("mlp.2"))?,
            merged_width,
        })
    }

    /// Calls `visit` with each linear layer and its name below `path`.
    pub fn visit_linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) -> Result<()> {
        visit(format!("{path}.mlp.0"), &mut self.mlp_0)?;
        visit(format!("{path}.mlp.2"), &mut self.mlp_2)
    }
}

impl Module for PatchMerger {
    /// `[patches, hidden] -> [patches / merge_unit, out_hidden]`
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let merged = self.ln_q.forward(xs)?.reshape(((), self.merged_width))?;
        self.mlp_2.forward(&self.mlp_0.forward(&merged)?.gelu_erf()?)
    }
}
