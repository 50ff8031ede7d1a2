//! The options that name a model, shared by the commands that run one.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use candle_core::Device;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _};
use indicatif::ProgressBar;

use super::progress::style;
use crate::planner::PlannerSpec;
use crate::tuner::{Head, LoadProgress, Tuner, TunerOptions};
use crate::vision_language::hub::{HubEnvironment, ModelSource};
use crate::vision_language::processor::PixelBudget;
use crate::vision_language::{Quantize, WeightFormat};

/// Which model, on which device.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// Base model: a folder, or an id on the Hugging Face Hub (owner/name[@revision])
    #[arg(long, value_name = "DIR|ID")]
    pub base: Option<String>,
    /// Supervised checkpoint: a folder with adapter, regression_head, history_encoder and normalization
    #[arg(long, value_name = "DIR")]
    pub checkpoint: Option<PathBuf>,
    /// Policy checkpoint: prefix (policy/policy_step_1000), folder or actor file
    #[arg(long, value_name = "PREFIX|DIR|FILE")]
    pub policy: Option<PathBuf>,
    /// Which head decides [default: actor with --policy, regression without]
    #[arg(long, value_enum)]
    pub head: Option<Head>,
    /// Planner: dwa, teb, mppi, ddp, or a YAML file that describes another one
    #[arg(long, value_name = "NAME|FILE", default_value = "dwa")]
    pub planner: String,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// How a vision-language model computes.
#[derive(Debug, Clone, Args)]
pub struct ComputeArgs {
    /// cpu, or cuda:N in a build with the feature cuda
    #[arg(long, default_value = "cpu", value_parser = parse_device)]
    pub device: DeviceChoice,
    /// Format of the vision-language model's weights [default: f32 on a CPU, bf16 on a GPU]
    #[arg(long, value_enum)]
    pub dtype: Option<WeightFormat>,
    /// Quantise the linear layers of language model and vision blocks while loading
    #[arg(long, value_enum, default_value_t)]
    pub quantize: QuantizeChoice,
    /// Threads that compute on the CPU [default: one a core]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Least number of pixels the image is resized to [default: as in preprocessor_config.json]
    #[arg(long, value_name = "N")]
    pub min_pixels: Option<u64>,
    /// Largest number of pixels the image is resized to [default: as in preprocessor_config.json]
    #[arg(long, value_name = "N")]
    pub max_pixels: Option<u64>,
}

/// Whether the weights are quantised while they are loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum QuantizeChoice {
    /// As they are
    #[default]
    None,
    /// bitsandbytes' NF4 with double quantisation
    Nf4,
    /// NF4 if the policy's vlm_info says that it was trained on 4 bits
    AsTrained,
}

impl QuantizeChoice {
    /// The choice, where it does not depend on the policy.
    pub fn resolve(self) -> Option<Quantize> {
        match self {
            Self::None => Some(Quantize::None),
            Self::Nf4 => Some(Quantize::Nf4),
            Self::AsTrained => None,
        }
    }
}

/// A device by name; opened when the model is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// All cores.
    Cpu,
    /// A GPU by its ordinal.
    Cuda(usize),
}

/// `cpu`, `cuda` or `cuda:N`.
///
/// # Errors
/// What was expected.
pub fn parse_device(text: &str) -> Result<DeviceChoice, String> {
    match (text, text.strip_prefix("cuda:")) {
        ("cpu", _) => Ok(DeviceChoice::Cpu),
        ("cuda", _) => Ok(DeviceChoice::Cuda(0)),
        (_, Some(ordinal)) => {
            ordinal.parse().map(DeviceChoice::Cuda).map_err(|_| format!("'{ordinal}' is no device number"))
        }
        _ => Err("expected cpu or cuda:N".into()),
    }
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// When this build has no support for it, or there is none.
    pub fn open(self) -> anyhow::Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(_) if !cfg!(feature = "cuda") => {
                anyhow::bail!("this build has no GPU support; build it with --features cuda, or use --device cpu")
            }
            Self::Cuda(ordinal) => Device::new_cuda(ordinal)
                .with_context(|| format!("cuda:{ordinal} cannot be opened; is there a driver? Or use --device cpu")),
        }
    }
}

