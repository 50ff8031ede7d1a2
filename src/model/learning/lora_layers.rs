//! The LoRA of a model: a pair of variables beside each of its adapted layers.

use candle_core::{DType, Device, Tensor, Var};

use super::{LearningError, LoraSettings};
use crate::checkpoint::{Adapter, AdapterFiles, StateDict};
use crate::vision_language::{Dropout, DropoutStep, LoraPair, VisionLanguageModel};
use crate::weights::LoraAdapter;
use planner_tuner_core::random::Random;

/// All pairs of a LoRA that learns, in the order of the model: vision blocks, merger, layers of the language model.
#[derive(Debug)]
pub struct LoraLayers {
    settings: LoraSettings,
    pairs: Vec<(String, LoraPair)>,
    dropout: DropoutStep,
}

impl LoraLayers {
    /// Puts a LoRA that changes nothing yet beside the chosen layers, as PEFT does: A uniform in `±1 / sqrt(in)` (Kaiming
    /// with a = sqrt(5)), B zero.
    ///
    /// # Errors
    /// [`LearningError::Rank`] for a rank that a layer does not have, [`LearningError::NoTargets`].
    pub fn fresh(
        settings: LoraSettings,
        model: &mut VisionLanguageModel,
        random: &mut Random,
    ) -> Result<Self, LearningError> {
        let rank = settings.rank;
        let device = model.device().clone();
        let start = |_: &str, [rows, cols]: [usize; 2]| {
            let bound = 1.0 / (cols as f64).sqrt();
            let a = (0..rank * cols).map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32).collect::<Vec<_>>();
            let a = Tensor::from_vec(a, (rank, cols), &Device::Cpu)?.to_device(&device)?;
            Ok([a, Tensor::zeros((rows, rank), DType::F32, &device)?])
        };
        Self::put(settings, model, start)
    }

    /// Puts an adapter as it was saved beside its layers, to go on with. Of the settings, only dropout is not the adapter's.
    ///
    /// # Errors
    /// [`LearningError::Weights`] when it is for another model, [`LearningError::Patterns`] when its layers differ in rank or
    /// scale.
    pub fn saved(adapter: &Adapter, dropout: f64, model: &mut VisionLanguageModel) -> Result<Self, LearningError> {
        let config = &adapter.config;
        let differs = |field| LearningError::Patterns { path: adapter.path.display().to_string(), field };
        if !config.rank_pattern.is_empty() {
            return Err(differs("rank_pattern"));
        }
        if !config.alpha_pattern.is_empty() {
            return Err(differs("alpha_pattern"));
        }
        let alpha = config.scale() * config.rank as f64;
        let lora = LoraAdapter::new(config, adapter.tensors.clone())?;
        let targets = lora.targets();
        let settings = LoraSettings { rank: config.rank, alpha, dropout, targets };
        let mut shapes = std::collections::BTreeMap::new();
        model.visit_linears(&mut |name, linear| {
            shapes.insert(format!("{name}.weight"), linear.shape().to_vec());
            Ok(())
        })?;
        lora.check(|weight| shapes.get(weight).cloned())?;
        let device = model.device().clone();
        let unread = |error: crate::weights::WeightError| candle_core::Error::wrap(error);
        Self::put_where(
            settings,
            model,
            |name| lora.adapts(&format!("{name}.weight")),
            |name, _| lora.read_pair(&format!("{name}.weight"), &device).map_err(unread),
        )
    }

    fn put(
        settings: LoraSettings,
        model: &mut VisionLanguageModel,
        start: impl FnMut(&str, [usize; 2]) -> candle_core::Result<[Tensor; 2]>,
    ) -> Result<Self, LearningError> {
        let targets = settings.targets;
        Self::put_where(settings, model, |name| targets.include(name), start)
    }

    fn put_where(
        settings: LoraSettings,
        model: &mut VisionLanguageModel,
        is_target: impl Fn(&str) -> bool,
        mut start: impl FnMut(&str, [usize; 2]) -> candle_core::Result<[Tensor; 2]>,
    ) -> Result<Self, LearningError> {
        let (mut pairs, mut unfit) = (Vec::new(), None);
        let dropout = DropoutStep::default();
        let (rank, scale) = (settings.rank, settings.alpha / settings.rank as f64);
        model.visit_linears(&mut |layer, linear| {
            if !is_target(&layer) {
                return Ok(());
            }
            let [rows, cols] = linear.shape();
            let most = rows.min(cols);
            if rank > most {
                unfit.get_or_insert(LearningError::Rank { layer, rank, rows, cols, most });
                return Ok(());
            }
            let [a, b] = start(&layer, [rows, cols])?;
            let pair = LoraPair::new(Var::from_tensor(&a)?, Var::from_tensor(&b)?, scale)?;
            let pair = match settings.dropout {
                0.0 => pair,
                share => pair.with_dropout(Dropout::new(share, pairs.len() as u64, dropout.clone())),
            };
            linear.set_lora(Some(pair.clone()));
            pairs.push((layer, pair));
            Ok(())
        })?;
        match unfit {
            Some(unfit) => Err(unfit),
            None if pairs.is_empty() => Err(LearningError::NoTargets),
            None => Ok(Self { settings, pairs, dropout }),
        }
    }

    /// Rank, scale and layers.
    pub fn settings(&self) -> &LoraSettings {
        &self.settings
    }

    /// All variables with their names in PEFT's files, A before B.
    pub fn variables(&self) -> impl Iterator<Item = (String, &Var)> {
        self.pairs.iter().flat_map(|(layer, pair)| {
            let named = |half: &str| format!("{}.{half}.weight", peft_name(layer));
            [(named("lora_A"), pair.a()), (named("lora_B"), pair.b())]
        })
    }

    /// The published names of the adapted layers.
    pub fn layers(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(layer, _)| layer.as_str())
    }

    /// Chooses what dropout leaves out until the next call; `None` for evaluation.
    pub fn set_dropout(&self, seed: Option<u64>) {
        self.dropout.set(seed);
    }

    /// The tensors under PEFT's names.
    ///
    /// # Errors
    /// When the device refuses to hand out its numbers.
    pub fn state_dict(&self) -> Result<StateDict, LearningError> {
        let to_cpu =
            |(name, variable): (String, &Var)| Ok((name, variable.as_detached_tensor().to_device(&Device::Cpu)?));
        Ok(StateDict::new(self.variables().map(to_cpu).collect::<candle_core::Result<_>>()?)?)
    }

    /// The adapter as PEFT saves it. `base` is noted as where the base model came from.
    ///
    /// # Errors
    /// When the device refuses to hand out its numbers.
    pub fn files(&self, base: &str) -> Result<AdapterFiles, LearningError> {
        Ok(AdapterFiles::new(self.adapter_config(base), &self.state_dict()?)?)
    }
}

/// A layer's name in the model that PEFT wraps: transformers' since 4.52.
fn peft_name(published: &str) -> String {
    match published.strip_prefix("model.") {
        Some(text) => format!("base_model.model.model.language_model.{text}"),
        None => format!("base_model.model.model.{published}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_have_the_names_of_the_current_transformers() {
        assert_eq!(
            peft_name("model.layers.0.self_attn.q_proj"),
            "base_model.model.model.language_model.layers.0.self_attn.q_proj"
        );
        assert_eq!(peft_name("visual.merger.mlp.0"), "base_model.model.model.visual.merger.mlp.0");
    }
}
