//! From a path to the bag files behind it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::RecordingError;
use super::bag_file::Storage;

/// Largest metadata.yaml that is read, bytes.
const MAX_METADATA_LEN: u64 = 16 << 20;

/// The part of metadata.yaml that matters for reading.
#[derive(Debug, Deserialize)]
struct Metadata {
    rosbag2_bagfile_information: BagInformation,
}

#[derive(Debug, Deserialize)]
struct BagInformation {
    storage_identifier: String,
    relative_file_paths: Vec<String>,
    #[serde(default)]
    compression_format: String,
    #[serde(default)]
    compression_mode: String,
}

/// The bag files of a folder in the order of recording, or `None` when it holds none.
///
/// With a metadata.yaml, the files that it names. Without one, the only .mcap or .db3 file: there is no doubt which
/// one is meant, only the promise that it is the whole recording is missing.
pub(super) fn bag_files(folder: &Path) -> Result<Option<Vec<PathBuf>>, RecordingError> {
    let metadata = folder.join("metadata.yaml");
    let present = bag_files_in(folder)?;
    if metadata.is_file() {
        return files_named_by(&metadata, folder, &present).map(Some);
    }
    match present.as_slice() {
        [] => Ok(None),
        [only] => {
            log::warn!("{}: no metadata.yaml, reading {} alone", folder.display(), only.display());
            Ok(Some(present))
        }
        several => {
            let problem = format!("there is no metadata.yaml, and the folder holds {}", listed(several));
            Err(RecordingError::Metadata { path: metadata, problem })
        }
    }
}

fn files_named_by(metadata: &Path, folder: &Path, present: &[PathBuf]) -> Result<Vec<PathBuf>, RecordingError> {
    let refuse = |problem: String| RecordingError::Metadata { path: metadata.to_owned(), problem };
    let length = metadata.metadata().map_err(RecordingError::io(metadata))?.len();
    if length > MAX_METADATA_LEN {
        return Err(refuse(format!("it has {length} bytes, at most {MAX_METADATA_LEN} are read")));
    }
    let text = std::fs::read_to_string(metadata).map_err(RecordingError::io(metadata))?;
    let parsed: Metadata =
        serde_yaml::from_str(&text).map_err(|error| refuse(format!("not a rosbag2 metadata file: {error}")))?;
    let BagInformation { storage_identifier, relative_file_paths, compression_format, compression_mode } =
        parsed.rosbag2_bagfile_information;
    if !compression_mode.is_empty() && !compression_mode.eq_ignore_ascii_case("none") {
        return Err(refuse(format!(
            "the recording is compressed by rosbag2 itself (mode '{compression_mode}', format \
             '{compression_format}'), which is not read; convert it with `ros2 bag convert`"
        )));
    }
    if ![Storage::Mcap, Storage::Sqlite].iter().any(|storage| storage.identifier() == storage_identifier) {
        return Err(refuse(format!("storage_identifier is '{storage_identifier}', expected mcap or sqlite3")));
    }
    if relative_file_paths.is_empty() {
        return Err(refuse("relative_file_paths is empty".to_owned()));
    }
    let mut files = Vec::with_capacity(relative_file_paths.len());
    for relative in relative_file_paths {
        let file = folder.join(&relative);
        if !file.is_file() {
            let found = listed(present);
            return Err(RecordingError::MissingFile { metadata: metadata.to_owned(), missing: relative, found });
        }
        if let Some(storage) = Storage::of(&file)?
            && storage.identifier() != storage_identifier
        {
            let found = storage.identifier();
            return Err(refuse(format!("storage_identifier is '{storage_identifier}', but {relative} is {found}")));
        }
        files.push(file);
    }
    Ok(files)
}

/// Files that look like bags by their extension, by name.
fn bag_files_in(folder: &Path) -> Result<Vec<PathBuf>, RecordingError> {
    files_with_extension(folder, &["mcap", "db3"])
}

/// Files of a folder with one of these extensions, by name.
pub(super) fn files_with_extension(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, RecordingError> {
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(RecordingError::io(folder))? {
        let path = entry.map_err(RecordingError::io(folder))?.path();
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if extensions.contains(&extension) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// File names for a message.
pub(super) fn listed(files: &[PathBuf]) -> String {
    let names: Vec<_> = files.iter().filter_map(|file| file.file_name()).map(|name| name.to_string_lossy()).collect();
    if names.is_empty() { "no such file".to_owned() } else { names.join(", ") }
}
