//! The options that name a model, shared by the commands that run one.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::choices::{HeadArg, QuantizeArg, WeightFormatArg};
use super::progress::while_loading;
use crate::planner::PlannerSpec;
use crate::thread_count;
use crate::tuner::{Compute, DeviceChoice, ModelSpec, Tuner, TunerOptions};
use crate::vision_language::hub::{HubEnvironment, ModelSource};
use crate::vision_language::processor::PixelBudget;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _};

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
    pub head: Option<HeadArg>,
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
    #[arg(long, default_value = "cpu")]
    pub device: DeviceChoice,
    /// Format of the vision-language model's weights [default: f32 on a CPU, bf16 on a GPU]
    #[arg(long, value_enum)]
    pub dtype: Option<WeightFormatArg>,
    /// Quantise the linear layers of language model and vision blocks while loading
    #[arg(long, value_enum, default_value_t)]
    pub quantize: QuantizeArg,
    /// Threads that compute on the CPU [default: one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Least number of pixels the image is resized to [default: as in preprocessor_config.json]
    #[arg(long, value_name = "N")]
    pub min_pixels: Option<u64>,
    /// Largest number of pixels the image is resized to [default: as in preprocessor_config.json]
    #[arg(long, value_name = "N")]
    pub max_pixels: Option<u64>,
}

impl ModelArgs {
    /// The model that is meant.
    ///
    /// # Errors
    /// A usage error when an option is missing; otherwise what cannot be meant.
    pub fn spec(&self) -> anyhow::Result<ModelSpec<ModelSource>> {
        let (base, checkpoint) = self.required()?;
        Ok(ModelSpec {
            base: ModelSource::parse(base)?,
            checkpoint: checkpoint.to_owned(),
            policy: self.policy.clone(),
            head: self.head.map(Into::into),
            planner: planner_named(&self.planner)?,
            quantize: self.compute.quantize.into(),
            pixels: self.compute.pixels(),
        })
    }

    /// What to load.
    ///
    /// # Errors
    /// A usage error when an option is missing; otherwise what is not there.
    pub fn options(&self) -> anyhow::Result<TunerOptions> {
        Ok(TunerOptions::open(self.spec()?, self.compute.compute(), &HubEnvironment::from_env())?)
    }

    /// Loads the model, with a progress bar on stderr.
    ///
    /// # Errors
    /// A usage error when an option is missing; otherwise what does not fit.
    pub fn load(&self) -> anyhow::Result<Tuner> {
        if self.head == Some(HeadArg::Regression) && self.policy.is_some() {
            log::warn!("--head regression is the supervised checkpoint's head; of --policy only an adapter is used");
        }
        let options = self.options()?;
        self.compute.start_threads();
        Ok(while_loading(|progress| options.load(Some(progress)))?)
    }

    /// Base model and supervised checkpoint, which every command that runs a model needs.
    ///
    /// # Errors
    /// A usage error naming the option that is missing.
    pub fn required(&self) -> Result<(&str, &Path), clap::Error> {
        let base = self.base.as_deref().ok_or_else(|| missing("--base <DIR|ID>"))?;
        let checkpoint = self.checkpoint.as_deref().ok_or_else(|| missing("--checkpoint <DIR>"))?;
        if self.head == Some(HeadArg::Actor) && self.policy.is_none() {
            return Err(missing("--policy <PREFIX|DIR|FILE> (for --head actor)"));
        }
        Ok((base, checkpoint))
    }
}

impl ComputeArgs {
    /// Where to compute, and in which format.
    pub fn compute(&self) -> Compute {
        Compute { device: self.device, format: self.dtype.map(Into::into) }
    }

    /// Overrides of the image processor's pixel budget.
    pub fn pixels(&self) -> PixelBudget {
        PixelBudget { min_pixels: self.min_pixels, max_pixels: self.max_pixels }
    }

    /// Starts as many threads as were asked for. They are the process's: the first call counts.
    pub fn start_threads(&self) {
        thread_count::start(self.threads);
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
