//! The options of `train`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::choices::{HeadArg, HiddenFormatArg};
use crate::cli::model_args::{ComputeArgs, ModelArgs, missing};
use crate::td3::Learns;
use crate::td3::heads::CacheSettings;

/// Learn a better actor from logged drives (TD3)
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
The folder gets policy_step_N (a policy for every save), policy (the newest one, for a node or a replay that follows it),
training_state (what --resume goes on from), curves.csv, and events for TensorBoard. Each is replaced as a whole: a kill
at any instant leaves the old one or the new one.

Exit code 3 means that the training ran to its end, but steps of the logs were lost or refused; the report counts them.

Examples:
  planner_tuner train logs/ --checkpoint checkpoint/ --policy policy/ -o run/ --plot run/curves.png
  planner_tuner train logs/ --checkpoint checkpoint/ --policy policy/ -o run/ --html run/training.html
  planner_tuner train monday/ tuesday/ --checkpoint checkpoint/ --policy policy/ -o run/ --steps 50000 --allow-mixed
  planner_tuner train logs/ --checkpoint checkpoint/ -o run/ --resume --steps 100000
  planner_tuner train logs/ --checkpoint checkpoint/ --policy policy/ -o run/ --train heads --base model/
  planner_tuner train logs/ --checkpoint checkpoint/ --policy policy/ -o run/ --train lora --base model/ --device cuda:0
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
    /// Output folder
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: PathBuf,
    /// Planner: dwa, teb, mppi, ddp, or a YAML file that describes another one
    #[arg(long, value_name = "NAME|FILE", default_value = "dwa")]
    pub(super) planner: String,
    /// Settings [default: as in config/td3.yaml]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// What learns [default: actor; with --resume what learned before]
    #[arg(long, value_enum)]
    pub(super) train: Option<Trained>,
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
    /// Write a page with summary, curves and tables: one file that any browser opens, without a network
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) heads: HeadsArgs,
}

/// What `--train heads` and `--train lora` need to see the logged frames.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The model (--train heads, --train lora)")]
pub struct HeadsArgs {
    /// Base model: a folder, or an id on the Hugging Face Hub (owner/name[@revision])
    #[arg(long, value_name = "DIR|ID")]
    pub(super) base: Option<String>,
    /// With --train heads: folder for the frozen model's hidden states, computed once for each logged frame [default:
    /// hidden_states in the output folder]. Several trainings may share one
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Most GiB that the folder takes; what was not used for longest goes. A frame of the 3B model takes 18 MiB
    #[arg(long, value_name = "GIB", default_value = "16", value_parser = gibibytes)]
    cache_limit: u64,
    /// Format in which they are kept
    #[arg(long, value_enum, default_value_t)]
    cache_format: HiddenFormatArg,
    #[command(flatten)]
    pub(super) compute: ComputeArgs,
}

/// Bytes of a number of GiB.
fn gibibytes(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= 1e6);
    number.map(|number| (number * f64::from(1 << 30)) as u64).ok_or_else(|| "expected a positive number of GiB".into())
}

impl TrainArgs {
    /// The model in front of the heads of a policy.
    pub(super) fn model(&self, policy: &Path) -> Result<ModelArgs, clap::Error> {
        let base = self.heads.base.clone().ok_or_else(|| missing("--base <DIR|ID> (for --train heads or lora)"))?;
        Ok(ModelArgs {
            base: Some(base),
            checkpoint: Some(self.checkpoint.clone()),
            policy: Some(policy.to_owned()),
            head: Some(HeadArg::Actor),
            planner: self.planner.clone(),
            compute: self.heads.compute.clone(),
        })
    }

    /// Where hidden states are kept.
    pub(super) fn cache(&self) -> CacheSettings {
        let HeadsArgs { cache, cache_limit, cache_format, .. } = &self.heads;
        let folder = cache.clone().unwrap_or_else(|| self.output.join("hidden_states"));
        CacheSettings { folder, limit: *cache_limit, format: (*cache_format).into() }
    }
}

/// Which weights learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Trained {
    /// The actor's last layer and the critics, from the logged features; all else stays bit for bit
    Actor,
    /// DPT head, history encoder and history fusion, too, from the logged frames (the original's default); needs --base
    Heads,
    /// The LoRA of the vision-language model, too (the original's second mode); needs --base, and at full size a GPU
    Lora,
}

impl From<Trained> for Learns {
    fn from(trained: Trained) -> Self {
        match trained {
            Trained::Actor => Self::Actor,
            Trained::Heads => Self::Heads,
            Trained::Lora => Self::Lora,
        }
    }
}
