//! `planner_tuner collect`: transition logs from simulated drives.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::labelling::Labelling;
use super::policies::{ComparedArgs, Policy, PolicyArg};
use super::repeats::RepeatArgs;
use super::robot::RobotArgs;
use super::worlds::{WorldsArg, WorldsFrom};
use crate::cli::Outcome;
use crate::cli::destination::{check_folder, check_new_folder};
use crate::cli::interrupt::Interrupt;
use crate::cli::model_args::missing;
use crate::cli::progress::counting_bar;
use crate::origin::{identify, short_digest};
use crate::planner::PlannerSpec;
use crate::planner::envelope::EnvelopeLimits;
use crate::simulated::{DriveLog, ExpertRules, VisionTuner};
use crate::simulation::drive::{Ending, drive};
use crate::transition::log::{EpisodeFolder, FolderStore, Placement};
use crate::transition::{EpisodeRules, Exploration, RewardWeights, Session};
use crate::vision_language::hub::HubEnvironment;

/// Two decisions farther apart are of two episodes.
const MAX_GAP: Duration = Duration::from_secs(15);

/// Drive in simulation and log every decision, to train on
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["log", "frames"]))]
#[command(after_help = "\
Logs are those of a robot, one MCAP file an episode: frames, features, actions before and after exploration, the reward's
terms. `train` makes a better policy from them, `evaluate` says whether it is one. The envelope is off, so that what was
explored is what was driven; the guard stays on.

--frames writes a folder of pictures with a table of the parameters that the rules would have chosen, whoever drove. Let a policy
drive to learn from the places that it leads the robot to.

Examples:
  planner_tuner collect --worlds generated:100-149 --policy policy/ --base model/ --checkpoint checkpoint/ \\
      --exploration 0.2 --log logs/
  planner_tuner train logs/ --checkpoint checkpoint/ --policy policy/ -o run/
  planner_tuner evaluate --worlds generated:0-49 --policy policy/ --policy run/ --base model/ --checkpoint checkpoint/
  planner_tuner collect --worlds generated:2000-2099 --policy expert --frames frames/
  planner_tuner finetune frames/ --base model/ --rank 8 -o checkpoint/")]
pub struct CollectArgs {
    /// Worlds: generated:SEED, generated:FIRST-LAST, barn, barn:ID, barn:FIRST-LAST or map:FILE.yaml; may be given several times
    #[arg(long, value_name = "WORLDS", default_value = "generated:1000-1019")]
    worlds: Vec<WorldsArg>,
    #[command(flatten)]
    from: WorldsFrom,
    /// Who drives: a policy checkpoint, or supervised; with --frames anybody who drives in `evaluate`
    #[arg(long, value_name = "POLICY", default_value = "supervised")]
    policy: PolicyArg,
    #[command(flatten)]
    compared: ComparedArgs,
    #[command(flatten)]
    robot: RobotArgs,
    #[command(flatten)]
    repeats: RepeatArgs,
    /// Standard deviation of the noise on actions
    #[arg(long, value_name = "STD", default_value_t = 0.1, value_parser = standard_deviation)]
    exploration: f64,
    /// Weights of the reward [default: config/reward.yaml as built in]
    #[arg(long, value_name = "YAML")]
    reward: Option<PathBuf>,
    /// Write the logs to this folder
    #[arg(long = "log", value_name = "DIR")]
    log: Option<PathBuf>,
    /// Write labelled pictures for `finetune` to this new folder instead: each with the parameters that rules would choose
    #[arg(long, value_name = "DIR")]
    frames: Option<PathBuf>,
    /// With --frames, the rules that label: expert, or expert:FILE
    #[arg(long, value_name = "RULES", default_value = "expert", requires = "frames", value_parser = rules)]
    label: PolicyArg,
    /// With --frames, drives at a time [default: one per core]
    #[arg(long, value_name = "N", requires = "frames")]
    workers: Option<NonZeroUsize>,
}

fn standard_deviation(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| Exploration::new(*number, 0).is_some());
    number.ok_or_else(|| "expected a number from 0".into())
}

fn rules(text: &str) -> Result<PolicyArg, String> {
    match text.parse()? {
        rules @ PolicyArg::Expert(_) => Ok(rules),
        _ => Err("expected expert or expert:FILE".to_owned()),
    }
}

