//! LoRA adapters as PEFT saves them: low-rank changes to the base model's matrices.

use super::error::CheckpointError;
use super::lora_config::LoraConfig;
use super::tensor_table::TensorTable;
use std::path::{Path, PathBuf};

/// A LoRA adapter: its configuration and its tensors, at least one of which has content.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// Rank and scale.
    pub config: LoraConfig,
    /// `….lora_A.weight` [rank, in] and `….lora_B.weight` [out, rank], under the names the file gives them.
    pub tensors: TensorTable,
    /// The tensor file.
    pub path: PathBuf,
}

impl Adapter {
    /// File names of the tensors, the preferred one first.
    pub const TENSORS: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];

    /// Opens `adapter_config.json` and `adapter_model.safetensors` (or `.bin`) in a folder.
    ///
    /// An adapter without tensors, or with tensors of no elements, is an error: it would silently change nothing.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let folder = folder.as_ref();
        let config = folder.join(LoraConfig::FILE);
        let path = Self::TENSORS.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        let mut missing = Vec::new();
        if !config.is_file() {
            missing.push(format!("{} is missing", LoraConfig::FILE));
        }
        let (Some(path), true) = (path, config.is_file()) else {
            if !Self::TENSORS.iter().any(|name| folder.join(name).is_file()) {
                missing.push(format!("{} (or {}) is missing", Self::TENSORS[0], Self::TENSORS[1]));
            }
            return Err(CheckpointError::Problems { path: folder.into(), problems: missing });
        };
        let config = LoraConfig::open(config)?;
        let tensors = TensorTable::open(&path)?;
        if tensors.is_empty() {
            let bytes = std::fs::metadata(&path).map(|metadata| metadata.len()).unwrap_or_default();
            let what = format!("its {bytes} bytes hold no tensors");
            return Err(CheckpointError::EmptyAdapter { path, what });
        }
        let without_content = |name: &&str| tensors.meta(name).is_some_and(|meta| meta.elements() == 0);
        let empty: Vec<&str> = tensors.names().filter(without_content).collect();
        if let Some(first) = empty.first() {
            let what = format!("{} of its {} tensors have no elements, '{first}' for one", empty.len(), tensors.len());
            return Err(CheckpointError::EmptyAdapter { path, what });
        }
        Ok(Self { config, tensors, path })
    }

    /// Whether a folder holds any part of an adapter.
    pub fn is_in(folder: impl AsRef<Path>) -> bool {
        let folder = folder.as_ref();
        Self::TENSORS.iter().chain([&LoraConfig::FILE]).any(|name| folder.join(name).exists())
    }
}
