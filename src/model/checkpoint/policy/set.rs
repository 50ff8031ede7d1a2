//! Writing policies: all files of one, at one instant.

use super::manifest::{PolicyManifest, PolicyOrigin};
use super::{ACTOR, ACTOR_SAFETENSORS, FAMILY, LORA_ADAPTER, NOISE, PolicyCheckpoint, VLM_INFO, VlmInfo};
use crate::checkpoint::adapter::AdapterFiles;
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::file_set::{FileSet, SetFile};
use crate::checkpoint::pickle::PickleWriter;
use crate::checkpoint::state_dict::StateDict;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// A policy in memory, with what belongs to it.
#[derive(Debug, Clone)]
pub struct PolicySet {
    /// The tensors, named and ordered as in the original's actor.
    pub actor: StateDict,
    /// Standard deviation of the exploration noise, in units of the action ([-1, 1]).
    pub noise: Option<f64>,
    /// What the policy was trained on top of.
    pub vlm_info: Option<VlmInfo>,
    /// The training step.
    pub step: Option<u64>,
    /// How it came about.
    pub origin: PolicyOrigin,
    /// The adapter that was trained along with it.
    pub lora_adapter: Option<AdapterFiles>,
}

/// Which files a policy is written as. The manifest comes with all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PolicyForm {
    /// `P_actor`, `P_noise`, `P_vlm_info`, as the original system reads them, and `P_actor.safetensors`.
    #[default]
    Both,
    /// `P_actor`, `P_noise`, `P_vlm_info`.
    Pickle,
    /// `P_actor.safetensors`; the manifest holds the rest.
    Safetensors,
}

/// Where a policy was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedPolicy {
    /// The prefix that opens it again.
    pub prefix: PathBuf,
    /// SHA-256 of the actor's file (the pickle where there are both), hexadecimal: the policy's id in logs.
    pub sha256: String,
    /// Size of all files together.
    pub bytes: u64,
}

impl PolicySet {
    /// Reads a policy from files.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn read(policy: &PolicyCheckpoint) -> Result<Self, CheckpointError> {
        Ok(Self {
            actor: StateDict::read(&policy.actor)?,
            noise: policy.noise,
            vlm_info: policy.vlm_info.clone(),
            step: policy.step,
            origin: policy.manifest.as_ref().map(|manifest| manifest.origin.clone()).unwrap_or_default(),
            lora_adapter: policy.lora_adapter.as_ref().map(AdapterFiles::read).transpose()?,
        })
    }

    /// Writes the policy as `<folder>/<prefix>_…` in both forms. Whoever reads there sees the policy that was there
    /// before, or this one as a whole; so does the next run after this one is killed.
    ///
    /// # Errors
    /// [`CheckpointError::Write`] or [`CheckpointError::NotWritable`]; the old policy is then still in place.
    pub fn save(&self, folder: &Path, prefix: &str) -> Result<SavedPolicy, CheckpointError> {
        self.save_as(PolicyForm::Both, folder, prefix)
    }

    /// As [`save`](Self::save), in one form only.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn save_as(&self, form: PolicyForm, folder: &Path, prefix: &str) -> Result<SavedPolicy, CheckpointError> {
        let set = FileSet::new(folder, prefix);
        let adapter = set.path(LORA_ADAPTER);
        if adapter.exists() && !set.is_linked(LORA_ADAPTER) {
            let reason = "an adapter of another policy lies there; save under another prefix or move it away";
            return Err(CheckpointError::malformed(adapter, reason));
        }
        let mut files: Vec<(String, Cow<'_, [u8]>)> = Vec::new();
        if form != PolicyForm::Safetensors {
            files.push((ACTOR.into(), self.actor.to_pickle()?.into()));
            files.extend(self.noise.map(|noise| (NOISE.into(), pickled_number(noise).into())));
            files.extend(self.vlm_info.as_ref().map(|info| (VLM_INFO.into(), info.to_pickle().into())));
        }
        if form != PolicyForm::Pickle {
            files.push((ACTOR_SAFETENSORS.into(), self.actor.to_safetensors()?.into()));
        }
        if let Some(adapter) = &self.lora_adapter {
            files.extend(adapter.files().map(|(name, bytes)| (format!("{LORA_ADAPTER}/{name}"), bytes.into())));
        }
        let sums = files.iter().map(|(suffix, bytes)| (suffix.trim_start_matches('_'), &**bytes));
        let manifest = PolicyManifest {
            step: self.step,
            noise: self.noise,
            vlm_info: self.vlm_info.clone(),
            origin: self.origin.clone(),
            ..PolicyManifest::new(sums)
        };
        let sha256 = manifest.sha256("actor").or_else(|| manifest.sha256("actor.safetensors"));
        let sha256 = sha256.unwrap_or_default().to_owned();
        files.push((PolicyManifest::SUFFIX.into(), to_json(&manifest, &set)?.into()));

        let contents: Vec<_> = files.iter().map(|(suffix, bytes)| SetFile { suffix, bytes }).collect();
        set.save(&contents, &FAMILY)?;
        let bytes = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        Ok(SavedPolicy { prefix: set.path(""), sha256, bytes })
    }
}

fn to_json(manifest: &PolicyManifest, set: &FileSet) -> Result<Vec<u8>, CheckpointError> {
    let path = || set.path(PolicyManifest::SUFFIX);
    let text = serde_json::to_string_pretty(manifest);
    text.map(|text| (text + "\n").into_bytes()).map_err(|error| CheckpointError::malformed(path(), error.to_string()))
}

/// The pickle of a float.
fn pickled_number(value: f64) -> Vec<u8> {
    let mut pickle = PickleWriter::new();
    pickle.float(value);
    pickle.finish()
}
