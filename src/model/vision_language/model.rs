//! The frozen model: one image and one prompt in, the last four hidden states out.

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use candle_nn::VarBuilder;

use super::block_gradient::GradientSink;
use super::embed_tokens::EmbedTokens;
use super::geometry_cache::GeometryCache;
use super::linear::LinearVisitor;
use super::prefix_cache::PrefixCache;
use super::processor::{GridThw, MropePositions, ProcessedImage, TokenizedPrompt};
use super::text::{LayerInputs, PrefixState, SequenceGeometry, TextModel};
use super::vision::{BlockInputs, VisionGeometry, VisionTower};
use super::{HiddenStates, ModelConfig, ModelError, Precision};
use crate::weights::{LoadPlan, WeightSource, load_checked};

/// Qwen2.5-VL without `lm_head` (HF `Qwen2_5_VLModel`).
#[derive(Debug)]
pub struct VisionLanguageModel {
    parts: Parts,
    embed_tokens: EmbedTokens,
    config: ModelConfig,
    precision: Precision,
    device: Device,
    vision_geometries: GeometryCache<GridThw, VisionGeometry>,
    sequence_geometries: GeometryCache<SequenceShape, Geometries>,
    prefix_cache: PrefixCache<PrefixState>,
    /// A LoRA learns in the vision tower: gradients have to go there.
    vision_learns: bool,
}

/// The geometry of a whole sequence, and of what comes after its constant prefix.
#[derive(Debug)]
struct Geometries {
    whole: SequenceGeometry,
    after_prefix: SequenceGeometry,
}

#[derive(Debug)]
struct Parts {
    visual: VisionTower,
    model: TextModel,
}

