//! The options of `learn`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::demo::Demo;
use crate::cli::model_args::missing;
use crate::cli::train::Trained;

/// Learn by driving: collect, train, evaluate, in rounds, and keep the best policy
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
A round lets the best policy so far drive with noise through worlds it has not seen, trains on all logs so far, and drives both
through the held-out worlds. The better one goes into the next round. Every step is a command of this program, which is printed:
`collect`, `train`, `evaluate`.

The folder gets rounds.csv (a row a round), policy (the best so far, for a node or a replay that follows it), and for each round
its logs, its training and every drive of its evaluation. --resume continues after the last row.

Examples:
  planner_tuner learn --demo -o learned/ --rounds 3
  planner_tuner learn --base model/ --checkpoint checkpoint/ --policy policy/ -o learned/ --rounds 10 --train heads
  planner_tuner learn --demo -o learned/ --rounds 6 --resume")]
pub struct LearnArgs {
    /// Begin with the small model that comes with the source code
    #[arg(long, conflicts_with_all = ["base", "checkpoint", "policy"])]
    demo: bool,
    /// Base model: a folder, or an id on the Hugging Face Hub (owner/name[@revision])
    #[arg(long, value_name = "DIR|ID")]
    base: Option<String>,
    /// Supervised checkpoint
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Policy to begin with: prefix, folder or actor file
    #[arg(long, value_name = "PREFIX|DIR|FILE")]
    policy: Option<PathBuf>,
    /// Folder for everything
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: PathBuf,
    /// Continue after the last round in the folder
    #[arg(long)]
    pub(super) resume: bool,
    /// Rounds in all
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) rounds: u32,
    /// First of the generated worlds to learn in; every round takes the next ones
    #[arg(long, value_name = "SEED", default_value_t = 3000)]
    pub(super) first_world: u32,
    /// Worlds of a round
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) worlds_each: u32,
    /// Held-out worlds to evaluate in, as evaluate takes them
    #[arg(long, value_name = "WORLDS", default_value = "generated:9000-9039")]
    pub(super) kept: String,
    /// Standard deviation of the noise on actions while collecting
    #[arg(long, value_name = "STD", default_value_t = 0.2)]
    pub(super) exploration: f64,
    /// What learns
    #[arg(long, value_enum, default_value_t = Trained::Actor)]
    pub(super) train: Trained,
    /// Settings of the training [default: as in config/td3.yaml]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Updates of a round
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) steps: u64,
    /// A drive of more time is too slow, s
    #[arg(long, value_name = "S", default_value_t = 100.0)]
    pub(super) time_limit: f64,
    /// How long the model takes in simulated time, s
    #[arg(long, value_name = "S", default_value_t = 0.3)]
    pub(super) latency: f64,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,
}

/// The model that learns.
pub struct Learner {
    pub base: String,
    pub checkpoint: PathBuf,
    /// The policy that it begins with.
    pub policy: PathBuf,
}

impl LearnArgs {
    /// The model that is meant.
    ///
    /// # Errors
    /// A usage error when an option is missing; a demo that is not there.
    pub(super) fn learner(&self) -> anyhow::Result<Learner> {
        if self.demo {
            let Demo { base, checkpoint, policy, .. } = Demo::find()?;
            return Ok(Learner { base: base.display().to_string(), checkpoint, policy });
        }
        let base = self.base.clone().ok_or_else(|| missing("--base <DIR|ID>, or --demo"))?;
        let checkpoint = self.checkpoint.clone().ok_or_else(|| missing("--checkpoint <DIR>"))?;
        let policy = self.policy.clone().ok_or_else(|| missing("--policy <PREFIX|DIR|FILE>"))?;
        Ok(Learner { base, checkpoint, policy })
    }
}
