//! What learning takes, said before anything large is read.

use candle_core::DType;

use super::{LearningError, LearningModelOptions};
use crate::checkpoint::TensorTable;
use crate::vision_language::processor::{ImageProcessor, ImageSize, PreprocessorConfig};
use crate::vision_language::{ModelConfig, VisionLanguageModel};
use crate::weights::{LoadPlan, LoraTargets, MemoryBudget, MergedWeights};

/// The costmap pictures of the training, pixels.
const PICTURE: ImageSize = ImageSize { width: 600, height: 400 };
/// Tokens of the built-in prompt around the image.
const PROMPT_TOKENS: u64 = 271;
/// Bytes of an f32.
const F32: u64 = 4;
/// The program itself, its buffers, what an allocator holds back.
const REST: u64 = 300 << 20;

/// Which numbers of a LoRA learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoraSize {
    /// One that begins now.
    Fresh {
        /// Inner dimension.
        rank: usize,
        /// Beside which layers.
        targets: LoraTargets,
    },
    /// One that was saved, by its number of values.
    Saved(u64),
}

/// What learns, and what is kept of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WhatLearns {
    /// The LoRA.
    pub lora: LoraSize,
    /// Whether it learns; else it only takes part.
    pub lora_learns: bool,
    /// Values of the heads.
    pub heads: u64,
    /// Copies of the LoRA besides the optimiser's two averages.
    pub copies: u64,
}

/// Bytes that a training takes at its peak, by what they are for. An estimate: what is held is exact, the intermediate results
/// of one block are counted by their shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearningNeeds {
    /// The base model's weights as they are kept.
    pub weights: u64,
    /// LoRA and heads.
    pub learned: u64,
    /// A gradient for each value of these.
    pub gradients: u64,
    /// The optimiser's averages, and other copies.
    pub optimiser: u64,
    /// The inputs of all blocks, which are kept for the way back.
    pub block_inputs: u64,
    /// Intermediate results of one block with their gradients.
    pub block: u64,
}

impl LearningNeeds {
    /// Of a model on a CPU, by its sizes and those of a usual costmap picture in a grid of `patches`.
    pub fn of(config: &ModelConfig, plan: &LoadPlan, learns: WhatLearns, patches: u64) -> Self {
        let lora = match learns.lora {
            LoraSize::Fresh { rank, targets } => lora_values(plan, rank as u64, targets),
            LoraSize::Saved(values) => values,
        };
        let learning = learns.heads + if learns.lora_learns { lora } else { 0 };
        let (text, vision) = (&config.text, &config.vision);
        let seq = patches / (vision.spatial_merge_size as u64).pow(2) + PROMPT_TOKENS;
        let hidden_states = [
            (seq, text.hidden_size, text.intermediate_size, text.num_hidden_layers),
            (patches, vision.hidden_size, vision.intermediate_size, vision.depth),
        ];
        let inputs = |(rows, hidden, _, blocks): (u64, usize, usize, usize)| rows * (hidden * blocks) as u64 * F32;
        // Of a block: about twenty results as wide as the hidden states, eight as wide as the MLP, and half as many gradients.
        let results =
            |(rows, hidden, inner, _): (u64, usize, usize, usize)| rows * (30 * hidden + 12 * inner) as u64 * F32;
        let through = u64::from(learns.lora_learns);
        Self {
            weights: plan.bytes(),
            learned: (lora + learns.heads) * F32,
            gradients: learning * F32,
            optimiser: (2 * learning + learns.copies * lora) * F32,
            block_inputs: through * hidden_states.map(inputs).iter().sum::<u64>(),
            block: hidden_states.map(results).into_iter().max().unwrap_or_default(),
        }
    }

    /// The same on a GPU. Its blocks are computed in plain operations: more of their results are held at once, the attention's
    /// scores among them, and what was freed is kept for later. Measured with the 3B shape on an H100: ten times as much.
    #[must_use]
    pub fn on_gpu(self) -> Self {
        Self { block: 10 * self.block, ..self }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        let Self { weights, learned, gradients, optimiser, block_inputs, block } = self;
        weights + learned + gradients + optimiser + block_inputs + block + REST
    }

    /// Compares with what there is.
    ///
    /// # Errors
    /// [`LearningError::Memory`] with both, and what would fit.
    pub fn check(&self, budget: MemoryBudget, in_nf4: u64) -> Result<(), LearningError> {
        let available = budget.available();
        if self.total() <= available {
            return Ok(());
        }
        let smaller = Self { weights: in_nf4.min(self.weights), ..*self };
        // Everything that grows with the rank is at most this share of itself.
        let with_rank = |needs: &Self, share: u64| {
            let part = |bytes: u64| bytes / share;
            let Self { learned, gradients, optimiser, .. } = *needs;
            let (learned, gradients, optimiser) = (part(learned), part(gradients), part(optimiser));
            Self { learned, gradients, optimiser, ..*needs }.total()
        };
        let advice = if smaller.total() <= available && smaller.weights < self.weights {
            "; with --quantize nf4 it would fit"
        } else if with_rank(self, 8) <= available {
            "; with a LoRA of an eighth of the rank it would fit"
        } else if with_rank(&smaller, 8) <= available {
            "; with --quantize nf4 and a LoRA of an eighth of the rank it would fit"
        } else {
            ""
        };
        Err(LearningError::Memory { needs: *self, available, advice })
    }
}

