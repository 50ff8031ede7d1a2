//! The vision tower as a whole.

use candle_core::{Device, Module, Tensor};
use candle_nn::VarBuilder;

use super::block::VisionBlock;
use super::merger::PatchMerger;
use super::patch_embed::PatchEmbed;
use super::rotary::patch_rotary;
use super::window::{AttentionPattern, WindowGroup, WindowPartition};
use crate::vision_language::block_gradient::{GradientSink, back_through};
use crate::vision_language::linear::LinearVisitor;
use crate::vision_language::rotary_table::RotaryTable;
use crate::vision_language::{ModelError, Precision, VisionConfig};

/// HF `Qwen2_5_VisionTransformerPretrainedModel` for one still image.
#[derive(Debug)]
pub struct VisionTower {
    patch_embed: PatchEmbed,
    blocks: Vec<VisionBlock>,
    merger: PatchMerger,
    config: VisionConfig,
}

/// All that depends on the image's size alone: made once per size.
#[derive(Debug)]
pub struct VisionGeometry {
    rows: usize,
    cols: usize,
    token_order: Tensor,   // [tokens] u32, image order -> window order
    token_inverse: Tensor, // [tokens] u32, window order -> image order
    rotary: RotaryTable,
    windows: AttentionPattern,
    whole_image: AttentionPattern,
}

impl VisionGeometry {
    /// For a grid of `rows x cols` patches.
    ///
    /// # Errors
    /// [`ModelError::Grid`] when the grid is empty or cannot be merged.
    pub fn new(rows: usize, cols: usize, config: &VisionConfig, device: &Device) -> Result<Self, ModelError> {
        let merge = config.spatial_merge_size;
        if rows == 0 || cols == 0 || !rows.is_multiple_of(merge) || !cols.is_multiple_of(merge) {
            let reason = "both sides must be positive multiples of the merge size".into();
            return Err(ModelError::Grid { rows, cols, merge, reason });
        }
        let (token_rows, token_cols) = (rows / merge, cols / merge);
        let partition = WindowPartition::new(token_rows, token_cols, config.window_tokens(), config.merge_unit());
        // The patches of a token stand together, row by row.
        let patch_positions: Vec<(u32, u32)> = partition
            .order()
            .iter()
            .map(|&token| (token as usize / token_cols * merge, token as usize % token_cols * merge))
            .flat_map(|(top, left)| {
                (top..top + merge).flat_map(move |row| (left..left + merge).map(move |col| (row as u32, col as u32)))
            })
            .collect();
        let tokens = token_rows * token_cols;
        Ok(Self {
            rows,
            cols,
            token_order: Tensor::from_slice(partition.order(), tokens, device)?,
            token_inverse: Tensor::from_vec(partition.inverse(), tokens, device)?,
            rotary: patch_rotary(&patch_positions, config.head_dim(), device)?,
            windows: AttentionPattern::new(partition.groups().to_vec()),
            whole_image: AttentionPattern::new(vec![WindowGroup { start: 0, windows: 1, patches: rows * cols }]),
        })
    }

    /// Patches from top to bottom and from left to right.
    pub fn grid(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }
}

impl VisionTower {
    /// Reads the tensors below `visual.`.
    pub fn new(config: &VisionConfig, precision: Precision, vb: VarBuilder) -> candle_core::Result<Self> {
        let blocks_vb = vb.pp("blocks");
        Ok(Self {
            patch_embed: PatchEmbed::new(config, precision, vb.pp("patch_embed"))?,
            blocks: (0..config.depth)
                .map(|index| VisionBlock::new(config, precision, blocks_vb.pp(index)))
                .collect::<candle_core::Result<_>>()?,
            merger: PatchMerger::new(config, precision, vb.pp("merger"))?,
            config: config.clone(),
        })
    }

