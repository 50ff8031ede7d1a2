//! The options of `train`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Learn a better actor from logged drives (TD3)
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
The folder gets policy_step_N (a policy for every save), policy (the newest one, for a node or a replay that follows it),
training_state (what --resume goes on from), curves.csv, and events for TensorBoard. Each is replaced as a whole: a kill
at any instant leaves the old one or the new one.

Exit code 3 means that the training ran to its end, but steps of the logs were lost or refused; the report counts them.

Examples:
  planner_tuner train logs/ --checkpoint checkpoint/ --policy policy/ -o run/ --plot run/curves.png
  planner_tuner train monday/ tuesday/ --checkpoint checkpoint/ --policy policy/ -o run/ --steps 50000 --allow-mixed
  planner_tuner train logs/ --checkpoint checkpoint/ -o run/ --resume --steps 100000
  tensorboard --logdir run/")]
pub struct TrainArgs {
    /// Transition logs: files, or folders of them
    #[arg(value_name = "LOG", required = true)]
    pub(super) logs: Vec<PathBuf>,
    /// Supervised checkpoint: the critic sees parameters on the scale of its normalization
    #[arg(long, value_name = "DIR")]
    pub(super) checkpoint: PathBuf,
    /// Policy to start from: prefix (policy/policy_step_1000), folder or actor file
    #[arg(long, value_name = "PREFIX|DIR|FILE", required_unless_present = "resume", conflicts_with = "resume")]
    pub(super) policy: Option<PathBuf>,
    /// Folder for everything that comes out
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: PathBuf,
    /// Planner: dwa, teb, mppi, ddp, or a YAML file that describes another one
    #[arg(long, value_name = "NAME|FILE", default_value = "dwa")]
    pub(super) planner: String,
    /// Settings [default: as in config/td3.yaml]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// What learns
    #[arg(long, value_enum, default_value_t = Trained::Actor)]
    pub(super) train: Trained,
    /// Updates in all, those before --resume included [default: max_step of the settings]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) steps: Option<u64>,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "resume")]
    pub(super) seed: u64,
    /// Go on with the training in the output folder
    #[arg(long)]
    pub(super) resume: bool,
    /// Learn from logs of several policies, extractors or rewards together
    #[arg(long)]
    pub(super) allow_mixed: bool,
    /// Updates between two saves
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) save_every: u64,
    /// Draw the curves
    #[arg(long, value_name = "PNG")]
    pub(super) plot: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Which weights learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Trained {
    /// The actor's last layer and the critics, from the logged features; all else stays bit for bit
    Actor,
}