impl std::fmt::Display for LearningNeeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = |bytes: u64| match bytes {
            bytes if bytes >= 1 << 30 => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
            bytes => format!("{} MiB", bytes.div_ceil(1 << 20)),
        };
        let Self { weights, learned, gradients, optimiser, block_inputs, block } = *self;
        write!(
            f,
            "about {}: weights {}, LoRA and heads {}, their gradients {}, the optimiser {}, inputs of the blocks {}, one block's \
             way back {}",
            size(self.total()),
            size(weights),
            size(learned),
            size(gradients),
            size(optimiser),
            size(block_inputs),
            size(block)
        )
    }
}

impl LearningModelOptions {
    /// What learning with this model will take, and whether there is as much. Of the weights, only names and shapes are read.
    ///
    /// # Errors
    /// [`LearningError::Memory`] where there is less; what cannot be read.
    pub fn needs(&self, learns: WhatLearns) -> Result<LearningNeeds, LearningError> {
        let config = ModelConfig::load(&self.base.join("config.json"))?;
        let weights = MergedWeights::new(TensorTable::open_sharded(&self.base)?, None)?;
        let precision = if weights.is_quantised() { self.precision.already_quantised() } else { self.precision };
        let plan = VisionLanguageModel::plan(&config, precision)?;
        let preprocessor = PreprocessorConfig::load(&self.base, self.wording.as_deref(), self.pixels)?;
        let ImageSize { width, height } = ImageProcessor::new(preprocessor).resized_size(PICTURE)?;
        let side = config.vision.patch_size.max(1) as u64;
        let patches = (u64::from(width) / side) * (u64::from(height) / side);
        let needs = LearningNeeds::of(&config, &plan, learns, patches);
        let needs = if self.device.is_cpu() { needs } else { needs.on_gpu() };
        if let Some(budget) = MemoryBudget::of_device(&self.device) {
            needs.check(budget, plan.bytes_as(DType::F4))?;
        }
        Ok(needs)
    }
}

/// Values of a LoRA that begins now: `rank` rows and columns for each matrix that it stands beside.
fn lora_values(plan: &LoadPlan, rank: u64, targets: LoraTargets) -> u64 {
    let matrices = plan.names().filter_map(|name| {
        let layer = name.strip_suffix(".weight")?;
        let in_a_block = layer.contains(".layers.") || layer.contains(".blocks.") || layer.contains(".merger.mlp.");
        match plan.shape(name)? {
            &[rows, cols] if in_a_block && targets.include(layer) => Some((rows + cols) as u64),
            _ => None,
        }
    });
    rank * matrices.sum::<u64>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::Device;

    use super::*;
    use crate::vision_language::{Precision, WeightFormat};

    fn of_the_3b(rank: usize) -> (LearningNeeds, u64) {
        let config = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/bench/3b.json");
        let config = ModelConfig::load(&config).unwrap();
        let plan = VisionLanguageModel::plan(&config, Precision::new(&Device::Cpu, Some(WeightFormat::Bf16))).unwrap();
        let lora = LoraSize::Fresh { rank, targets: LoraTargets::ALL };
        let learns = WhatLearns { lora, lora_learns: true, heads: 10_000_000, copies: 0 };
        (LearningNeeds::of(&config, &plan, learns, 42 * 28), plan.bytes_as(DType::F4))
    }

    #[test]
    fn a_lora_has_its_rank_times_rows_and_columns_of_its_matrices() {
        let (needs, _) = of_the_3b(128);
        // Counted by hand: 36 text layers, 32 vision blocks, the merger.
        let text = 36 * ((2048 + 2048) * 2 + (2048 + 256) * 2 + (2048 + 11008) * 3);
        let vision = 32 * ((1280 + 3840) + (1280 + 1280) + (1280 + 3420) * 3);
        let merger = (5120 + 5120) + (5120 + 2048);
        assert_eq!(needs.learned, 4 * (128 * (text + vision + merger) + 10_000_000));
        assert_eq!((needs.gradients, needs.optimiser), (needs.learned, 2 * needs.learned));
    }

    #[test]
    fn what_does_not_fit_is_said_with_what_would() {
        let (needs, in_nf4) = of_the_3b(128);
        assert!(needs.check(MemoryBudget::of_bytes(needs.total()), in_nf4).is_ok());
        let refused = |gigabytes: u64| {
            needs.check(MemoryBudget::of_bytes(gigabytes * 1_000_000_000), in_nf4).unwrap_err().to_string()
        };
        let said = refused(12);
        assert!(said.starts_with("learning takes about 1") && said.contains("there are 11.2 GiB"), "{said}");
        assert!(said.ends_with("with --quantize nf4 it would fit"), "{said}");
        assert!(refused(4).ends_with("with --quantize nf4 and a LoRA of an eighth of the rank it would fit"));
        assert!(refused(1).ends_with("GiB"));
    }
}
