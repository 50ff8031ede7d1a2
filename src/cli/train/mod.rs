//! `planner_tuner train`: a better actor from logged drives.

mod args;
mod report;

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use indicatif::ProgressBar;

use self::report::Report;
use super::Outcome;
use super::model_args::{bar_style, planner_named};
use super::stdout;
use crate::checkpoint::{Normalization, PolicyCheckpoint, PolicySet, SavedPolicy, VlmInfo, sha256_of};
use crate::picture::{Curve, CurveSheet, plot_curves};
use crate::planner::PlannerSpec;
use crate::td3::{
    ActionSpace, CurveFiles, LogGate, LogSummary, Mixing, ReplayBuffer, SavedTraining, StartPolicy, TrainConfig,
    TrainError, Training, actor_of, changes_of, read_logs, trained_policy,
};
use crate::transition::{ExtractorId, PolicyId};

pub use args::{TrainArgs, Trained};

/// The name of the newest policy, which others follow.
const LIVE: &str = "policy";

/// Runs the command.
///
/// # Errors
/// What cannot be read or written, logs that do not belong together, a training that went astray.
pub fn run(args: &TrainArgs) -> anyhow::Result<Outcome> {
    let planner = planner_named(&args.planner)?;
    let mut run = Run::open(args, planner)?;
    let steps = args.steps.unwrap_or(run.training.config().max_step);
    let begun = run.training.iteration();
    let mut curves = CurveFiles::open(&args.output, run.training.learner().space(), begun, now())?;
    log::info!("{}", run.describe());

    let bar = ProgressBar::new(steps)
        .with_style(bar_style("{bar:30} {pos}/{len} updates {per_sec} {eta}  critic loss {msg}"))
        .with_position(begun);
    bar.reset_eta();
    let mut learning = std::time::Duration::ZERO;
    while run.training.iteration() < steps {
        let start = Instant::now();
        let point = run.training.step()?;
        learning += start.elapsed();
        bar.inc(1);
        if let Some(point) = point {
            let loss = point.values.first().copied().flatten();
            bar.set_message(loss.map_or_else(|| "none".to_owned(), |loss| format!("{loss:.4}")));
            curves.add(point, now())?;
        }
        let iteration = run.training.iteration();
        if iteration.is_multiple_of(args.save_every) && iteration < steps {
            run.save(args)?;
        }
    }
    bar.finish_and_clear();
    let saved = run.save(args)?;
    if let Some(path) = &args.plot {
        plot(path, &curves, &run)?;
    }
    let updates = run.training.iteration().saturating_sub(begun);
    let rate = (updates > 0).then(|| updates as f64 / learning.as_secs_f64());
    let report = Report {
        training: &run.training,
        logs: &run.logs,
        saved: &saved,
        rate,
        changes: changes_of(&run.training)?,
        curves: &curves,
    };
    stdout::write(&if args.json { report.as_json() } else { report.as_text() })?;
    Ok(if run.logs.is_complete() { Outcome::Complete } else { Outcome::DataLost })
}

/// A training with what it was made of.
struct Run {
    planner: PlannerSpec,
    /// The policy that all but the actor's layer is taken from.
    base: PolicySet,
    logs: LogSummary,
    training: Training,
}

impl Run {
    fn open(args: &TrainArgs, planner: PlannerSpec) -> anyhow::Result<Self> {
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
        let (base, start) = Self::base_policy(args, saved.as_ref())?;
        let actor = actor_of(&base.actor, &planner)?;
        let space = ActionSpace::new(&planner, &Normalization::open(&args.checkpoint)?)?;
        let mixing = if args.allow_mixed { Mixing::Allowed } else { Mixing::Refused };
        let mut gate = LogGate::new(planner.clone(), actor.inputs(), mixing).with_start(start);
        let mut buffer = ReplayBuffer::new(space.clone(), actor.inputs(), config.buffer_size, config.reward_limit);
        let logs = read_logs(&args.logs, &mut gate, &mut buffer)?;
        std::fs::create_dir_all(&args.output)
            .with_context(|| format!("{} cannot be created", args.output.display()))?;
        let training = match saved {
            Some(saved) => {
                if saved.logs() != logs.digest {
                    log::warn!("the logs are not those that this training learned from so far; it goes on with these");
                }
                saved.resume(config, space, actor.inputs(), buffer)?
            }
            None => Training::start(config, space, actor, buffer, args.seed)?,
        };
        Ok(Self { planner, base, logs, training })
    }

