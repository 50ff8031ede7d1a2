//! A training with what it is made of.

use anyhow::Context as _;

use super::args::TrainArgs;
use super::heads::{HeadsInput, open_heads};
use super::lora::open_lora;
use super::{LIVE, same_settings, step_name};
use crate::checkpoint::{HISTORY_ENCODER, Normalization, PolicyCheckpoint, PolicySet, SavedPolicy, VlmInfo, sha256_of};
use crate::cli::model_args::missing;
use crate::identity::{ExtractorId, PolicyId};
use crate::origin::identify_extractor;
use crate::planner::PlannerSpec;
use crate::td3::{
    ActionSpace, Learns, LogGate, LogSummary, Mixing, ReplayBuffer, SavedTraining, StartPolicy, TrainConfig,
    TrainError, Training, actor_of, trained_policy,
};
use crate::tuner::ModelSpec;

/// A training with what it was made of.
pub struct Run {
    pub planner: PlannerSpec,
    /// The policy that all but what learns is taken from.
    base: PolicySet,
    pub logs: LogSummary,
    pub training: Training,
    /// Where heads learn: what makes an extractor of them.
    extractor_origin: Option<ModelSpec>,
}

/// The policy that is trained, as it lies on disk.
pub struct BasePolicy {
    pub files: PolicyCheckpoint,
    pub set: PolicySet,
    pub path: std::path::PathBuf,
    pub id: PolicyId,
}

impl Run {
    /// Reads everything that a training needs, or what `--resume` goes on with.
    ///
    /// # Errors
    /// What cannot be read, or does not belong together.
    pub fn open(args: &TrainArgs, planner: PlannerSpec) -> anyhow::Result<Self> {
        let given = args.config.as_deref().map(TrainConfig::load).transpose()?;
        let saved = match (SavedTraining::open(&args.output), args.resume) {
            (saved, true) => Some(saved?),
            (Err(TrainError::NothingToResume { .. }), false) => None,
            (_, false) => {
                let folder = args.output.display();
                anyhow::bail!("{folder} holds a training; go on with it by --resume, or give another folder with -o")
            }
        };
        let config = match (&saved, given) {
            (Some(saved), given) => same_settings(saved, given)?,
            (None, given) => given.unwrap_or_default(),
        };
        let trained = trained(args, saved.as_ref())?;
        let policy = base_policy(args, saved.as_ref())?;
        let actor = actor_of(&policy.set.actor, &planner)?;
        let space = ActionSpace::new(&planner, &Normalization::open(&args.checkpoint)?)?;
        let mixing = if args.allow_mixed { Mixing::Allowed } else { Mixing::Refused };
        let gate = LogGate::new(planner.clone(), actor.inputs(), mixing);
        let mut buffer = ReplayBuffer::new(space.clone(), actor.inputs(), config.buffer_size, config.reward_limit);
        let (logs, heads, extractor_origin) = match trained {
            Learns::Actor => {
                let extractor = policy.set.origin.extractor.clone().map(ExtractorId);
                let mut gate = gate.with_start(StartPolicy { id: policy.id.clone(), extractor });
                (crate::td3::read_logs(&args.logs, &mut gate, &mut buffer)?, None, None)
            }
            learns @ (Learns::Heads | Learns::Lora) => {
                let begun = saved.as_ref().and_then(SavedTraining::heads);
                let open = if learns == Learns::Lora { open_lora } else { open_heads };
                let HeadsInput { logs, heads, origin } = open(args, &policy, begun, gate, &mut buffer)?;
                (logs, Some(heads), Some(origin))
            }
        };
        // Not before the logs are known to be of use: a wish that is refused leaves nothing.
        std::fs::create_dir_all(&args.output)
            .with_context(|| format!("{} cannot be created", args.output.display()))?;
        let training = match saved {
            Some(saved) => {
                if saved.logs() != logs.digest {
                    log::warn!("the logs are not those that this training learned from so far; it goes on with these");
                }
                saved.resume(config, space, buffer, heads)?
            }
            None => Training::start(config, space, actor, buffer, args.seed)?.with_heads(heads),
        };
        Ok(Self { planner, base: policy.set, logs, training, extractor_origin })
    }

    /// Policy first: a training that can be resumed always has its policy.
    ///
    /// # Errors
    /// What cannot be written; what was saved before is then still there.
    pub fn save(&self, args: &TrainArgs) -> anyhow::Result<SavedPolicy> {
        let mut policy = trained_policy(&self.base, &self.training, &self.planner, &self.logs)?;
        if let Some(origin) = &self.extractor_origin {
            policy.origin.extractor = Some(identify_extractor(origin, &policy)?.0);
        }
        let saved = policy.save(&args.output, &step_name(self.training.iteration()))?;
        self.training.save(&args.output, &self.logs.digest)?;
        policy.save(&args.output, LIVE)?;
        Ok(saved)
    }

    /// What is learned from.
    pub fn describe(&self) -> String {
        let sampler = self.training.sampler();
        let kept = sampler.buffer().len();
        let dropped = match self.logs.steps.saturating_sub(kept) {
            0 => String::new(),
            dropped => format!(" ({dropped} older ones do not fit in buffer_size)"),
        };
        format!(
            "{} steps of {} episodes{dropped}, {} windows of up to {} steps; rewards times {}; learning: {}",
            self.logs.steps,
            self.logs.episodes,
            sampler.windows(),
            sampler.n_step(),
            self.training.reward_scale(),
            self.training.learns().name(),
        )
    }
}

/// What learns: what was asked for, or what learned before.
fn trained(args: &TrainArgs, saved: Option<&SavedTraining>) -> Result<Learns, TrainError> {
    let (begun, asked) = (saved.map(SavedTraining::learns), args.train.map(Learns::from));
    match (begun, asked) {
        (Some(begun), Some(asked)) if begun != asked => {
            Err(TrainError::OtherMode { begun: begun.name(), asked: asked.name() })
        }
        (begun, asked) => Ok(begun.or(asked).unwrap_or(Learns::Actor)),
    }
}

/// The start policy, or on resuming the one that was saved with the training: the same but for what has learned.
fn base_policy(args: &TrainArgs, saved: Option<&SavedTraining>) -> anyhow::Result<BasePolicy> {
    let path = match (saved, &args.policy) {
        (Some(saved), _) => args.output.join(step_name(saved.step())),
        (None, Some(policy)) => policy.clone(),
        (None, None) => return Err(missing("--policy <PREFIX|DIR|FILE>").into()),
    };
    let policy = PolicyCheckpoint::open(&path)?;
    let mut set = PolicySet::read(&policy)?;
    let use_history = set.actor.iter().any(|(name, _)| name.starts_with(HISTORY_ENCODER));
    set.vlm_info.get_or_insert_with(|| VlmInfo {
        checkpoint_path: args.checkpoint.display().to_string(),
        use_4bit: false,
        use_history,
        vlm_trainable: false,
    });
    Ok(BasePolicy { set, path, id: PolicyId(sha256_of(&policy.path)?), files: policy })
}
