//! LoRA adapters as PEFT saves them: low-rank changes to the base model's matrices.

use super::error::CheckpointError;
use super::json;
use super::tensor_table::TensorTable;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The part of `adapter_config.json` that the merge `W += scale * B A` depends on.
///
/// Which matrices are changed is read from the tensor names, not from `target_modules`: that field may be a regular
/// expression over module names which have changed between versions of transformers.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    /// Inner dimension of the product.
    pub rank: usize,
    /// Numerator of the scale.
    pub alpha: f64,
    /// Rank-stabilised scaling.
    pub use_rslora: bool,
}

impl LoraConfig {
    /// File name within the adapter's folder.
    pub const FILE: &str = "adapter_config.json";

    /// Reads the file. Features that would change the numbers and are not implemented are refused by name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        let fields: Map<String, Value> = json::read(path)?;
        let wrong = |field: &str, expected: &str| CheckpointError::Field {
            path: path.into(),
            field: field.into(),
            expected: expected.into(),
            found: fields.get(field).map_or("missing".into(), shortened),
        };
        let absent = |field: &str| match fields.get(field) {
            None | Some(Value::Null | Value::Bool(false)) => true,
            Some(Value::Array(items)) => items.is_empty(),
            Some(Value::Object(items)) => items.is_empty(),
            Some(_) => false,
        };
        match fields.get("peft_type") {
            None => {}
            Some(Value::String(kind)) if kind == "LORA" => {}
            Some(_) => return Err(wrong("peft_type", "LORA, the only kind of adapter that is implemented")),
        }
        for field in ["use_dora", "fan_in_fan_out", "lora_bias", "use_qalora", "use_bdlora"] {
            if !absent(field) {
                return Err(wrong(field, "false: this feature is not implemented and would change the numbers"));
            }
        }
        let not_empty = ["modules_to_save", "alpha_pattern", "rank_pattern", "layer_replication", "target_parameters"]
            .into_iter()
            .chain(["trainable_token_indices", "alora_invocation_tokens"]);
        for field in not_empty {
            if !absent(field) {
                return Err(wrong(field, "empty: this feature is not implemented and would change the numbers"));
            }
        }
        match fields.get("bias") {
            None | Some(Value::Null) => {}
            Some(Value::String(bias)) if bias == "none" => {}
            Some(_) => return Err(wrong("bias", "\"none\": trained biases are not implemented")),
        }
        let rank = fields.get("r").and_then(Value::as_u64).filter(|rank| (1..=65_536).contains(rank));
        let rank = rank.ok_or_else(|| wrong("r", "an integer from 1 to 65536"))? as usize;
        let alpha = fields.get("lora_alpha").and_then(Value::as_f64).filter(|alpha| alpha.is_finite() && *alpha > 0.0);
        let alpha = alpha.ok_or_else(|| wrong("lora_alpha", "a positive number"))?;
        let use_rslora = match fields.get("use_rslora") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(value)) => *value,
            Some(_) => return Err(wrong("use_rslora", "true or false")),
        };
        Ok(Self { rank, alpha, use_rslora })
    }

    /// The factor of the product: alpha / r, or alpha / sqrt(r) with rank-stabilised scaling.
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        if self.use_rslora { self.alpha / rank.sqrt() } else { self.alpha / rank }
    }
}

fn shortened(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

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