impl ModelArgs {
    /// What to load.
    ///
    /// # Errors
    /// A usage error when an option is missing; otherwise what is not there.
    pub fn options(&self) -> anyhow::Result<TunerOptions> {
        let (base, checkpoint) = self.required()?;
        Ok(TunerOptions {
            base: ModelSource::parse(base)?.resolve(&HubEnvironment::from_env())?,
            checkpoint: checkpoint.to_owned(),
            policy: self.policy.clone(),
            head: self.head,
            planner: planner_named(&self.planner)?,
            device: self.compute.device.open()?,
            format: self.compute.dtype,
            quantize: self.compute.quantize.resolve(),
            pixels: self.compute.pixels(),
            memory: None,
        })
    }

    /// Loads the model, with a progress bar on stderr.
    ///
    /// # Errors
    /// A usage error when an option is missing; otherwise what does not fit.
    pub fn load(&self) -> anyhow::Result<Tuner> {
        if self.head == Some(Head::Regression) && self.policy.is_some() {
            log::warn!("--head regression is the supervised checkpoint's head; of --policy only an adapter is used");
        }
        let options = self.options()?;
        self.compute.start_threads();
        let bar = ProgressBar::new(0).with_style(style("loading weights {bar:30} {pos}/{len}"));
        let shown = bar.clone();
        let progress: LoadProgress = Box::new(move |read, total| {
            shown.set_length(total as u64);
            shown.set_position(read as u64);
        });
        let tuner = options.load(Some(progress));
        bar.finish_and_clear();
        Ok(tuner?)
    }

    /// Base model and supervised checkpoint, which every command that runs a model needs.
    ///
    /// # Errors
    /// A usage error naming the option that is missing.
    pub fn required(&self) -> Result<(&str, &Path), clap::Error> {
        let base = self.base.as_deref().ok_or_else(|| missing("--base <DIR|ID>"))?;
        let checkpoint = self.checkpoint.as_deref().ok_or_else(|| missing("--checkpoint <DIR>"))?;
        if self.head == Some(Head::Actor) && self.policy.is_none() {
            return Err(missing("--policy <PREFIX|DIR|FILE> (for --head actor)"));
        }
        Ok((base, checkpoint))
    }
}

impl ComputeArgs {
    /// Overrides of the image processor's pixel budget.
    pub fn pixels(&self) -> PixelBudget {
        PixelBudget { min_pixels: self.min_pixels, max_pixels: self.max_pixels }
    }

    /// Starts as many threads as were asked for. They are the process's: the first call counts.
    pub fn start_threads(&self) {
        let Some(threads) = self.threads.map(NonZeroUsize::get) else { return };
        let cores = std::thread::available_parallelism().map_or(threads, NonZeroUsize::get);
        if threads > cores {
            log::warn!("{threads} threads were asked for, there are {cores} cores: {cores} will be started");
        }
        let started = rayon::ThreadPoolBuilder::new().num_threads(threads.min(cores)).build_global();
        if started.is_err() && rayon::current_num_threads() != threads.min(cores) {
            log::warn!("{} threads are running already; their number stays", rayon::current_num_threads());
        }
    }
}

/// A planner by name or file.
///
/// # Errors
/// When there is none, or the file is wrong.
pub fn planner_named(name: &str) -> anyhow::Result<PlannerSpec> {
    let is_file = Path::new(name).exists() || name.contains(['/', '.']);
    Ok(if is_file { PlannerSpec::load(Path::new(name))? } else { PlannerSpec::builtin(name)? })
}

/// A usage error in clap's words, which ends the program with exit code 2.
pub fn missing(option: &str) -> clap::Error {
    let message = format!("the following required argument was not provided: {option}");
    super::Cli::command().error(ErrorKind::MissingRequiredArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_spelled_one_way() {
        assert_eq!(parse_device("cpu"), Ok(DeviceChoice::Cpu));
        assert_eq!(parse_device("cuda:1"), Ok(DeviceChoice::Cuda(1)));
        for wrong in ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU"] {
            assert!(parse_device(wrong).is_err(), "{wrong}");
        }
    }
}
