//! Small JSON files, read with a bound on their size.

use super::error::CheckpointError;
use super::stand_in::stand_in;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// More than the index of any published model.
const MAX_BYTES: u64 = 64 << 20;

/// Reads a JSON file into a type. The error names the file, and the line and column where it stopped making sense.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, CheckpointError> {
    let io = || CheckpointError::io(path);
    let file = File::open(path).map_err(io())?;
    let length = file.metadata().map_err(io())?.len();
    if length > MAX_BYTES {
        return Err(wrong(path, format!("it has {length} bytes, more than the {MAX_BYTES} that are read")));
    }
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(io())?;
    parse(path, &text)
}

/// Reads the contents of a JSON file into a type. The error names the file, and the line and column where it stopped making
/// sense.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T, CheckpointError> {
    if text.is_empty() {
        return Err(wrong(path, "it is empty".into()));
    }
    if let Some(found) = stand_in(text) {
        return Err(wrong(path, found));
    }
    serde_json::from_slice(text).map_err(|error| wrong(path, error.to_string()))
}

fn wrong(path: &Path, found: String) -> CheckpointError {
    CheckpointError::WrongFormat { path: path.into(), expected: "the JSON file it should be", found }
}
