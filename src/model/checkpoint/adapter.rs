//! LoRA adapters as PEFT saves them: low-rank changes to the base model's matrices.

use super::error::CheckpointError;
use super::lora_config::LoraConfig;
use super::state_dict::StateDict;
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

/// An adapter's files in memory, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterFiles {
    config: Vec<u8>,
    /// One of [`Adapter::TENSORS`].
    name: &'static str,
    tensors: Vec<u8>,
}

impl AdapterFiles {
    /// The files of an adapter that is not on disk yet: the text of `adapter_config.json`, and the tensors under PEFT's names.
    ///
    /// # Errors
    /// When the tensors have no safetensors form.
    pub fn new(config: String, tensors: &StateDict) -> Result<Self, CheckpointError> {
        let [name, _] = Adapter::TENSORS;
        Ok(Self { config: config.into_bytes(), name, tensors: tensors.to_safetensors()? })
    }

    /// Reads an adapter's files as they are.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn read(adapter: &Adapter) -> Result<Self, CheckpointError> {
        let path = adapter.path.with_file_name(LoraConfig::FILE);
        let read = |path: &Path| std::fs::read(path).map_err(CheckpointError::io(path));
        let name = Adapter::TENSORS.into_iter().find(|name| adapter.path.ends_with(name));
        Ok(Self { config: read(&path)?, name: name.unwrap_or(Adapter::TENSORS[0]), tensors: read(&adapter.path)? })
    }

    /// What the adapter says of its ranks and scales.
    ///
    /// # Errors
    /// When it says nothing that can be read.
    pub fn config(&self) -> Result<LoraConfig, CheckpointError> {
        LoraConfig::parse(Path::new(LoraConfig::FILE), &self.config)
    }

    /// The file of the tensors.
    pub fn tensors(&self) -> &[u8] {
        &self.tensors
    }

    /// The files by name, in a folder of their own.
    pub(super) fn files(&self) -> [(&'static str, &[u8]); 2] {
        [(LoraConfig::FILE, &self.config), (self.name, &self.tensors)]
    }
}
