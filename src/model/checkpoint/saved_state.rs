//! The state of a training on disk: tensors, and a JSON file beside them, replaced together.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::CheckpointError;
use super::file_set::{FileSet, SetFile};
use super::state_dict::StateDict;
use super::tensor_table::TensorTable;

const TENSORS: &str = ".safetensors";
const REST: &str = ".json";

/// What a kind of training calls its files, and their format.
#[derive(Debug, Clone, Copy)]
pub struct StateFormat {
    /// What the files' names begin with.
    pub prefix: &'static str,
    /// What the JSON's field `format` says.
    pub format: &'static str,
}

/// A state as it was saved.
#[derive(Debug, Clone)]
pub struct SavedState<R> {
    /// The JSON.
    pub rest: R,
    /// The tensors.
    pub tensors: TensorTable,
    /// The file of the tensors.
    pub path: PathBuf,
}

impl StateFormat {
    /// Writes a state into a folder, at one instant.
    ///
    /// # Errors
    /// When it cannot be written; what was saved before is then still there.
    pub fn save(self, folder: &Path, tensors: &StateDict, rest: &impl Serialize) -> Result<(), CheckpointError> {
        let set = FileSet::new(folder, self.prefix);
        let unwritten = |error: serde_json::Error| CheckpointError::malformed(set.path(REST), error.to_string());
        let mut rest = serde_json::to_value(rest).map_err(unwritten)?;
        if let Some(fields) = rest.as_object_mut() {
            fields.shift_insert(0, "format".to_owned(), Value::from(self.format));
        }
        let json = serde_json::to_vec_pretty(&rest).map_err(unwritten)?;
        let tensors = tensors.to_safetensors()?;
        let files = [SetFile { suffix: TENSORS, bytes: &tensors }, SetFile { suffix: REST, bytes: &json }];
        set.save(&files, &[TENSORS, REST])
    }

    /// Finds what was saved in a folder; `None` where nothing was.
    ///
    /// # Errors
    /// For a state of another format, and what cannot be read.
    pub fn open<R: DeserializeOwned>(self, folder: &Path) -> Result<Option<SavedState<R>>, CheckpointError> {
        let Some(current) = FileSet::new(folder, self.prefix).current() else { return Ok(None) };
        let path = current.join(format!("{}{REST}", self.prefix));
        let text = std::fs::read(&path).map_err(CheckpointError::io(&path))?;
        let wrong = |error: serde_json::Error| CheckpointError::malformed(&path, error.to_string());
        let mut rest: Value = serde_json::from_slice(&text).map_err(wrong)?;
        let format = rest.as_object_mut().and_then(|fields| fields.shift_remove("format"));
        if format.as_ref().and_then(Value::as_str) != Some(self.format) {
            let found = format.map_or_else(|| "missing".to_owned(), |format| format.to_string());
            return Err(CheckpointError::malformed(&path, format!("format is {found}, expected \"{}\"", self.format)));
        }
        let rest = serde_json::from_value(rest).map_err(wrong)?;
        let path = current.join(format!("{}{TENSORS}", self.prefix));
        Ok(Some(SavedState { rest, tensors: TensorTable::open_safetensors(std::slice::from_ref(&path))?, path }))
    }
}
