//! What reinforcement learning leaves: an actor with its own copy of the heads, and how it was made.

use super::adapter::Adapter;
use super::error::CheckpointError;
use super::pickle::{Pickle, Value};
use super::tensor_table::TensorTable;
use super::torch_pickle::{number, read_value};
use std::path::{Path, PathBuf};

/// A policy checkpoint: the files that share a prefix such as `policy_step_1000` or `policy`.
#[derive(Debug, Clone)]
pub struct PolicyCheckpoint {
    /// `feature_extractor.dpt_head.*`, `feature_extractor.history_encoder.*` and `fc.*`.
    pub actor: TensorTable,
    /// The file the actor was read from.
    pub path: PathBuf,
    /// The training step, for a policy named `policy_step_N`.
    pub step: Option<u64>,
    /// Standard deviation of the exploration noise, in units of the action ([-1, 1]).
    pub noise: Option<f64>,
    /// What the policy was trained on top of.
    pub vlm_info: Option<VlmInfo>,
    /// The adapter trained along with the policy; takes the place of the supervised one.
    pub lora_adapter: Option<Adapter>,
}

/// `P_vlm_info`: the base that a policy was trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VlmInfo {
    /// The supervised checkpoint's path on the machine that trained; kept as it is.
    pub checkpoint_path: String,
    /// Whether the base model was quantised to 4 bits.
    pub use_4bit: bool,
    /// Whether past frames were shown.
    pub use_history: bool,
    /// Whether the adapter was trained, too.
    pub vlm_trainable: bool,
}

impl PolicyCheckpoint {
    /// Opens a policy by prefix (`dir/policy_step_1000`), by folder (which holds `policy_actor`, or exactly one
    /// `…_actor`), or by its actor file (`…_actor`, `…_actor.safetensors`).
    ///
    /// Where an actor is there as a pickle and as safetensors, prefix and folder mean the pickle: it is what the
    /// training system wrote.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = locate(path.as_ref())?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = name.strip_suffix(SAFETENSORS).unwrap_or(&name);
        let stem = stem.strip_suffix(ACTOR).unwrap_or(stem);
        let beside = |suffix: &str| path.with_file_name(format!("{stem}{suffix}"));
        let read_if_there = |suffix: &str| Some(beside(suffix)).filter(|path| path.exists());

        let actor = TensorTable::open(&path)?;
        if actor.is_empty() {
            return Err(CheckpointError::malformed(path, "it holds no tensors, expected those of an actor"));
        }
        let adapter = read_if_there("_lora_adapter").map(Adapter::open).transpose()?;
        let vlm_info = read_if_there("_vlm_info").map(|path| VlmInfo::open(&path)).transpose()?;
        if adapter.is_none() && vlm_info.as_ref().is_some_and(|info| info.vlm_trainable) {
            let what = "it says that the adapter was trained with the policy (vlm_trainable), and there is no";
            let folder = beside("_lora_adapter");
            return Err(CheckpointError::malformed(beside("_vlm_info"), format!("{what} {}", folder.display())));
        }
        Ok(Self {
            actor,
            step: stem.rsplit_once("_step_").and_then(|(_, step)| step.parse().ok()),
            noise: read_if_there("_noise").map(|path| read_noise(&path)).transpose()?,
            vlm_info,
            lora_adapter: adapter,
            path,
        })
    }
}

const ACTOR: &str = "_actor";
const SAFETENSORS: &str = ".safetensors";

/// The actor file that a prefix, folder or file means.
fn locate(path: &Path) -> Result<PathBuf, CheckpointError> {
    let problem = |problem: String| CheckpointError::Problems { path: path.into(), problems: vec![problem] };
    if path.is_file() {
        return Ok(path.into());
    }
    let prefix = path.file_name().unwrap_or_default().to_string_lossy();
    let by_prefix =
        [format!("{prefix}{ACTOR}"), format!("{prefix}{ACTOR}{SAFETENSORS}")].map(|name| path.with_file_name(name));
    if let Some(actor) = by_prefix.into_iter().find(|candidate| candidate.is_file()) {
        return Ok(actor);
    }
    if !path.is_dir() {
        return Err(problem(format!(
            "there is no such file or folder, nor {prefix}{ACTOR} or {prefix}{ACTOR}{SAFETENSORS}"
        )));
    }

    let live = path.join("policy_actor");
    if live.is_file() {
        return Ok(live);
    }
    let mut actors = Vec::new();
    for entry in std::fs::read_dir(path).map_err(CheckpointError::io(path))? {
        let name = entry.map_err(CheckpointError::io(path))?.file_name().to_string_lossy().into_owned();
        let prefix = name.strip_suffix(SAFETENSORS).unwrap_or(&name).strip_suffix(ACTOR);
        actors.extend(prefix.map(str::to_string));
    }
    actors.sort();
    actors.dedup();
    match actors.as_slice() {
        [prefix] => locate(&path.join(prefix)),
        [] if path.join("regression_head").is_dir() => Err(problem(
            "it holds a regression head and no actor: give it as the supervised checkpoint, with the regression head"
                .into(),
        )),
        [] => Err(problem(format!("no file in it ends in {ACTOR} or {ACTOR}{SAFETENSORS}"))),
        several => Err(problem(format!("it holds several policies, name one by its prefix: {}", several.join(", ")))),
    }
}

fn read_noise(path: &Path) -> Result<f64, CheckpointError> {
    read_value(path, |pickle| {
        number(pickle.root).filter(|noise| noise.is_finite() && *noise >= 0.0).ok_or_else(|| {
            let found = pickle.describe(pickle.root);
            CheckpointError::malformed(
                path,
                format!("it holds {found}, expected the exploration noise, a number from 0"),
            )
        })
    })
}

impl VlmInfo {
    fn open(path: &Path) -> Result<Self, CheckpointError> {
        read_value(path, |pickle| {
            let items = pickle.dict(pickle.root).ok_or_else(|| {
                let found = pickle.describe(pickle.root);
                CheckpointError::malformed(path, format!("it holds {found}, expected a dict"))
            })?;
            let field = |name: &str| {
                items.iter().rev().find(|(key, _)| pickle.text(*key) == Some(name)).map(|(_, value)| *value)
            };
            let wrong = |name: &str, expected: &str| CheckpointError::Field {
                path: path.into(),
                field: name.into(),
                expected: expected.into(),
                found: field(name).map_or("missing".into(), |value| pickle.describe(value)),
            };
            let flag = |name: &str| match field(name) {
                Some(Value::Bool(value)) => Ok(value),
                _ => Err(wrong(name, "True or False")),
            };
            let known = ["checkpoint_path", "use_4bit", "use_history", "vlm_trainable"];
            log_unknown(pickle, items, &known, path);
            Ok(Self {
                checkpoint_path: field("checkpoint_path")
                    .and_then(|value| pickle.text(value))
                    .ok_or_else(|| wrong("checkpoint_path", "a string"))?
                    .to_string(),
                use_4bit: flag("use_4bit")?,
                use_history: flag("use_history")?,
                vlm_trainable: flag("vlm_trainable")?,
            })
        })
    }
}

fn log_unknown(pickle: &Pickle<'_>, items: &[(Value, Value)], known: &[&str], path: &Path) {
    for (key, _) in items.iter().filter(|(key, _)| !pickle.text(*key).is_some_and(|key| known.contains(&key))) {
        log::debug!("{}: ignoring the unknown field {}", path.display(), pickle.describe(*key));
    }
}
