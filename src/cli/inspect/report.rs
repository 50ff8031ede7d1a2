//! What is found at a path, as data.

use super::InspectArgs;
use super::summary::Summary;
use crate::checkpoint::{
    Adapter, AdapterRequirement, Heads, PolicyCheckpoint, SupervisedCheckpoint, TensorFormat, TensorTable, npy,
};
use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::path::Path;

/// One inspected file or folder. With `--json`, this is the object.
#[derive(Debug, Serialize)]
pub struct Report {
    /// As it was given.
    pub path: String,
    /// What it is.
    pub kind: &'static str,
    /// Settings and small values, by name.
    pub properties: Map<String, Value>,
    /// Groups of tensors.
    pub parts: Vec<Part>,
    /// Values in all parts together.
    pub parameters: u64,
    /// What is trained and what is frozen, for a supervised checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
}

/// A group of tensors: one network, or one file.
#[derive(Debug, Serialize)]
pub struct Part {
    /// What it is.
    pub name: String,
    /// Values in it.
    pub parameters: u64,
    /// Size as stored, bytes.
    pub bytes: u64,
    /// The files that hold it.
    pub files: Vec<String>,
    /// Its tensors, sorted by name.
    pub tensors: Vec<TensorLine>,
}

/// One tensor.
#[derive(Debug, Serialize)]
pub struct TensorLine {
    /// Name in the file.
    pub name: String,
    /// Element type, as stored.
    pub dtype: &'static str,
    /// Size of each dimension.
    pub shape: Vec<usize>,
    /// Number of values.
    pub parameters: u64,
}

impl Part {
    fn of(name: impl Into<String>, table: &TensorTable) -> Self {
        Self::below(name, table, "")
    }

    /// A part whose tensors have lost `prefix`: they are listed under the names in the file.
    fn below(name: impl Into<String>, table: &TensorTable, prefix: &str) -> Self {
        let line = |name: &str| {
            let meta = table.meta(name)?;
            let (dtype, shape) = (meta.dtype.as_str(), meta.shape.clone());
            Some(TensorLine { name: format!("{prefix}{name}"), dtype, shape, parameters: meta.elements() as u64 })
        };
        Self {
            name: name.into(),
            parameters: table.parameter_count(),
            bytes: table.stored_bytes(),
            files: table.files().iter().map(|path| path.display().to_string()).collect(),
            tensors: table.names().filter_map(line).collect(),
        }
    }
}

/// What a path is taken for, from the files that are there.
enum Subject {
    Base,
    Supervised,
    Heads,
    AdapterFolder,
    Policy,
    Vector,
    TensorFile(TensorFormat),
}

impl Subject {
    fn at(path: &Path) -> Result<Self> {
        let has = |name: &str| path.join(name).exists();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() {
            return Ok(match path.extension() {
                Some(extension) if extension == "npy" => Self::Vector,
                _ if name.ends_with("_actor") || name.ends_with("_actor.safetensors") => Self::Policy,
                _ => Self::TensorFile(TensorFormat::of(path)?),
            });
        }
        Ok(match path.is_dir() {
            true if has("normalization") || has("adapter_config.json") && has("history_config.json") => {
                Self::Supervised
            }
            true if has("regression_head") || has("history_encoder") => Self::Heads,
            true if has("model.safetensors.index.json") || has("model.safetensors") => Self::Base,
            true if Adapter::is_in(path) => Self::AdapterFolder,
            _ => Self::Policy,
        })
    }
}

impl Report {
    /// Opens what the arguments name. Nothing but headers is read, except of pickles.
    pub fn of(args: &InspectArgs) -> Result<Self> {
        let path = args.path.as_path();
        let subject = Subject::at(path)?;
        if (args.base.is_some() || args.policy.is_some()) && !matches!(subject, Subject::Supervised) {
            bail!("--base and --policy go with a supervised checkpoint's folder, {} is none", path.display());
        }
        let mut properties = Map::new();
        let mut summary = None;
        let (kind, parts) = match subject {
            Subject::TensorFile(format) => {
                properties.insert("format".into(), format.to_string().into());
                ("tensor file", vec![Part::of("tensors", &TensorTable::open(path)?)])
            }
            Subject::Vector => {
                let values = npy::read_vector(path)?;
                properties.insert("shape".into(), json!([values.len()]));
                properties.insert("values".into(), floats(&values));
                ("numpy vector", Vec::new())
            }
            Subject::Base => {
                base_properties(path, &mut properties)?;
                ("base model", vec![Part::of("base model", &TensorTable::open_sharded(path)?)])
            }
            Subject::AdapterFolder => {
                let adapter = Adapter::open(path)?;
                adapter_properties(&adapter, &mut properties);
                ("LoRA adapter", vec![Part::of("LoRA adapter", &adapter.tensors)])
            }
            Subject::Heads => {
                let heads = Heads::open(path)?;
                let head = heads.regression_head.map(|table| Part::of("DPT head", &table));
                let history = heads.history_encoder.map(|table| Part::of("history encoder", &table));
                ("heads without a checkpoint", head.into_iter().chain(history).collect())
            }
            Subject::Policy => {
                let policy = PolicyCheckpoint::open(path)
                    .context("neither a tensor file, a base model, a supervised checkpoint nor a policy")?;
                policy_properties(&policy, &mut properties);
                ("policy", policy_parts(&policy))
            }
            Subject::Supervised => {
                let checkpoint = SupervisedCheckpoint::open_with(path, AdapterRequirement::Optional)?;
                let base = args.base.as_ref().map(TensorTable::open_sharded).transpose()?;
                let policy = args.policy.as_ref().map(PolicyCheckpoint::open).transpose()?;
                summary = Some(Summary::of(&checkpoint, base.as_ref(), policy.as_ref()));
                supervised_properties(&checkpoint, &mut properties);
                let mut parts = supervised_parts(&checkpoint);
                if let Some(policy) = &policy {
                    policy_properties(policy, &mut properties);
                    parts.extend(policy_parts(policy));
                }
                ("supervised checkpoint", parts)
            }
        };
        let parameters = parts.iter().map(|part| part.parameters).sum();
        Ok(Self { path: path.display().to_string(), kind, properties, parts, parameters, summary })
    }
}

