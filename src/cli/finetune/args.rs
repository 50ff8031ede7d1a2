//! The options of `finetune`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::cli::model_args::ComputeArgs;
use crate::finetune::{DataOptions, EpisodeFilter, Learns, Validation};
use crate::learning::LoraTargets;
use crate::recording::RowFilter;

/// Make a supervised checkpoint from frames with known good parameters
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Data is a folder of images with a table (frames.csv: file, linear_vel, angular_vel, run_id, and a column for each of the
planner's parameters), a table itself, the original's JSON list, or a folder of transition logs, whose parameters as sent
are imitated. History frames come from the same run. Values out of a parameter's range are cut to it, and counted.

The folder -o gets what PEFT, PyTorch and the original load: adapter_config.json, adapter_model.safetensors,
regression_head/, history_encoder/, history_config.json, normalization/, prompt.json; and report.json, curves.csv,
curves.png. It holds the epoch with the lowest validation loss, and is replaced as a whole. Beside it, DIR.training/ holds
what --resume goes on from, and events for TensorBoard.

Exit code 3 means that the training ran to its end, but frames of the data could not be used; the report counts them.

Examples:
  planner_tuner finetune frames/ --base Qwen/Qwen2.5-VL-3B-Instruct --dtype bf16 -o checkpoint/
  planner_tuner finetune frames/ --base tiny/ --rank 4 -o checkpoint/ --epochs 20 --patience 3
  planner_tuner finetune frames/ --base tiny/ --rank 4 -o checkpoint/ --first-policy policy/
  planner_tuner finetune frames/ --base tiny/ --rank 4 -o fold2/ --fold 2/5 --only method=HB
  planner_tuner finetune logs/ --base tiny/ --from checkpoint/ --success-only --best 0.5 -o better/
  planner_tuner finetune frames/ --base tiny/ --rank 4 -o checkpoint/ --epochs 40 --resume
  tensorboard --logdir checkpoint.training/")]
pub struct FinetuneArgs {
    /// Folders of images with a table, tables, JSON lists, folders of transition logs
    #[arg(value_name = "DATA", required = true)]
    pub(super) data: Vec<PathBuf>,
    /// Base model: a folder, or an id on the Hugging Face Hub (owner/name[@revision])
    #[arg(long, value_name = "DIR|ID")]
    pub(super) base: String,
    /// Folder for the checkpoint
    #[arg(short, long, visible_alias = "out", value_name = "DIR")]
    pub(super) output: PathBuf,
    /// Supervised checkpoint to start from, instead of random initialization
    #[arg(long, value_name = "DIR")]
    pub(super) from: Option<PathBuf>,
    /// Planner: dwa, teb, mppi, ddp, or a YAML file that describes another one
    #[arg(long, value_name = "NAME|FILE", default_value = "dwa")]
    pub(super) planner: String,
    /// Wording of the prompt: a prompt.json [default: that of --from, or a built-in one]
    #[arg(long, value_name = "FILE")]
    pub(super) prompt: Option<PathBuf>,
    /// Also write a policy to begin reinforcement learning with, policy_step_0: the heads, and an actor fitted to the labels
    #[arg(long, value_name = "DIR")]
    pub(super) first_policy: Option<PathBuf>,
    /// Go on with the training of the output folder
    #[arg(long)]
    pub(super) resume: bool,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) data_args: DataArgs,
    #[command(flatten)]
    pub(super) networks: NetworkArgs,
    #[command(flatten)]
    pub(super) learning: LearningArgs,
    #[command(flatten)]
    pub(super) compute: ComputeArgs,
}

/// What is read of the data, and what of it is held back.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Data")]
pub struct DataArgs {
    /// Of tables, only the rows with this value in this column
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = row_filter)]
    only: Option<RowFilter>,
    /// Of logs, only episodes whose rewards sum up to this
    #[arg(long, value_name = "SUM", allow_negative_numbers = true)]
    min_return: Option<f64>,
    /// Of logs, only episodes that reached their goal
    #[arg(long)]
    success_only: bool,
    /// Of logs, only this share of episodes, those with the largest sums of rewards
    #[arg(long, value_name = "SHARE", value_parser = share)]
    best: Option<f64>,
    /// Share of the runs that is held back, to tell when to stop
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = share)]
    validation: f64,
    /// Hold back one of N parts of the runs instead: 1/5 to 5/5 for five folds
    #[arg(long, value_name = "K/N", value_parser = fold)]
    fold: Option<Fold>,
}

