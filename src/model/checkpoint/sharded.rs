//! A base model's weights: one safetensors file, or shards with an index that says which tensor is where.

use super::error::CheckpointError;
use super::json;
use super::safetensors_file;
use super::tensor_source::TensorEntry;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Opens the folder; everything that index and shards disagree about is reported in one error.
pub(super) fn open(folder: &Path) -> Result<BTreeMap<String, TensorEntry>, CheckpointError> {
    let problems = |problems| CheckpointError::Problems { path: folder.into(), problems };
    let index = folder.join(INDEX);
    if !index.is_file() {
        let single = folder.join(SINGLE);
        return match single.is_file() {
            true => Ok(safetensors_file::open(&single)?.into_iter().collect()),
            false if folder.is_dir() => Err(problems(vec![format!("it holds neither {INDEX} nor {SINGLE}")])),
            false => Err(CheckpointError::WrongFormat {
                path: folder.into(),
                expected: "a base model's folder",
                found: "there is no such folder".into(),
            }),
        };
    }

    let Index { weight_map } = json::read(&index)?;
    let shards: BTreeSet<&str> = weight_map.values().map(String::as_str).collect();
    let mut found = Vec::new();
    let mut entries: BTreeMap<String, TensorEntry> = BTreeMap::new();
    for shard in shards {
        if !is_plain_name(shard) {
            found.push(format!("{INDEX} names the shard '{shard}', expected a file name without a folder"));
            continue;
        }
        let path = folder.join(shard);
        if !path.is_file() {
            let tensors = weight_map.values().filter(|name| *name == shard).count();
            found.push(format!("shard {shard} with {tensors} tensors is missing"));
            continue;
        }
        match safetensors_file::open(&path) {
            Err(error) => found.push(error.to_string()),
            Ok(tensors) => {
                for name in weight_map.iter().filter(|(_, named)| *named == shard).map(|(name, _)| name) {
                    if !tensors.iter().any(|(stored, _)| stored == name) {
                        found.push(format!("tensor '{name}' should be in {shard}, which does not hold it"));
                    }
                }
                for (name, entry) in tensors {
                    match entries.get(&name) {
                        Some(other) => found.push(format!("tensor '{name}' is in {} and in {shard}", shown(other))),
                        None if !weight_map.contains_key(&name) => {
                            found.push(format!("tensor '{name}' in {shard} is not in {INDEX}"));
                        }
                        None => drop(entries.insert(name, entry)),
                    }
                }
            }
        }
    }
    if weight_map.is_empty() {
        found.push(format!("{INDEX} names no tensors"));
    }
    if found.is_empty() { Ok(entries) } else { Err(problems(found)) }
}

fn shown(entry: &TensorEntry) -> String {
    entry.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A shard lies next to its index; an index from outside must not lead elsewhere.
fn is_plain_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
}
