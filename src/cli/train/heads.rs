//! What the logged steps have seen, and `--train heads`: the frozen model and its cache.

use super::args::TrainArgs;
use super::run::BasePolicy;
use crate::checkpoint::{HistoryConfig, SupervisedCheckpoint};
use crate::cli::progress::counting_bar;
use crate::origin::{identify, identify_model};
use crate::td3::heads::{HeadTraining, HeadsOrigin, LearningHeads, LogObserver, ObservationTable};
use crate::td3::{LogGate, LogSummary, ReplayBuffer, StartPolicy, read_logs_with_frames};
use crate::tuner::{ModelSpec, TunerOptions};
use crate::vision_language::Precision;

/// Logged features that lie farther than this from those that are computed again were not made from these frames.
pub const FAR: f32 = 1e-2;
/// The same where bf16 or 4 bits round the matrices that a drive has merged the LoRA into, and not what stands beside them here.
pub const FAR_IF_ROUNDED: f32 = 5e-2;

/// What heads learn with.
pub struct HeadsInput {
    pub logs: LogSummary,
    pub heads: HeadTraining,
    pub origin: ModelSpec,
}

/// Reads the logs with their frames, computes the hidden states that the cache does not have, and makes the heads of a
/// policy learn. `begun` is what a resumed training was begun with.
///
/// # Errors
/// Logs that do not belong to the policy, a model that does not fit, frames that cannot be read.
pub fn open_heads(
    args: &TrainArgs,
    policy: &BasePolicy,
    begun: Option<&HeadsOrigin>,
    gate: LogGate,
    buffer: &mut ReplayBuffer,
) -> anyhow::Result<HeadsInput> {
    let model = args.model(&policy.path)?;
    let options = model.options()?;
    let origin = options.model.clone();
    let begun = begun_on(model_id(&options, &origin)?, begun, &origin)?;
    let checkpoint = SupervisedCheckpoint::open(&args.checkpoint)?;
    let (logs, table) = observe(args, history(&checkpoint), gate.with_start(start_of(&begun)), buffer)?;

    let device = options.device;
    let tuner = model.load()?;
    let heads = LearningHeads::new(&policy.set.actor, tuner.history_config(), tuner.hidden_size(), &device)?;
    let mut observer = LogObserver::new(tuner, &begun.model, &table, &args.cache(), &device)?;
    let bar = counting_bar(0, "hidden states");
    let computed = observer.fill(&table, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    log::info!("hidden states of {computed} observations were computed, those of the others are known");
    let is_fresh = policy.id == begun.policy;
    let mut heads = HeadTraining::new(begun, heads, table, Box::new(observer));
    if is_fresh {
        compare_with_log(&mut heads, buffer, FAR)?;
    }
    Ok(HeadsInput { logs, heads, origin })
}

/// The logged steps with what each of them has seen.
///
/// # Errors
/// Logs that cannot be read or do not belong together.
pub fn observe(
    args: &TrainArgs,
    history: Option<&HistoryConfig>,
    mut gate: LogGate,
    buffer: &mut ReplayBuffer,
) -> anyhow::Result<(LogSummary, ObservationTable)> {
    let mut table = ObservationTable::new(history.map_or(&[], |config| config.history_offsets.as_slice()))?;
    let logs = read_logs_with_frames(&args.logs, &mut gate, buffer, &mut table)?;
    Ok((logs, table))
}

/// What a training was begun with, on this model: on resuming the policy and extractor of its start, else those of a session.
///
/// # Errors
/// A file that cannot be read.
pub fn begun_on(model: String, begun: Option<&HeadsOrigin>, origin: &ModelSpec) -> anyhow::Result<HeadsOrigin> {
    if let Some(begun) = begun {
        return Ok(HeadsOrigin { model, ..begun.clone() });
    }
    let (policy, extractor) = identify(origin)?;
    Ok(HeadsOrigin { model, policy, extractor })
}

/// How the past is shown, if it is.
pub fn history(checkpoint: &SupervisedCheckpoint) -> Option<&HistoryConfig> {
    checkpoint.history_encoder.is_some().then_some(&checkpoint.history_config)
}

/// The policy and the extractor that logs should have been made with.
pub fn start_of(begun: &HeadsOrigin) -> StartPolicy {
    StartPolicy { id: begun.policy.clone(), extractor: Some(begun.extractor.clone()) }
}

/// The frozen model and everything else on which the last digits of its hidden states depend.
pub fn model_id(options: &TunerOptions, origin: &ModelSpec) -> anyhow::Result<String> {
    let place = if options.device.is_cpu() { "cpu" } else { "gpu" };
    Ok(format!("{} {:?} {place}", identify_model(origin)?, Precision::new(&options.device, options.format)))
}

/// Says how far features that are computed now lie from those of the log, and whether that is farther than rounding explains.
///
/// # Errors
/// When an observation cannot be seen.
pub fn compare_with_log(heads: &mut HeadTraining, buffer: &ReplayBuffer, far: f32) -> anyhow::Result<()> {
    let distance = heads.distance_from_logged(buffer)?;
    if distance <= far {
        log::info!("features computed again lie within {distance:.1e} of the logged ones");
    } else {
        log::warn!(
            "features computed again differ from the logged ones by up to {distance:.1e} of the largest: the log's frames \
             are seen otherwise than on the drive (other previous frames, another precision); what is learned is for \
             what is seen now"
        );
    }
    Ok(())
}