/// The networks as they begin.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Networks (with --from only dropout and what learns)")]
pub struct NetworkArgs {
    /// Rank of the LoRA
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) rank: u16,
    /// The LoRA counts alpha / rank times [default: twice the rank]
    #[arg(long, value_name = "X")]
    pub(super) alpha: Option<f64>,
    /// Dropout on the LoRA's inputs
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share_below_one)]
    pub(super) dropout: f64,
    /// Dropout behind the activations of the regression, as in the original
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = share_below_one)]
    pub(super) head_dropout: f64,
    /// Layers that the LoRA is put beside
    #[arg(long, value_enum, value_delimiter = ',', default_value = "text,vision,merger")]
    targets: Vec<Target>,
    /// What learns; the rest stays frozen
    #[arg(long, value_enum, value_delimiter = ',', default_value = "lora,head,history")]
    learn: Vec<Part>,
    /// Width of the feature
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(4..))]
    pub(super) feature: u16,
    /// Past frames that are shown beside the current one; 0 for none
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=64))]
    pub(super) history_frames: u16,
    /// How many decisions back each past frame lies, newest first [default: 1, 2, …]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub(super) history_offsets: Vec<usize>,
    /// Width of the history vector, a multiple of 4
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(super) history_width: usize,
    /// Side of past frames, pixels
    #[arg(long, value_name = "N", default_value_t = 224, value_parser = clap::value_parser!(u32).range(16..=2048))]
    pub(super) history_size: u32,
}

/// How long and how fast is learned.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Learning")]
pub struct LearningArgs {
    /// Epochs: passes over all frames
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) epochs: u64,
    /// Frames in a batch
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) batch: u16,
    /// Batches whose gradients are accumulated before a step
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) accumulate: u16,
    /// AdamW's peak learning rate, reached after the warm-up
    #[arg(long, value_name = "X", default_value_t = 1e-4, value_parser = positive)]
    pub(super) learning_rate: f64,
    /// Share of all steps over which the learning rate rises to its peak
    #[arg(long, value_name = "SHARE", default_value_t = 0.03, value_parser = share)]
    pub(super) warm_up: f64,
    /// How the learning rate changes after the warm-up
    #[arg(long, value_enum, default_value_t = Rate::Cosine)]
    pub(super) schedule: Rate,
    /// AdamW's weight decay, which does not go through the gradient
    #[arg(long, value_name = "X", default_value_t = 0.01)]
    pub(super) weight_decay: f64,
    /// Gradients are clipped to this norm, over everything that learns
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = positive)]
    pub(super) clip: f64,
    /// Stop after so many epochs without a lower validation loss
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) patience: Option<u64>,
}

/// A part of the model that a LoRA can be put beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// Attention and MLP of the language model
    Text,
    /// Attention and MLP of the vision tower
    Vision,
    /// What makes image tokens of patches
    Merger,
}

/// A part that can learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The LoRA of the vision-language model
    Lora,
    /// The DPT head and the regression
    Head,
    /// The history encoder
    History,
}

/// How the learning rate changes after the warm-up once it has risen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rate {
    /// Decays along half a cosine, to 0 at the last step
    Cosine,
    /// Stays at the peak
    Constant,
}

/// One part of several, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fold {
    index: usize,
    of: usize,
}

impl DataArgs {
    pub(super) fn options(&self) -> DataOptions {
        let Self { only, min_return, success_only, best, .. } = self.clone();
        DataOptions { only, episodes: EpisodeFilter { min_return, success_only, best } }
    }

    pub(super) fn validation(&self) -> Validation {
        match self.fold {
            Some(Fold { index, of }) => Validation::Fold { index: index - 1, of },
            None => Validation::Share(self.validation),
        }
    }
}

impl NetworkArgs {
    pub(super) fn targets(&self) -> LoraTargets {
        let has = |target| self.targets.contains(&target);
        LoraTargets { text: has(Target::Text), vision: has(Target::Vision), merger: has(Target::Merger) }
    }

    pub(super) fn learns(&self) -> Learns {
        let has = |part| self.learn.contains(&part);
        Learns { lora: has(Part::Lora), head: has(Part::Head), history: has(Part::History) }
    }
}

fn row_filter(text: &str) -> Result<RowFilter, String> {
    let (column, value) = text.split_once('=').ok_or("expected COLUMN=VALUE, such as method=HB")?;
    Ok(RowFilter { column: column.trim().to_owned(), value: value.trim().to_owned() })
}

fn fold(text: &str) -> Result<Fold, String> {
    let problem = || "expected K/N with 1 <= K <= N and N of at least 2, such as 2/5".to_owned();
    let (index, of) = text.split_once('/').ok_or_else(problem)?;
    let number = |text: &str| usize::from_str(text.trim()).map_err(|_| problem());
    let (index, of) = (number(index)?, number(of)?);
    if of >= 2 && (1..=of).contains(&index) { Ok(Fold { index, of }) } else { Err(problem()) }
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "expected a number from 0 to 1")?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("expected a number from 0 to 1".into()) }
}

fn share_below_one(text: &str) -> Result<f64, String> {
    let share = share(text)?;
    if share < 1.0 { Ok(share) } else { Err("expected a number from 0 to below 1".into()) }
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number above 0")?;
    if number > 0.0 && number.is_finite() { Ok(number) } else { Err("expected a number above 0".into()) }
}