/// What a forward pass leaves for the way back: the inputs of all blocks.
#[derive(Debug)]
pub struct ForwardPass {
    vision: BlockInputs,
    vision_geometry: Arc<VisionGeometry>,
    text: LayerInputs,
    geometries: Arc<Geometries>,
    /// Where the image's tokens begin in the sequence, and how many there are.
    image_rows: (usize, usize),
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
        let mut plan = LoadPlan::survey(precision.weights(), |vb| Parts::new(config, precision, vb))?;
        EmbedTokens::plan(&config.text, &mut plan);
        Ok(plan)
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
        Self::plan(&config, precision)?.check(source.as_ref())?;
        let parts = load_checked(source.clone(), precision.weights(), device, build)?;
        Ok(Self {
            parts,
            embed_tokens: EmbedTokens::new(&config.text, source),
            config,
            precision,
            device: device.clone(),
            vision_geometries: GeometryCache::default(),
            sequence_geometries: GeometryCache::default(),
            prefix_cache: PrefixCache::default(),
            vision_learns: false,
        })
    }

    /// The model's sizes.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The formats that it computes in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The image's tokens `[tokens, hidden]`, in image order.
    ///
    /// # Errors
    /// [`ModelError::Grid`] when the patches do not fit the model.
    pub fn image_tokens(&mut self, image: &ProcessedImage) -> Result<Tensor, ModelError> {
        let geometry = self.vision_geometry(image.grid())?;
        let patches = image.to_tensor(&self.device)?.to_dtype(self.precision.activations())?;
        self.parts.visual.forward(&patches, &geometry)
    }

    /// The last four hidden states of a prompt in whose middle the image's tokens stand.
    ///
    /// What stands before the image is the same for every frame: its keys, values and hidden states are computed when
    /// it is first seen and used again until other tokens stand there. The result is that of
    /// [`Self::hidden_states_afresh`] up to rounding.
    ///
    /// # Errors
    /// [`ModelError::Sequence`] when the prompt has no place for the image's tokens.
    pub fn hidden_states(
        &mut self,
        prompt: &TokenizedPrompt,
        image_tokens: &Tensor,
        grid: GridThw,
    ) -> Result<HiddenStates, ModelError> {
        let (before, after) = text_around(prompt, image_tokens)?;
        if before.is_empty() {
            return self.hidden_states_afresh(prompt, image_tokens, grid);
        }
        let geometries = self.geometries(prompt, grid)?;
        let Self { parts, embed_tokens, precision, device, prefix_cache, .. } = self;
        let prefix = prefix_cache.get_or_make(before, || {
            let geometry = geometries.whole.prefix(before.len())?;
            let embedded = embed_tokens.rows(before, precision.activations(), device)?;
            Ok::<_, ModelError>(parts.model.prefix(embedded, &geometry)?)
        })?;
        let rest = Tensor::cat(&[image_tokens, &self.embed(after)?], 0)?; // [seq - prefix, hidden]
        Ok(self.parts.model.forward_after(&prefix, rest, &geometries.after_prefix)?)
    }

    /// As [`Self::hidden_states`], with nothing remembered from earlier frames.
    ///
    /// # Errors
    /// [`ModelError::Sequence`] when the prompt has no place for the image's tokens.
    pub fn hidden_states_afresh(
        &mut self,
        prompt: &TokenizedPrompt,
        image_tokens: &Tensor,
        grid: GridThw,
    ) -> Result<HiddenStates, ModelError> {
        let geometries = self.geometries(prompt, grid)?;
        let embeddings = self.embeddings(prompt, image_tokens)?;
        Ok(self.parts.model.forward(embeddings, &geometries.whole)?)
    }

    /// The last four hidden states of a prompt with an image, computed anew throughout, and what [`Self::backward`] needs.
    /// The numbers are those of [`Self::hidden_states`] up to rounding.
    ///
    /// # Errors
    /// [`ModelError::Grid`], [`ModelError::Sequence`].
    pub fn forward_for_learning(
        &mut self,
        prompt: &TokenizedPrompt,
        image: &ProcessedImage,
    ) -> Result<(HiddenStates, ForwardPass), ModelError> {
        let grid = image.grid();
        let vision_geometry = self.vision_geometry(grid)?;
        let patches = image.to_tensor(&self.device)?.to_dtype(self.precision.activations())?;
        let (image_tokens, vision) = self.parts.visual.forward_for_learning(&patches, &vision_geometry)?;
        let geometries = self.geometries(prompt, grid)?;
        let embeddings = self.embeddings(prompt, &image_tokens)?;
        let (states, text) = self.parts.model.forward_for_learning(embeddings, &geometries.whole)?;
        let image_rows = (prompt.image_start, prompt.image_tokens);
        Ok((states, ForwardPass { vision, vision_geometry, text, geometries, image_rows }))
    }

    /// As [`Self::forward_for_learning`], in one graph of operations that have a gradient: the blockwise way's oracle. All
    /// intermediate results are held, which a large model has no memory for.
    ///
    /// # Errors
    /// As [`Self::forward_for_learning`].
    pub fn forward_as_one_graph(
        &mut self,
        prompt: &TokenizedPrompt,
        image: &ProcessedImage,
    ) -> Result<HiddenStates, ModelError> {
        let grid = image.grid();
        let vision_geometry = self.vision_geometry(grid)?;
        let patches = image.to_tensor(&self.device)?.to_dtype(self.precision.activations())?;
        // What is tracked is computed in operations that have a gradient.
        let patches = Var::from_tensor(&patches)?;
        let image_tokens = self.parts.visual.forward(&patches, &vision_geometry)?;
        let geometries = self.geometries(prompt, grid)?;
        let embeddings = self.embeddings(prompt, &image_tokens)?;
        Ok(self.parts.model.forward(embeddings, &geometries.whole)?)
    }

    /// Takes the gradients of the last four hidden states `[seq, hidden]` back through the whole model, block by block. What
    /// it finds for the variables of [`super::LoraPair`]s goes to `sink`.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn backward(
        &self,
        passed: ForwardPass,
        of_states: &[Tensor; 4],
        sink: &mut GradientSink<'_>,
    ) -> Result<(), ModelError> {
        let ForwardPass { vision, vision_geometry, text, geometries, image_rows: (start, len) } = passed;
        let of_embeddings = self.parts.model.backward(text, of_states, &geometries.whole, sink)?;
        if !self.vision_learns {
            return Ok(());
        }
        let of_tokens = of_embeddings.narrow(0, start, len)?; // [tokens, hidden]
        Ok(self.parts.visual.backward(vision, &of_tokens, &vision_geometry, sink)?)
    }

    /// Calls `visit` with each linear layer that a LoRA can learn beside, and its published name (`visual.*`, `model.*`)
    /// without `.weight`. What was computed with other LoRAs is forgotten.
    ///
    /// # Errors
    /// The first error of `visit`.
    pub fn visit_linears(&mut self, visit: &mut LinearVisitor<'_>) -> candle_core::Result<()> {
        self.prefix_cache = PrefixCache::default();
        let mut vision_learns = false;
        self.parts.visual.visit_linears("visual", &mut |name, linear| {
            visit(name, linear)?;
            vision_learns |= linear.has_lora();
            Ok(())
        })?;
        self.vision_learns = vision_learns;
        self.parts.model.visit_linears("model", visit)
    }

    /// Text and image as `[seq, hidden]`.
    fn embeddings(&mut self, prompt: &TokenizedPrompt, image_tokens: &Tensor) -> Result<Tensor, ModelError> {
        let (before, after) = text_around(prompt, image_tokens)?;
        Ok(Tensor::cat(&[&self.embed(before)?, image_tokens, &self.embed(after)?], 0)?)
    }

    fn vision_geometry(&mut self, grid: GridThw) -> Result<Arc<VisionGeometry>, ModelError> {
        let make = || VisionGeometry::new(grid.h, grid.w, &self.config.vision, &self.device);
        self.vision_geometries.get_or_make(grid, make)
    }

    fn embed(&mut self, ids: &[u32]) -> Result<Tensor, ModelError> {
        self.embed_tokens.rows(ids, self.precision.activations(), &self.device)
    }

    fn geometries(&mut self, prompt: &TokenizedPrompt, grid: GridThw) -> Result<Arc<Geometries>, ModelError> {
        if let Some(longest) = self.config.text.longest.as_ref().filter(|longest| prompt.len() > longest.tokens) {
            let (length, longest, reason) = (prompt.len(), longest.tokens, longest.reason);
            return Err(ModelError::TooLong { length, longest, reason });
        }
        let shape = SequenceShape { length: prompt.len(), image_start: prompt.image_start, grid };
        self.sequence_geometries.get_or_make(shape, || {
            let positions =
                MropePositions::new(prompt, grid, self.config.vision.spatial_merge_size).map_err(|_| misfit(prompt))?;
            let whole = SequenceGeometry::new(&positions, &self.config.text, &self.device)?;
            Ok(Geometries { after_prefix: whole.after_prefix(prompt.image_start)?, whole })
        })
    }
}

/// Ids of the text before and after the image's tokens.
fn text_around<'p>(prompt: &'p TokenizedPrompt, image_tokens: &Tensor) -> Result<(&'p [u32], &'p [u32]), ModelError> {
    let image_end = prompt.image_start.checked_add(prompt.image_tokens).ok_or_else(|| misfit(prompt))?;
    let ids = &prompt.input_ids;
    match (ids.get(..prompt.image_start), ids.get(image_end..)) {
        (Some(before), Some(after)) if image_tokens.dim(0)? == prompt.image_tokens => Ok((before, after)),
        _ => Err(misfit(prompt)),
    }
}

fn misfit(prompt: &TokenizedPrompt) -> ModelError {
    let TokenizedPrompt { image_start, image_tokens, .. } = *prompt;
    ModelError::Sequence { length: prompt.len(), image_start, image_tokens }
}
