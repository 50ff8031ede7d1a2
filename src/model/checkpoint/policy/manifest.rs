//! What a policy says of itself, and the sums by which its files are known to be whole.

use super::VlmInfo;
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::json;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// `P_manifest.json`: how a policy was made, and length and SHA-256 of each of its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyManifest {
    /// [`PolicyManifest::FORMAT`].
    pub(super) format: String,
    /// The training step, when known.
    #[serde(default)]
    pub step: Option<u64>,
    /// Standard deviation of the exploration noise.
    #[serde(default)]
    pub noise: Option<f64>,
    /// What the policy was trained on top of.
    #[serde(default)]
    pub vlm_info: Option<VlmInfo>,
    /// How it came about.
    #[serde(default)]
    pub origin: PolicyOrigin,
    /// By what follows `P_` in a file's name.
    pub(super) files: BTreeMap<String, FileSum>,
}

/// What only training knows of a policy. Policies of the original system do not say it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyOrigin {
    /// The planner's name.
    pub planner: Option<String>,
    /// The planner's parameters in the action's order.
    pub parameters: Vec<String>,
    /// SHA-256 over all that the features depended on, hexadecimal.
    pub extractor: Option<String>,
    /// Whatever training has to say: updates, losses, the logs it learned from.
    pub summary: serde_json::Map<String, serde_json::Value>,
}

/// Length and sum of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileSum {
    bytes: u64,
    sha256: String,
}

impl PolicyManifest {
    const FORMAT: &str = "vlm_planner_tuner policy 1";
    /// What follows the prefix in the manifest's own name.
    pub(super) const SUFFIX: &str = "_manifest.json";

    /// A manifest of these files: what follows `P_` in the name, and the contents.
    pub(super) fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let sum = |bytes: &[u8]| FileSum { bytes: bytes.len() as u64, sha256: hex::encode(Sha256::digest(bytes)) };
        Self {
            format: Self::FORMAT.into(),
            step: None,
            noise: None,
            vlm_info: None,
            origin: PolicyOrigin::default(),
            files: files.into_iter().map(|(name, bytes)| (name.to_owned(), sum(bytes))).collect(),
        }
    }

    /// Reads a manifest; its files are not looked at.
    pub(super) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let manifest: Self = json::read(path)?;
        let wrong = |field: &str, expected: &str, found: String| {
            let (path, field, expected) = (path.into(), field.into(), expected.into());
            Err(CheckpointError::Field { path, field, expected, found })
        };
        if manifest.format != Self::FORMAT {
            return wrong("format", Self::FORMAT, format!("'{}'", manifest.format));
        }
        match manifest.noise {
            Some(noise) if !(noise.is_finite() && noise >= 0.0) => wrong("noise", "a number from 0", noise.to_string()),
            _ => Ok(manifest),
        }
    }

    /// Compares a file with what the manifest (the file at `own_path`) says of it.
    pub(super) fn verify(&self, own_path: &Path, file: &Path) -> Result<(), CheckpointError> {
        let folder = own_path.parent().unwrap_or(Path::new(""));
        let name = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
        let (own, name) = (name(own_path), name(file));
        let suffix = own.strip_suffix(Self::SUFFIX).and_then(|stem| name.strip_prefix(stem)?.strip_prefix('_'));
        let expected = suffix.and_then(|suffix| self.files.get(suffix));
        let found = FileSum::of(file)?;
        if expected == Some(&found) {
            return Ok(());
        }
        Err(CheckpointError::NotAsInManifest {
            path: file.into(),
            manifest: own_path.into(),
            expected: expected.map_or("nothing of it".into(), FileSum::to_string),
            found: found.to_string(),
        })
    }

    /// SHA-256 of a file, hexadecimal, by what follows `P_` in its name.
    pub fn sha256(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(|sum| sum.sha256.as_str())
    }
}

impl FileSum {
    fn of(path: &Path) -> Result<Self, CheckpointError> {
        let mut sum = Sha256::new();
        let mut file = File::open(path).map_err(CheckpointError::io(path))?;
        let bytes = std::io::copy(&mut file, &mut sum).map_err(CheckpointError::io(path))?;
        Ok(Self { bytes, sha256: hex::encode(sum.finalize()) })
    }
}

impl std::fmt::Display for FileSum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short: String = self.sha256.chars().take(12).collect();
        write!(f, "{} bytes with SHA-256 {short}…", self.bytes)
    }
}

/// SHA-256 of a file's contents, hexadecimal.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_of(path: &Path) -> Result<String, CheckpointError> {
    FileSum::of(path).map(|sum| sum.sha256)
}
