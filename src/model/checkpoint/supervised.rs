//! The folder that supervised training leaves: adapter, regression head, history encoder, statistics.

use super::adapter::Adapter;
use super::error::CheckpointError;
use super::history_config::HistoryConfig;
use super::lora_config::LoraConfig;
use super::normalization::Normalization;
use super::tensor_table::TensorTable;
use std::path::{Path, PathBuf};

/// Where a supervised checkpoint keeps its regression head, the preferred file first.
pub(super) const REGRESSION_HEAD: [&str; 3] =
    ["regression_head/pytorch_model.bin", "regression_head/model.safetensors", "regression_head.pth"];
/// Where it keeps its history encoder.
pub(super) const HISTORY_ENCODER: [&str; 4] = [
    "history_encoder/pytorch_model.bin",
    "history_encoder/model.safetensors",
    "history_encoder.pth",
    "history_encoder.safetensors",
];

/// Whether a checkpoint has to bring a LoRA adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AdapterRequirement {
    /// A folder without one is an error.
    #[default]
    Required,
    /// A folder with neither of an adapter's files means the base model unchanged. Half an adapter is still an error.
    Optional,
}

/// A supervised checkpoint, opened for reading.
#[derive(Debug, Clone)]
pub struct SupervisedCheckpoint {
    /// The folder.
    pub folder: PathBuf,
    /// The change to the base model; `None` only where the caller made it optional.
    pub adapter: Option<Adapter>,
    /// The DPT head with its regression MLP: `projections.*`, `fusion_blocks.*`, …, `mlp.*`.
    pub regression_head: TensorTable,
    /// How the past is shown.
    pub history_config: HistoryConfig,
    /// The history encoder; `None` exactly when the configuration says that there is none.
    pub history_encoder: Option<TensorTable>,
    /// The scale of the regression's outputs.
    pub normalization: Normalization,
    /// `prompt.json`, where the checkpoint brings its own wording.
    pub prompt_json: Option<PathBuf>,
    /// `preprocessor_config.json` (or `processor_config.json`), where the checkpoint overrides fields of the base model's.
    pub preprocessor_config: Option<PathBuf>,
}

/// The networks of a checkpoint by themselves, whichever of them are there.
#[derive(Debug, Clone)]
pub struct Heads {
    /// The DPT head with its regression MLP.
    pub regression_head: Option<TensorTable>,
    /// The history encoder.
    pub history_encoder: Option<TensorTable>,
}

impl Heads {
    /// Opens what a folder holds of a supervised checkpoint's networks.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let open = |candidates| first_in(folder.as_ref(), candidates).map(TensorTable::open).transpose();
        Ok(Self { regression_head: open(&REGRESSION_HEAD)?, history_encoder: open(&HISTORY_ENCODER)? })
    }
}

/// The first of several file names that a folder holds.
fn first_in(folder: &Path, candidates: &[&str]) -> Option<PathBuf> {
    candidates.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

impl SupervisedCheckpoint {
    /// Opens a checkpoint folder with its adapter. Files that are missing are all reported in one error.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        Self::open_with(folder, AdapterRequirement::Required)
    }

    /// Opens a checkpoint folder, with or without an adapter.
    pub fn open_with(folder: impl AsRef<Path>, adapter: AdapterRequirement) -> Result<Self, CheckpointError> {
        let folder = folder.as_ref();
        let problems = |problems| CheckpointError::Problems { path: folder.into(), problems };
        if !folder.is_dir() {
            return Err(problems(vec!["there is no such folder, expected a supervised checkpoint".into()]));
        }

        let mut missing = Vec::new();
        let first_of = |candidates: &[&str], missing: &mut Vec<String>| {
            let found = first_in(folder, candidates);
            if found.is_none() {
                missing.push(format!("{} is missing", candidates.join(" or ")));
            }
            found
        };
        let has_adapter = adapter == AdapterRequirement::Required || Adapter::is_in(folder);
        if has_adapter {
            first_of(&[LoraConfig::FILE], &mut missing);
            first_of(&Adapter::TENSORS, &mut missing);
        }
        let regression_head = first_of(&REGRESSION_HEAD, &mut missing);
        for name in [Normalization::MEAN, Normalization::STD] {
            first_of(&[name], &mut missing);
        }
        // Which history files are needed, the configuration decides.
        let history_config = first_of(&[HistoryConfig::FILE], &mut missing).map(HistoryConfig::open).transpose()?;
        let history_encoder = match &history_config {
            Some(config) if config.use_history => first_of(&HISTORY_ENCODER, &mut missing),
            _ => None,
        };
        let (Some(regression_head), Some(history_config), true) = (regression_head, history_config, missing.is_empty())
        else {
            return Err(problems(missing));
        };

        let if_there = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        Ok(Self {
            folder: folder.into(),
            adapter: has_adapter.then(|| Adapter::open(folder)).transpose()?,
            regression_head: TensorTable::open(regression_head)?,
            history_encoder: history_encoder.map(TensorTable::open).transpose()?,
            history_config,
            normalization: Normalization::open(folder)?,
            prompt_json: if_there("prompt.json"),
            preprocessor_config: if_there("preprocessor_config.json").or_else(|| if_there("processor_config.json")),
        })
    }
}
