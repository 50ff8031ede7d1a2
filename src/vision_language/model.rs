//! The frozen model: one image and one prompt in, the last four hidden states out.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;

use super::geometry_cache::GeometryCache;
use super::processor::{GridThw, MropePositions, ProcessedImage, TokenizedPrompt};
use super::text::{SequenceGeometry, TextModel};
use super::vision::{VisionGeometry, VisionTower};
use super::{HiddenStates, ModelConfig, ModelError, Precision};
use crate::weights::{LoadPlan, WeightSource, load_strictly};

/// Qwen2.5-VL without `lm_head` (HF `Qwen2_5_VLModel`).
#[derive(Debug)]
pub struct VisionLanguageModel {
    parts: Parts,
    config: ModelConfig,
    precision: Precision,
    device: Device,
    vision_geometries: GeometryCache<GridThw, VisionGeometry>,
    sequence_geometries: GeometryCache<SequenceShape, SequenceGeometry>,
}

#[derive(Debug)]
struct Parts {
    visual: VisionTower,
    model: TextModel,
}

/// The lengths on which positions and mask depend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct SequenceShape {
    length: usize,
    image_start: usize,
    grid: GridThw,
}

impl Parts {
    fn new(config: &ModelConfig, precision: Precision, vb: VarBuilder) -> candle_core::Result<Self> {
        Ok(Self {
            visual: VisionTower::new(&config.vision, precision, vb.pp("visual"))?,
            model: TextModel::new(&config.text, precision, vb.pp("model"))?,
        })
    }
}

impl VisionLanguageModel {
    /// What the model will read and how much memory it will take.
    ///
    /// # Errors
    /// When the configuration cannot be built at all.
    pub fn plan(config: &ModelConfig, precision: Precision) -> Result<LoadPlan, ModelError> {
        Ok(LoadPlan::survey(precision.weights(), |vb| Parts::new(config, precision, vb))?)
    }

    /// Reads the model. Names are the published ones (`visual.*`, `model.*`).
    ///
    /// # Errors
    /// [`ModelError::Weights`] with every tensor that is missing, extra or mis-shaped.
    pub fn load(
        config: ModelConfig,
        source: Arc<dyn WeightSource>,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let build = |vb: VarBuilder| Parts::new(&config, precision, vb);
        let parts = load_strictly(source, precision.weights(), device, build)?;
        Ok(Self {
            parts,
            config,
            precision,
            device: device.clone(),
            vision_geometries: GeometryCache::default(),
            sequence_geometries: GeometryCache::default(),
        })
    }

    /// The model's sizes.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The image's tokens `[tokens, hidden]`, in image order.
    ///
    /// # Errors
    /// [`ModelError::Grid`] when the patches do not fit the model.
    pub fn image_tokens(&self, image: &ProcessedImage) -> Result<Tensor, ModelError> {
        let grid = image.grid();
        let geometry = self
            .vision_geometries
            .get_or_make(grid, || VisionGeometry::new(grid.h, grid.w, &self.config.vision, &self.device))?;
        let patches = image.to_tensor(&self.device)?.to_dtype(self.precision.activations())?;
        self.parts.visual.forward(&patches, &geometry)
    }

    /// The last four hidden states of a prompt in whose middle the image's tokens stand.
    ///
    /// # Errors
    /// [`ModelError::Sequence`] when the prompt has no place for them.
    pub fn hidden_states(
        &self,
        prompt: &TokenizedPrompt,
        image_tokens: &Tensor,
        grid: GridThw,
    ) -> Result<HiddenStates, ModelError> {
        let (length, image_start) = (prompt.len(), prompt.image_start);
        let misfit = || ModelError::Sequence { length, image_start, image_tokens: prompt.image_tokens };
        let image_end = image_start.checked_add(prompt.image_tokens).filter(|&end| end <= length).ok_or_else(misfit)?;
        if image_tokens.dim(0)? != prompt.image_tokens {
            return Err(misfit());
        }
        let geometry = self.sequence_geometries.get_or_make(SequenceShape { length, image_start, grid }, || {
            let positions =
                MropePositions::new(prompt, grid, self.config.vision.spatial_merge_size).map_err(|_| misfit())?;
            Ok::<_, ModelError>(SequenceGeometry::new(&positions, &self.config.text, &self.device)?)
        })?;
        let ids = Tensor::from_slice(&prompt.input_ids, length, &self.device)?;
        let before = self.parts.model.embed(&ids.narrow(0, 0, image_start)?)?;
        let after = self.parts.model.embed(&ids.narrow(0, image_end, length - image_end)?)?;
        let embeddings = Tensor::cat(&[&before, image_tokens, &after], 0)?; // [seq, hidden]
        Ok(self.parts.model.forward(embeddings, &geometry)?)
    }
}
