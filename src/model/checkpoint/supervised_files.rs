//! Writing supervised checkpoints: a folder that is whole or not there.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::adapter::AdapterFiles;
use super::error::CheckpointError;
use super::history_config::HistoryConfig;
use super::normalization::Normalization;
use super::npy;
use super::state_dict::StateDict;
use super::supervised::{HISTORY_ENCODER, REGRESSION_HEAD};
use planner_tuner_core::durable::{replace_folder, write_new};

/// A supervised checkpoint in memory, as [`super::SupervisedCheckpoint`] reads it and the original's loader does.
#[derive(Debug, Clone)]
pub struct SupervisedFiles {
    /// The LoRA.
    pub adapter: AdapterFiles,
    /// The DPT head with its regression.
    pub regression_head: StateDict,
    /// How the past is shown and the history encoder, where there is one.
    pub history: Option<(HistoryConfig, StateDict)>,
    /// The scale of the regression's outputs.
    pub normalization: Normalization,
    /// The text of `prompt.json`.
    pub prompt_json: String,
    /// Other files by name: reports, curves.
    pub others: Vec<(String, Vec<u8>)>,
}

impl SupervisedFiles {
    /// Puts the checkpoint in place of what a folder holds: whoever looks sees the old folder or the whole new one.
    ///
    /// # Errors
    /// [`CheckpointError::Write`] or [`CheckpointError::NotWritable`]; the old folder is then still there.
    pub fn save(&self, folder: &Path) -> Result<(), CheckpointError> {
        let mut files: Vec<(&str, Vec<u8>)> = vec![
            (REGRESSION_HEAD[0], self.regression_head.to_torch_zip()?),
            (Normalization::MEAN, npy::vector_bytes(self.normalization.mean())),
            (Normalization::STD, npy::vector_bytes(self.normalization.std())),
            ("prompt.json", self.prompt_json.clone().into_bytes()),
        ];
        files.extend(self.adapter.files().map(|(name, bytes)| (name, bytes.to_vec())));
        let config = match &self.history {
            Some((config, encoder)) => {
                files.push((HISTORY_ENCODER[0], encoder.to_torch_zip()?));
                json!({
                    "use_history": true,
                    "num_history_frames": config.num_history_frames,
                    "history_dim": config.history_dim,
                    "history_image_size": config.history_image_size,
                    "history_offsets": config.history_offsets,
                })
            }
            None => json!({"use_history": false}),
        };
        files.push((HistoryConfig::FILE, format!("{config:#}\n").into_bytes()));
        files.extend(self.others.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())));
        replace_folder(folder, |new| {
            for (name, bytes) in &files {
                let path = new.join(name);
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                write_new(&path, bytes)?;
            }
            Ok(())
        })
        .map_err(CheckpointError::write(folder))
    }
}
