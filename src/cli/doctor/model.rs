//! The model's files, by their headers, and whether this machine can hold them.

use std::path::{Path, PathBuf};

use candle_core::Device;

use super::super::model_args::{ModelArgs, planner_named};
use super::finding::Finding;
use crate::checkpoint::{StoredPolicy, SupervisedCheckpoint};
use crate::device::GpuFacts;
use crate::tuner::{ModelSpec, TunerOptions};
use crate::vision_language::ModelConfig;
use crate::vision_language::hub::{HubEnvironment, ModelSource};
use crate::vision_language::processor::{PixelBudget, PreprocessorConfig, PromptTokenizer};

/// Base, checkpoint, policy, device, and whether they go together.
pub(super) fn check(args: &ModelArgs) -> Vec<Finding> {
    let (base, base_findings) = base(args.base.as_deref());
    let (checkpoint, checkpoint_finding) = checkpoint(args.checkpoint.as_deref());
    let mut findings = base_findings;
    findings.push(checkpoint_finding);
    findings.push(policy(args.policy.as_deref()));
    let device = args.compute.device.open();
    findings.push(match &device {
        Ok(device) if device.is_cpu() => {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            Finding::ok("device", format!("cpu, {cores} cores"))
        }
        Ok(device) => Finding::ok("device", gpu(device)),
        Err(error) => Finding::error("device", error.to_string(), "use --device cpu, or a build for this GPU"),
    });
    if let (Some(base), Some(checkpoint), Ok(device), Ok(planner)) =
        (base, checkpoint, device, planner_named(&args.planner))
    {
        let model = ModelSpec {
            base,
            checkpoint,
            policy: args.policy.clone(),
            head: args.head.map(Into::into),
            planner,
            quantize: args.compute.quantize.into(),
            pixels: args.compute.pixels(),
        };
        let options = TunerOptions { model, device, format: args.compute.compute().format, memory: None };
        findings.push(match options.survey() {
            Ok(survey) => Finding::ok("weights and memory", survey.to_string()),
            Err(error) => Finding::error(
                "weights and memory",
                error.to_string(),
                "use the base model and the checkpoint that belong together, on a machine that is large enough",
            ),
        });
    }
    findings
}

fn gpu(device: &Device) -> String {
    let Some(gpu) = GpuFacts::of(device) else { return "a GPU that opens".to_owned() };
    let GpuFacts { name, compute_capability: (major, minor), free_bytes, total_bytes } = &gpu;
    let format = if gpu.has_bf16() { "bf16" } else { "f32 alone: bf16 needs 8.0" };
    format!(
        "{name}, compute capability {major}.{minor} ({format}), {} of {} MiB free",
        free_bytes >> 20,
        total_bytes >> 20
    )
}

fn base(named: Option<&str>) -> (Option<PathBuf>, Vec<Finding>) {
    const CHECK: &str = "base model";
    let Some(named) = named else {
        return (None, vec![Finding::warn(CHECK, "not given", "name it with --base")]);
    };
    // Looking must not download gigabytes.
    let environment = HubEnvironment { offline: true, ..HubEnvironment::from_env() };
    let folder = match ModelSource::parse(named).and_then(|source| source.resolve(&environment)) {
        Ok(folder) => folder,
        Err(error) => {
            let remedy = "give --base a whole folder, or a model that is in the cache of the Hugging Face Hub";
            return (None, vec![Finding::error(CHECK, error.to_string(), remedy)]);
        }
    };
    let config = match ModelConfig::load(&folder.join("config.json")) {
        Ok(config) => config,
        Err(error) => return (None, vec![Finding::error(CHECK, error.to_string(), "take the published config.json")]),
    };
    let (text, vision) = (&config.text, &config.vision);
    let shape = format!("{} layers of {}, {} vision blocks", text.num_hidden_layers, text.hidden_size, vision.depth);
    let mut findings = vec![Finding::ok(CHECK, format!("{}: {shape}", folder.display()))];
    let preprocessor = PreprocessorConfig::load(&folder, None, PixelBudget::default());
    if let Some(error) = preprocessor.err().map(|error| error.to_string()) {
        findings.push(Finding::error("image processor", error, "take the published preprocessor_config.json"));
    }
    if let Some(error) = PromptTokenizer::load(&folder, config.image_token_id).err().map(|error| error.to_string()) {
        findings.push(Finding::error("tokenizer", error, "take the published tokenizer.json"));
    }
    (Some(folder), findings)
}

fn checkpoint(folder: Option<&Path>) -> (Option<PathBuf>, Finding) {
    const CHECK: &str = "checkpoint";
    let Some(folder) = folder else {
        return (None, Finding::warn(CHECK, "not given", "name it with --checkpoint"));
    };
    match SupervisedCheckpoint::open(folder) {
        Ok(checkpoint) => {
            let adapter = if checkpoint.adapter.is_some() { "with an adapter" } else { "without an adapter" };
            let history = if checkpoint.history_encoder.is_some() { "with history" } else { "without history" };
            let found = format!("{}: {adapter}, {history}", folder.display());
            (Some(folder.to_owned()), Finding::ok(CHECK, found))
        }
        Err(error) => {
            (None, Finding::error(CHECK, error.to_string(), "copy the whole folder that supervised training left"))
        }
    }
}

fn policy(path: Option<&Path>) -> Finding {
    const CHECK: &str = "policy";
    let Some(path) = path else {
        return Finding::ok(CHECK, "not given: the supervised checkpoint's regression decides");
    };
    match StoredPolicy::open(path) {
        Ok(policy) => {
            let form = match &policy {
                StoredPolicy::Actor(policy) => {
                    policy.step.map_or_else(|| "an actor".to_owned(), |step| format!("an actor of step {step}"))
                }
                StoredPolicy::Heads(_) => "heads with a regression".to_owned(),
            };
            Finding::ok(CHECK, format!("{}: {form}", policy.path().display()))
        }
        Err(error) => Finding::error(CHECK, error.to_string(), "give --policy a prefix, a folder or an actor file"),
    }
}
