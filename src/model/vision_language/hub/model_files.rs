//! Which files make a base model.

use std::{
    collections::BTreeSet,
    path::{Component, Path},
};

use serde_json::Value;

use super::{HubError, read_bounded};
use crate::vision_language::processor::PreprocessorConfig;

/// Read besides the weights.
pub(super) const SETTINGS: [&str; 2] = ["config.json", "tokenizer.json"];
/// The image processor's settings, in one of these.
pub(super) const IMAGE_SETTINGS: [&str; 2] = [PreprocessorConfig::FILE, PreprocessorConfig::NESTED_FILE];
/// Weights in one file.
pub(super) const WEIGHTS: &str = "model.safetensors";
/// The list of shards, when the weights are in several.
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// The index of the largest models has about 100 kB.
const MAX_INDEX_BYTES: u64 = 64 << 20;

/// What `folder` lacks to be a whole base model. Links that lead nowhere, as interrupted downloads leave them, count as
/// missing.
pub(super) fn missing_files(folder: &Path) -> Result<Vec<String>, HubError> {
    let is_missing = |name: &str| !folder.join(name).is_file();
    let mut missing: Vec<String> = SETTINGS.into_iter().filter(|name| is_missing(name)).map(str::to_owned).collect();
    if IMAGE_SETTINGS.into_iter().all(is_missing) {
        missing.push(IMAGE_SETTINGS.join(" (or ") + ")");
    }
    if is_missing(WEIGHTS) {
        if is_missing(INDEX) {
            missing.push(format!("{WEIGHTS} (or {INDEX} with its shards)"));
        } else {
            missing.extend(shards(&folder.join(INDEX))?.into_iter().filter(|name| is_missing(name)));
        }
    }
    Ok(missing)
}

/// The files that `weight_map` of an index names, each once, sorted.
pub(super) fn shards(index: &Path) -> Result<BTreeSet<String>, HubError> {
    let refuse = |reason: String| HubError::Index { path: index.to_owned(), reason };
    let bytes = read_bounded(index, MAX_INDEX_BYTES).map_err(|e| refuse(e.to_string()))?;
    let json: Value = serde_json::from_slice(&bytes).map_err(|e| refuse(format!("not JSON: {e}")))?;
    let Some(map) = json.get("weight_map").and_then(Value::as_object).filter(|map| !map.is_empty()) else {
        return Err(refuse("field 'weight_map' is missing or empty, expected tensor names and their files".to_owned()));
    };
    map.iter()
        .map(|(tensor, file)| match file.as_str() {
            Some(name) if is_plain_name(name) => Ok(name.to_owned()),
            _ => {
                Err(refuse(format!("tensor '{tensor}' is said to be in {file}, expected the name of a file beside it")))
            }
        })
        .collect()
}

/// Whether joining this name to a folder stays directly in that folder.
fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shards_of(json: &str) -> Result<BTreeSet<String>, HubError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), json).unwrap();
        shards(file.path())
    }

    #[test]
    fn shards_are_listed_once() {
        let shards = shards_of(r#"{"weight_map": {"a": "2.safetensors", "b": "1.safetensors", "c": "2.safetensors"}}"#);
        assert_eq!(shards.unwrap().into_iter().collect::<Vec<_>>(), ["1.safetensors", "2.safetensors"]);
    }

    #[test]
    fn an_index_cannot_lead_out_of_its_folder() {
        for name in ["../x", "/etc/passwd", "a/b", "..", "", "."] {
            let err = shards_of(&format!(r#"{{"weight_map": {{"w": "{name}"}}}}"#)).unwrap_err().to_string();
            assert!(err.contains(&format!("tensor 'w' is said to be in \"{name}\"")), "{err}");
        }
        for broken in ["", "[]", "{}", r#"{"weight_map": {}}"#, r#"{"weight_map": {"w": 3}}"#] {
            assert!(shards_of(broken).is_err(), "{broken}");
        }
    }
}
