//! `--train lora`: the vision-language model with a LoRA that learns, and what the logged steps have seen.

use super::args::TrainArgs;
use super::heads::{FAR, FAR_IF_ROUNDED, HeadsInput, begun_on, compare_with_log, history, model_id, observe, start_of};
use super::run::BasePolicy;
use crate::checkpoint::SupervisedCheckpoint;
use crate::cli::progress::while_loading;
use crate::learning::{LoraLayers, LoraSize, WhatLearns};
use crate::td3::heads::{HeadTraining, HeadsOrigin, LearningHeads, LearningView};
use crate::td3::{LogGate, ReplayBuffer};
use crate::tuner::ModelSpec;
use crate::vision_language::{ModelConfig, Precision};
use anyhow::Context as _;

/// Reads the logs with their frames, and makes the heads of a policy and the LoRA in front of them learn. `begun` is what a
/// resumed training was begun with.
///
/// # Errors
/// Logs that do not belong to the policy, a model that does not fit, a checkpoint without a LoRA, frames that cannot be read.
pub fn open_lora(
    args: &TrainArgs,
    policy: &BasePolicy,
    begun: Option<&HeadsOrigin>,
    gate: LogGate,
    buffer: &mut ReplayBuffer,
) -> anyhow::Result<HeadsInput> {
    let options = args.model(&policy.path)?.options()?;
    let origin = options.model.clone();
    // The policy's adapter learns; what stays as it is is told by the checkpoint that it came from.
    let model = model_id(&options, &ModelSpec { policy: None, ..origin.clone() })?;
    let begun = begun_on(model, begun, &origin)?;
    let checkpoint = SupervisedCheckpoint::open(&args.checkpoint)?;
    let adapter = policy.files.lora_adapter.as_ref().or(checkpoint.adapter.as_ref()).with_context(|| {
        format!("{} has no LoRA to start from; make one with planner_tuner finetune", args.checkpoint.display())
    })?;
    let (logs, table) = observe(args, history(&checkpoint), gate.with_start(start_of(&begun)), buffer)?;

    let (learning, device) = (options.learning(&policy.files), options.device);
    let precision = learning.precision;
    let hidden = ModelConfig::load(&origin.base.join("config.json"))?.text.hidden_size;
    let heads = LearningHeads::new(&policy.set.actor, history(&checkpoint), hidden, &device)?;
    let learns = WhatLearns {
        lora: LoraSize::Saved(adapter.tensors.elements()),
        lora_learns: true,
        heads: heads.values().len() as u64,
        copies: 1,
    };
    log::info!("learning takes {}", learning.needs(learns)?);
    args.heads.compute.start_threads();
    let mut model = while_loading(|progress| learning.load(Some(progress)))?;
    let lora = model.with_lora(|model| LoraLayers::saved(adapter, 0.0, model))?;
    let size = history(&checkpoint).map(|config| config.history_image_size);
    let view = LearningView::new((model, lora), origin.base.display().to_string(), size, &table)?;
    let is_fresh = policy.id == begun.policy;
    let mut heads = HeadTraining::with_lora(begun, heads, table, view);
    if is_fresh {
        let is_exact = precision == Precision::F32;
        compare_with_log(&mut heads, buffer, if is_exact { FAR } else { FAR_IF_ROUNDED })?;
    }
    Ok(HeadsInput { logs, heads, origin })
}