    /// The start policy, or on resuming the one that was saved with the training: the same but for its actor's layer.
    fn base_policy(args: &TrainArgs, saved: Option<&SavedTraining>) -> anyhow::Result<(PolicySet, StartPolicy)> {
        let path = match (saved, &args.policy) {
            (Some(saved), _) => args.output.join(step_name(saved.step())),
            (None, Some(policy)) => policy.clone(),
            (None, None) => return Err(super::model_args::missing("--policy <PREFIX|DIR|FILE>").into()),
        };
        let policy = PolicyCheckpoint::open(&path)?;
        anyhow::ensure!(
            policy.lora_adapter.is_none(),
            "{} has an adapter of its own, which a trained policy cannot carry over yet; start from one without",
            path.display()
        );
        let mut set = PolicySet::read(&policy)?;
        let use_history = set.actor.iter().any(|(name, _)| name.starts_with("feature_extractor.history_encoder."));
        set.vlm_info.get_or_insert_with(|| VlmInfo {
            checkpoint_path: args.checkpoint.display().to_string(),
            use_4bit: false,
            use_history,
            vlm_trainable: false,
        });
        let start = StartPolicy {
            id: PolicyId(sha256_of(&policy.path)?),
            extractor: set.origin.extractor.clone().map(ExtractorId),
        };
        Ok((set, start))
    }

    /// Policy first: a training that can be resumed always has its policy.
    fn save(&self, args: &TrainArgs) -> Result<SavedPolicy, TrainError> {
        let policy = trained_policy(&self.base, &self.training, &self.planner, &self.logs)?;
        let saved = policy.save(&args.output, &step_name(self.training.iteration()))?;
        self.training.save(&args.output, &self.logs.digest)?;
        policy.save(&args.output, LIVE)?;
        Ok(saved)
    }

    fn describe(&self) -> String {
        let sampler = self.training.sampler();
        let kept = sampler.buffer().len();
        let dropped = match self.logs.steps.saturating_sub(kept) {
            0 => String::new(),
            dropped => format!(" ({dropped} older ones do not fit in buffer_size)"),
        };
        format!(
            "{} steps of {} episodes{dropped}, {} windows of up to {} steps; rewards times {}",
            self.logs.steps,
            self.logs.episodes,
            sampler.windows(),
            sampler.n_step,
            self.training.reward_scale(),
        )
    }
}

fn step_name(step: u64) -> String {
    format!("policy_step_{step}")
}

/// The settings of a saved training, if those that were given are no others. How long it lasts may change.
fn same_settings(saved: &SavedTraining, given: Option<TrainConfig>) -> anyhow::Result<TrainConfig> {
    let mut config = saved.config().clone();
    let Some(given) = given else { return Ok(config) };
    config.max_step = given.max_step;
    let (old, new) = (serde_json::to_value(&config)?, serde_json::to_value(&given)?);
    let keys = old.as_object().into_iter().flatten();
    for (key, old) in keys {
        let new = new.get(key).unwrap_or(&serde_json::Value::Null);
        anyhow::ensure!(
            old == new,
            "the training was begun with {key} {old}, --config says {new}; go on without --config, or begin another \
             training in another folder"
        );
    }
    Ok(config)
}

fn plot(path: &Path, curves: &CurveFiles, run: &Run) -> anyhow::Result<()> {
    let of = |(index, name): (usize, &String)| {
        let points = curves.points().iter();
        let points = points.filter_map(|point| Some((point.step as f64, (*point.values.get(index)?)?))).collect();
        Curve { name: name.clone(), points, range: name.starts_with("saturation/").then_some((0.0, 1.0)) }
    };
    let sheet = CurveSheet {
        title: format!("Training for {}", run.planner.name()),
        subtitle: run.describe(),
        curves: curves.names().iter().enumerate().map(of).collect(),
    };
    Ok(plot_curves(path, &sheet)?)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