fn supervised_parts(checkpoint: &SupervisedCheckpoint) -> Vec<Part> {
    let adapter = checkpoint.adapter.as_ref().map(|adapter| Part::of("LoRA adapter", &adapter.tensors));
    let head = Part::of("DPT head", &checkpoint.regression_head);
    let history = checkpoint.history_encoder.as_ref().map(|table| Part::of("history encoder", table));
    adapter.into_iter().chain([head]).chain(history).collect()
}

/// The networks inside an actor; a policy of another layout is one part.
fn policy_parts(policy: &PolicyCheckpoint) -> Vec<Part> {
    const NETWORKS: [(&str, &str); 3] = [
        ("DPT head", "feature_extractor.dpt_head."),
        ("history encoder", "feature_extractor.history_encoder."),
        ("actor", "fc."),
    ];
    let networks = NETWORKS.map(|(name, prefix)| (name, prefix, policy.actor.strip_prefix(prefix)));
    let adapter = policy.lora_adapter.as_ref().map(|adapter| Part::of("policy: LoRA adapter", &adapter.tensors));
    let known: usize = networks.iter().map(|(_, _, table)| table.len()).sum();
    let parts: Vec<Part> = if known == policy.actor.len() {
        let there = networks.iter().filter(|(_, _, table)| !table.is_empty());
        there.map(|(name, prefix, table)| Part::below(format!("policy: {name}"), table, prefix)).collect()
    } else {
        vec![Part::of("policy", &policy.actor)]
    };
    parts.into_iter().chain(adapter).collect()
}

fn supervised_properties(checkpoint: &SupervisedCheckpoint, properties: &mut Map<String, Value>) {
    if let Some(adapter) = &checkpoint.adapter {
        adapter_properties(adapter, properties);
    }
    let history = &checkpoint.history_config;
    properties.insert("use_history".into(), history.use_history.into());
    if history.use_history {
        properties.insert("history_dim".into(), history.history_dim.into());
        properties.insert("history_image_size".into(), history.history_image_size.into());
        properties.insert("history_offsets".into(), json!(history.history_offsets));
    }
    properties.insert("param_mean".into(), floats(checkpoint.normalization.mean()));
    properties.insert("param_std".into(), floats(checkpoint.normalization.std()));
    properties.insert("prompt_json".into(), checkpoint.prompt_json.is_some().into());
    properties.insert("preprocessor_config".into(), checkpoint.preprocessor_config.is_some().into());
}

/// Single-precision numbers as they are written, without the digits that widening them adds.
fn floats(values: &[f32]) -> Value {
    values.iter().map(|value| value.to_string().parse::<f64>().map_or(Value::Null, Value::from)).collect()
}

fn adapter_properties(adapter: &Adapter, properties: &mut Map<String, Value>) {
    properties.insert("lora_rank".into(), adapter.config.rank.into());
    properties.insert("lora_alpha".into(), adapter.config.alpha.into());
    properties.insert("lora_scale".into(), adapter.config.scale().into());
}

fn policy_properties(policy: &PolicyCheckpoint, properties: &mut Map<String, Value>) {
    properties.insert("actor_file".into(), policy.path.display().to_string().into());
    properties.insert("step".into(), json!(policy.step));
    properties.insert("exploration_noise".into(), json!(policy.noise));
    if let Some(info) = &policy.vlm_info {
        properties.insert("trained_on".into(), info.checkpoint_path.clone().into());
        properties.insert("use_4bit".into(), info.use_4bit.into());
        properties.insert("policy_use_history".into(), info.use_history.into());
        properties.insert("vlm_trainable".into(), info.vlm_trainable.into());
    }
}

/// The sizes a reader looks for first; the configuration proper is read by the model.
fn base_properties(folder: &Path, properties: &mut Map<String, Value>) -> Result<()> {
    let path = folder.join("config.json");
    let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let config: Value =
        serde_json::from_slice(&text).with_context(|| format!("{} is not a model configuration", path.display()))?;
    let text_config = config.get("text_config").unwrap_or(&config);
    for (name, value) in [
        ("model_type", config.get("model_type")),
        ("hidden_size", text_config.get("hidden_size")),
        ("num_hidden_layers", text_config.get("num_hidden_layers")),
        ("vision_depth", config.get("vision_config").and_then(|vision| vision.get("depth"))),
    ] {
        properties.insert(name.into(), value.cloned().unwrap_or(Value::Null));
    }
    Ok(())
}
