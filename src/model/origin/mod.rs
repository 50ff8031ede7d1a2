//! Which files a session's decisions come from, as checksums.
//!
//! The policy's id is the SHA-256 of its actor file (of the regression head where that decides).
//!
//! The extractor's is a SHA-256 over what a feature depends on, each part by name, length and checksum: the base model's
//! configuration, tokenizer and weights, the adapter, the tensors of DPT head and history encoder that are in use, the
//! wording of the prompt, the image processor's settings, and whether the weights are quantised. Heads count by their
//! tensors, not their file, so that an actor that was trained on frozen heads keeps the extractor's id. The device and
//! the format of the weights, which round differently, do not count.

mod file_digest;

use std::collections::BTreeMap;
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use sha2::{Digest as _, Sha256};

pub(crate) use self::file_digest::file_digest;
pub use self::file_digest::short_digest;
use self::file_digest::{contents_digest, digest, file_digest_if_there, hex};
use crate::checkpoint::{
    Adapter, AdapterFiles, CheckpointError, DPT_HEAD, HISTORY_ENCODER, LoraConfig, PolicyCheckpoint, PolicySet,
    SupervisedCheckpoint, TensorTable, VlmInfo,
};
use crate::tuner::{Head, ModelSpec};
use crate::vision_language::Quantize;
use crate::vision_language::processor::{PreprocessorConfig, PromptTemplate};
use planner_tuner_core::identity::{ExtractorId, PolicyId};

/// Why files could not be identified.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A checkpoint cannot be opened.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A tensor cannot be read.
    #[error("the heads' tensors cannot be read: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The prompt's wording cannot be read.
    #[error(transparent)]
    Prompt(#[from] crate::vision_language::processor::ProcessorError),
}

/// The ids of a session with this model.
///
/// # Errors
/// [`IdentityError`] for a file that cannot be read.
pub fn identify(model: &ModelSpec) -> Result<(PolicyId, ExtractorId), IdentityError> {
    let checkpoint = SupervisedCheckpoint::open(&model.checkpoint)?;
    let policy = model.policy.as_deref().map(PolicyCheckpoint::open).transpose()?;
    let decides = model.head.unwrap_or(if policy.is_some() { Head::Actor } else { Head::Regression });
    let actor = policy.as_ref().filter(|_| decides == Head::Actor);
    let id = match actor {
        Some(policy) => file_digest(&policy.path)?,
        None => table_files(&checkpoint.regression_head)?,
    };
    Ok((PolicyId(id), extractor_id(model, &checkpoint, policy.as_ref(), actor)?))
}

/// What the hidden states of a session with this model depend on: the same parts, without the heads.
///
/// # Errors
/// [`IdentityError`] for a file that cannot be read.
pub fn identify_model(model: &ModelSpec) -> Result<String, IdentityError> {
    let checkpoint = SupervisedCheckpoint::open(&model.checkpoint)?;
    let policy = model.policy.as_deref().map(PolicyCheckpoint::open).transpose()?;
    Ok(digest_of_parts(&parts_of_files(model, &checkpoint, policy.as_ref())?))
}

/// The extractor's id of a session with this model whose policy is one that is still in memory.
///
/// # Errors
/// [`IdentityError`] for a file that cannot be read.
pub fn identify_extractor(model: &ModelSpec, policy: &PolicySet) -> Result<ExtractorId, IdentityError> {
    let checkpoint = SupervisedCheckpoint::open(&model.checkpoint)?;
    let adapter = match &policy.lora_adapter {
        Some(adapter) => Some((adapter_digest(adapter)?, adapter.config()?)),
        None => described(checkpoint.adapter.as_ref())?,
    };
    let mut parts = model_parts(model, adapter, policy.vlm_info.as_ref())?;
    let actor = &policy.actor;
    let below = |part: &str| {
        let prefix = format!("{part}.");
        let named = actor.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?, tensor.clone())));
        tensors_digest(named.map(Ok).collect::<Result<_, IdentityError>>()?)
    };
    add_heads(&mut parts, &checkpoint, below(DPT_HEAD)?, Some(below(HISTORY_ENCODER)?));
    Ok(ExtractorId(digest_of_parts(&parts)))
}

fn extractor_id(
    model: &ModelSpec,
    checkpoint: &SupervisedCheckpoint,
    policy: Option<&PolicyCheckpoint>,
    actor: Option<&PolicyCheckpoint>,
) -> Result<ExtractorId, IdentityError> {
    let mut parts = parts_of_files(model, checkpoint, policy)?;
    let below = |policy: &PolicyCheckpoint, part: &str| policy.actor.strip_prefix(&format!("{part}."));
    let (dpt_head, history) = match actor {
        Some(policy) => (below(policy, DPT_HEAD), Some(below(policy, HISTORY_ENCODER))),
        None => (checkpoint.regression_head.clone(), checkpoint.history_encoder.clone()),
    };
    let history = history.as_ref().filter(|_| checkpoint.history_config.use_history);
    add_heads(&mut parts, checkpoint, table_digest(&dpt_head)?, history.map(table_digest).transpose()?);
    Ok(ExtractorId(digest_of_parts(&parts)))
}

