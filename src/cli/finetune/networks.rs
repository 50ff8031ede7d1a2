//! The model with its LoRA and heads, from files and options.

use std::path::PathBuf;

use super::args::FinetuneArgs;
use crate::checkpoint::{HistoryConfig, SupervisedCheckpoint};
use crate::cli::progress::while_loading;
use crate::finetune::{Learner, NewHeads, OutputName, StepSettings, SupervisedHeads};
use crate::learning::{
    AdamSettings, LearningModel, LearningModelOptions, LoraLayers, LoraSettings, LoraSize, WhatLearns,
};
use crate::random::{Random, SplitMix};
use crate::tuner::QuantizeChoice;
use crate::vision_language::hub::{HubEnvironment, ModelSource};
use crate::vision_language::processor::PromptTemplate;
use crate::vision_language::{ModelConfig, Precision, Quantize};

/// What a training needs besides its data.
pub struct Networks {
    pub learner: Learner,
    /// The folder of the base model.
    pub base: PathBuf,
    /// The wording, as it goes into the checkpoint.
    pub prompt_json: String,
}

/// Loads the base model and makes or loads what learns.
///
/// # Errors
/// What does not fit.
pub fn open(args: &FinetuneArgs, planner: &str, outputs: &[OutputName]) -> anyhow::Result<Networks> {
    let from = args.from.as_ref().map(SupervisedCheckpoint::open).transpose()?;
    let base = ModelSource::parse(&args.base)?.resolve(&HubEnvironment::from_env())?;
    let device = args.compute.compute().device.open()?;
    let quantize = match QuantizeChoice::from(args.compute.quantize) {
        QuantizeChoice::Nf4 => Quantize::Nf4,
        _ => Quantize::None,
    };
    let precision = Precision::new(&device, args.compute.compute().format).quantised(quantize);
    let options = LearningModelOptions {
        base: base.clone(),
        wording: args.from.clone(),
        planner: planner.to_owned(),
        pixels: args.compute.pixels(),
        device: device.clone(),
        precision,
    };
    let hidden = ModelConfig::load(&base.join("config.json"))?.text.hidden_size;
    let heads = match &from {
        Some(from) => {
            let history = from.history_encoder.as_ref().map(|table| (&from.history_config, table));
            SupervisedHeads::saved(&from.regression_head, history, hidden, &device)?
        }
        None => {
            let history = history(args)?;
            let sizes = NewHeads { hidden, feature: args.networks.feature.into(), outputs: outputs.len(), history };
            SupervisedHeads::fresh(&sizes, &device, &mut seeded(args.seed, 2))?
        }
    };
    let heads = heads.with_dropout(args.networks.head_dropout);
    let learns = WhatLearns {
        lora: lora_size(args, from.as_ref()),
        lora_learns: args.networks.learns().lora,
        heads: heads.variables().map(|(_, variable)| variable.elem_count() as u64).sum(),
        copies: 0,
    };
    log::info!("learning takes {}", options.needs(learns)?);
    let mut model = while_loading(|progress| options.load(Some(progress)))?;
    if let Some(prompt) = &args.prompt {
        let text = std::fs::read(prompt)?;
        model.set_template(PromptTemplate::from_json(&prompt.display().to_string(), &text)?);
    }
    let prompt_json = model.template().to_json();
    let lora = lora(args, from.as_ref(), &mut model)?;
    let adam = AdamSettings { weight_decay: args.learning.weight_decay, ..AdamSettings::default() };
    let settings = StepSettings { adam, max_gradient_norm: args.learning.clip };
    let weights = outputs.iter().map(|output| output.loss_weight).collect();
    let learner = Learner::new(model, lora, heads, args.networks.learns(), (weights, settings))?;
    Ok(Networks { learner, base, prompt_json })
}

/// Values of the LoRA, before it is made or read.
fn lora_size(args: &FinetuneArgs, from: Option<&SupervisedCheckpoint>) -> LoraSize {
    match from.and_then(|from| from.adapter.as_ref()) {
        Some(adapter) => LoraSize::Saved(adapter.tensors.elements()),
        None => LoraSize::Fresh { rank: args.networks.rank.into(), targets: args.networks.targets() },
    }
}

fn lora(
    args: &FinetuneArgs,
    from: Option<&SupervisedCheckpoint>,
    model: &mut LearningModel,
) -> anyhow::Result<LoraLayers> {
    let dropout = args.networks.dropout;
    if let Some(adapter) = from.and_then(|from| from.adapter.as_ref()) {
        return Ok(model.with_lora(|model| LoraLayers::saved(adapter, dropout, model))?);
    }
    let rank = usize::from(args.networks.rank);
    let alpha = args.networks.alpha.unwrap_or(2.0 * rank as f64);
    let settings = LoraSettings { rank, alpha, dropout, targets: args.networks.targets() };
    let mut random = seeded(args.seed, 1);
    Ok(model.with_lora(|model| LoraLayers::fresh(settings, model, &mut random))?)
}

fn history(args: &FinetuneArgs) -> anyhow::Result<Option<HistoryConfig>> {
    let frames = usize::from(args.networks.history_frames);
    if frames == 0 {
        return Ok(None);
    }
    let offsets = match args.networks.history_offsets.as_slice() {
        [] => (1..=frames).collect(),
        given => given.to_vec(),
    };
    let rising = offsets.windows(2).all(|pair| matches!(pair, [newer, older] if newer < older));
    anyhow::ensure!(
        offsets.len() == frames && rising && offsets.first().is_some_and(|first| *first > 0),
        "--history-offsets are {offsets:?}, expected {frames} rising numbers from 1 on, one for each of --history-frames"
    );
    Ok(Some(HistoryConfig {
        use_history: true,
        num_history_frames: frames,
        history_dim: args.networks.history_width,
        history_image_size: args.networks.history_size,
        history_offsets: offsets,
    }))
}

/// A generator of its own for each thing that is random.
fn seeded(seed: u64, what: u64) -> Random {
    Random::new(SplitMix::new(seed ^ what.rotate_left(32)).bits())
}