/// Runs the command.
///
/// # Errors
/// Worlds and a policy that cannot be read, a model that cannot decide, and files that cannot be written.
pub fn run(args: &CollectArgs) -> anyhow::Result<Outcome> {
    match (&args.log, &args.frames) {
        (_, Some(folder)) => label(args, folder),
        (Some(folder), None) => log(args, folder),
        (None, None) => Err(missing("--log <DIR> or --frames <DIR>").into()),
    }
}

/// Labelled pictures.
fn label(args: &CollectArgs, folder: &Path) -> anyhow::Result<Outcome> {
    check_new_folder("--frames", folder)?;
    let planner = PlannerSpec::builtin("dwa")?;
    let rules = match &args.label {
        PolicyArg::Expert(Some(path)) => ExpertRules::load(path, &planner)?,
        _ => ExpertRules::builtin(&planner)?,
    };
    let labelling = Labelling {
        policy: &Policy::open(&args.policy, &args.compared)?,
        rules: &rules,
        settings: args.robot.settings(),
        latency: args.robot.latency,
        folder,
        workers: args.workers,
    };
    labelling.run(&args.from.open(&args.worlds)?, &args.repeats.seeds().collect::<Vec<_>>())
}

/// Transition logs.
fn log(args: &CollectArgs, folder: &Path) -> anyhow::Result<Outcome> {
    check_folder("--log", folder)?;
    anyhow::ensure!(
        !args.compared.has_laser_noise(),
        "--noise is for laser policies, which have no logs; the noise of what is logged is --exploration"
    );
    let worlds = args.from.open(&args.worlds)?;
    let model = args.compared.model().of(&args.policy)?;
    let (policy, extractor) = identify(&model.spec()?.locate(&HubEnvironment::from_env())?)?;
    let weights = args.reward.as_deref().map(RewardWeights::load).transpose()?.unwrap_or_default();
    let mut tuner = model.load()?;
    let planner = tuner.planner().clone();
    let session = Session {
        episode: String::new(),
        planner: planner.name().to_owned(),
        parameters: planner.parameters().iter().map(|parameter| parameter.name().to_owned()).collect(),
        feature_length: 0,
        policy: policy.clone(),
        extractor: extractor.clone(),
    };
    let store = FolderStore::open(folder, Placement::WhenWhole)
        .with_context(|| format!("the log folder {} cannot be made", folder.display()))?;
    let mut output = EpisodeFolder::new(Arc::new(store));
    let settings = args.robot.settings();

    let drives = worlds.len() as u64 * u64::from(args.repeats.count());
    let bar = counting_bar(drives, "drives");
    let interrupt = Interrupt::listen()?;
    let mut successes = 0_u64;
    let jobs = args.repeats.seeds().flat_map(|seed| worlds.iter().map(move |chosen| (seed, &chosen.world)));
    for (seed, world) in jobs {
        if interrupt.asked().is_some() {
            break;
        }
        let name = format!("{policy} {extractor} {} {seed} {}", world.name(), args.exploration);
        let run = short_digest(&name);
        let noise_seed = u64::from_str_radix(&run, 16).unwrap_or(seed);
        let exploration = Exploration::new(args.exploration, noise_seed).unwrap_or(Exploration::NONE);
        let rules = EpisodeRules { max_gap: MAX_GAP, time_out: None, weights, run };
        let log = DriveLog::begin(session.clone(), rules, exploration, &mut output);
        let mut driver =
            VisionTuner::new(&mut tuner, &planner, EnvelopeLimits::off(), args.robot.latency)?.with_log(log);
        let report = drive(world, &settings, seed, &mut driver)?;
        if let Some(log) = driver.into_log() {
            log.end(&report)?;
        }
        successes += u64::from(report.ending() == Ending::Success);
        bar.inc(1);
    }
    let done = bar.position();
    bar.finish_and_clear();
    log::info!("wrote {output}; {successes} of {done} drives reached their goal");
    if let Some(code) = interrupt.asked() {
        log::warn!("stopped after {done} of {drives} drives; what was logged until then is kept");
        return Ok(Outcome::Interrupted(code));
    }
    Ok(Outcome::Complete)
}