/// Everything up to the hidden states, by name, of a policy in files.
fn parts_of_files(
    model: &ModelSpec,
    checkpoint: &SupervisedCheckpoint,
    policy: Option<&PolicyCheckpoint>,
) -> Result<BTreeMap<String, String>, IdentityError> {
    let adapter = policy.and_then(|policy| policy.lora_adapter.as_ref()).or(checkpoint.adapter.as_ref());
    model_parts(model, described(adapter)?, policy.and_then(|policy| policy.vlm_info.as_ref()))
}

/// The checksum that the tensors of an adapter will have as a file.
fn adapter_digest(adapter: &AdapterFiles) -> Result<String, IdentityError> {
    let unread = |source| IdentityError::Io { path: "the adapter's tensors".into(), source };
    contents_digest(adapter.tensors()).map_err(unread)
}

/// An adapter's checksum and its configuration.
fn described(adapter: Option<&Adapter>) -> Result<Option<(String, LoraConfig)>, IdentityError> {
    adapter.map(|adapter| Ok((file_digest(&adapter.path)?, adapter.config.clone()))).transpose()
}

/// Everything up to the hidden states, by name.
fn model_parts(
    model: &ModelSpec,
    adapter: Option<(String, LoraConfig)>,
    trained_on: Option<&VlmInfo>,
) -> Result<BTreeMap<String, String>, IdentityError> {
    let mut parts = BTreeMap::new();
    for name in ["config.json", "tokenizer.json", "preprocessor_config.json"] {
        parts.insert(format!("base {name}"), file_digest_if_there(&model.base.join(name))?);
    }
    // Named only where they are: models that are known by the other files keep their number.
    for (whose, folder) in [("base", &model.base), ("checkpoint", &model.checkpoint)] {
        let nested = folder.join(PreprocessorConfig::NESTED_FILE);
        if nested.exists() {
            parts.insert(format!("{whose} {}", PreprocessorConfig::NESTED_FILE), file_digest_if_there(&nested)?);
        }
    }
    parts.insert("base weights".into(), table_files(&TensorTable::open_sharded(&model.base)?)?);
    if let Some((checksum, config)) = adapter {
        parts.insert("adapter".into(), checksum);
        parts.insert("adapter scale".into(), config.scale().to_string());
        let (ranks, alphas) = (&config.rank_pattern, &config.alpha_pattern);
        if !ranks.is_empty() || !alphas.is_empty() {
            parts.insert("adapter patterns".into(), format!("{ranks:?} {alphas:?}"));
        }
    }
    // What is said, not how it is written: a checkpoint without a prompt.json has the built-in wording.
    let has_prompt = model.checkpoint.join(PromptTemplate::FILE).exists();
    let template =
        if has_prompt { PromptTemplate::load(Some(&model.checkpoint))? } else { PromptTemplate::built_in()? };
    parts.insert("prompt".into(), digest(format!("{template:?} {}", model.planner.name()).as_bytes()));
    parts.insert(
        "preprocessor_config.json".into(),
        file_digest_if_there(&model.checkpoint.join("preprocessor_config.json"))?,
    );
    parts.insert("pixels".into(), format!("{:?} {:?}", model.pixels.min_pixels, model.pixels.max_pixels));
    let trained_on_4bit = trained_on.is_some_and(|info| info.use_4bit);
    let as_trained = if trained_on_4bit { Quantize::Nf4 } else { Quantize::None };
    parts.insert("quantised".into(), format!("{:?}", model.quantize.resolve().unwrap_or(as_trained)));
    Ok(parts)
}

/// Adds what lies behind the hidden states: the digests of the heads' tensors, and how the past is shown.
fn add_heads(
    parts: &mut BTreeMap<String, String>,
    checkpoint: &SupervisedCheckpoint,
    dpt_head: String,
    history: Option<String>,
) {
    parts.insert("DPT head".into(), dpt_head);
    let config = &checkpoint.history_config;
    if config.use_history {
        parts.insert("history encoder".into(), history.unwrap_or_default());
        parts.insert("history".into(), format!("{:?}", config.history_offsets));
        parts.insert("history image".into(), config.history_image_size.to_string());
    }
}

fn digest_of_parts(parts: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for (name, value) in parts {
        hash.update(format!("{name}\0{}\0{value}\n", value.len()));
    }
    hex(hash)
}

/// The files that a table's tensors lie in, in the order of their names.
fn table_files(table: &TensorTable) -> Result<String, IdentityError> {
    let files = table.files();
    if let [only] = files.as_slice() {
        return file_digest(only);
    }
    let mut hash = Sha256::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        hash.update(format!("{name}\0{}\n", file_digest(file)?));
    }
    Ok(hex(hash))
}

/// As [`tensors_digest`], of all tensors of a table.
fn table_digest(table: &TensorTable) -> Result<String, IdentityError> {
    let read = |name| Ok((name, table.read(name, &Device::Cpu)?));
    tensors_digest(table.names().filter(|name| !is_regression(name)).map(read).collect::<Result<_, IdentityError>>()?)
}

/// Names, shapes and values, whatever file they lie in. The regression behind the feature does not count.
fn tensors_digest(tensors: BTreeMap<&str, Tensor>) -> Result<String, IdentityError> {
    let mut hash = Sha256::new();
    for (name, tensor) in tensors.into_iter().filter(|(name, _)| !is_regression(name)) {
        hash.update(format!("{name}\0{:?}\n", tensor.dims()));
        for value in tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()? {
            hash.update(value.to_le_bytes());
        }
    }
    Ok(hex(hash))
}

fn is_regression(name: &str) -> bool {
    name.starts_with("mlp.")
}