    /// `patches` is `[rows * cols, channel * y * x]` in merge order; the result is `[tokens, out_hidden]` in image
    /// order.
    ///
    /// # Errors
    /// [`ModelError::Grid`] when there are not `rows * cols` patches.
    pub fn forward(&self, patches: &Tensor, geometry: &VisionGeometry) -> Result<Tensor, ModelError> {
        let mut xs = self.embed(patches, geometry)?;
        for (index, block) in self.blocks.iter().enumerate() {
            xs = block.forward(&xs, &geometry.rotary, self.pattern(index, geometry))?;
        }
        Ok(self.merger.forward(&xs)?.index_select(&geometry.token_inverse, 0)?)
    }

    /// As [`Self::forward`], with what [`Self::backward`] needs.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn forward_for_learning(
        &self,
        patches: &Tensor,
        geometry: &VisionGeometry,
    ) -> Result<(Tensor, BlockInputs), ModelError> {
        let mut xs = self.embed(patches, geometry)?;
        let mut inputs = Vec::with_capacity(self.blocks.len());
        for (index, block) in self.blocks.iter().enumerate() {
            let ys = block.forward(&xs, &geometry.rotary, self.pattern(index, geometry))?;
            inputs.push(std::mem::replace(&mut xs, ys));
        }
        let tokens = self.merger.forward(&xs)?.index_select(&geometry.token_inverse, 0)?;
        Ok((tokens, BlockInputs { inputs, last_output: xs }))
    }

    /// Takes the gradient of the image tokens `[tokens, out_hidden]` back; what it finds for variables goes to `sink`. A block's
    /// input is let go once it has been gone back through.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn backward(
        &self,
        passed: BlockInputs,
        of_tokens: &Tensor,
        geometry: &VisionGeometry,
        sink: &mut GradientSink<'_>,
    ) -> candle_core::Result<()> {
        // A permutation's gradient is the permutation the other way round.
        let of_tokens = of_tokens.contiguous()?.index_select(&geometry.token_order, 0)?;
        let BlockInputs { inputs, last_output } = passed;
        let mut gradient = back_through(&last_output, &of_tokens, sink, |xs| self.merger.forward(xs))?;
        drop(last_output);
        for (index, (block, input)) in self.blocks.iter().zip(inputs).enumerate().rev() {
            let pattern = self.pattern(index, geometry);
            gradient = back_through(&input, &gradient, sink, |xs| block.forward(xs, &geometry.rotary, pattern))?;
        }
        Ok(())
    }

    /// Calls `visit` with each linear layer that PEFT can adapt, and its name below `path`. The patch embedding is a
    /// convolution, which the original leaves alone.
    pub fn visit_linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) -> candle_core::Result<()> {
        for (index, block) in self.blocks.iter_mut().enumerate() {
            block.visit_linears(&format!("{path}.blocks.{index}"), visit)?;
        }
        self.merger.visit_linears(&format!("{path}.merger"), visit)
    }

    /// Patches `[rows * cols, channel * y * x]` in merge order become `[rows * cols, hidden]` in window order.
    fn embed(&self, patches: &Tensor, geometry: &VisionGeometry) -> Result<Tensor, ModelError> {
        let (rows, cols) = geometry.grid();
        let count = patches.dim(0)?;
        if count != rows * cols {
            let reason = format!("expected {} patches, found {count}", rows * cols);
            return Err(ModelError::Grid { rows, cols, merge: self.config.spatial_merge_size, reason });
        }
        let unit = self.config.merge_unit();
        let embedded = self.patch_embed.forward(patches)?; // [patches, hidden]
        let by_token = embedded.reshape((count / unit, unit * self.config.hidden_size))?;
        let in_windows = by_token.index_select(&geometry.token_order, 0)?;
        Ok(in_windows.reshape((count, self.config.hidden_size))?)
    }

    fn pattern<'g>(&self, index: usize, geometry: &'g VisionGeometry) -> &'g AttentionPattern {
        let whole = self.config.fullatt_block_indexes.contains(&index);
        if whole { &geometry.whole_image } else { &geometry.windows }
    }
}

/// What a forward pass leaves for the way back: the input of each block, and what the merger was given.
#[derive(Debug)]
pub struct BlockInputs {
    inputs: Vec<Tensor>,
    last_output: Tensor,
}
