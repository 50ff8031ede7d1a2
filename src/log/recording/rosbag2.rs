//! From a path to the bag files behind it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::RecordingError;
use super::bag_file::{Storage, is_ros1_bag, ros1_bag};

/// Largest metadata.yaml that is read, bytes.
const MAX_METADATA_LEN: u64 = 16 << 20;

/// The part of metadata.yaml that matters for reading.
#[derive(Debug, Deserialize)]
struct Metadata {
    rosbag2_bagfile_information: BagInformation,
}

#[derive(Debug, Deserialize)]
struct BagInformation {
    /// 1 in Crystal, 2 and 3 in Dashing and Eloquent, 4 in Foxy, 5 to 8 in Galactic to Iron, 9 in Jazzy.
    #[serde(default)]
    version: u32,
    storage_identifier: String,
    #[serde(default)]
    relative_file_paths: Option<Vec<String>>,
    /// The same once more, since version 5.
    #[serde(default)]
    files: Option<Vec<FileInformation>>,
    #[serde(default)]
    compression_format: Option<String>,
    #[serde(default)]
    compression_mode: Option<String>,
}

#[derive(Debug, Deserialize)]
struct FileInformation {
    path: String,
}

/// From this version on paths count from the bag's folder; before, from the folder above it.
const PATHS_COUNT_FROM_THE_BAG: u32 = 4;

/// What rosbag2 and the zstd tool append to the name of a file that they have compressed.
const COMPRESSED: [&str; 2] = ["zstd", "zst"];

/// The bag files of a folder in the order of recording, or `None` when it holds none.
///
/// With a metadata.yaml, the files that it names. Without one, which is what a recorder leaves that was stopped hard, the
/// .mcap or .db3 files of one recording: only the promise that it is the whole of it is missing.
pub(super) fn bag_files(folder: &Path) -> Result<Option<Vec<PathBuf>>, RecordingError> {
    let metadata = folder.join("metadata.yaml");
    let present = bag_files_in(folder)?;
    if metadata.is_file() {
        return files_named_by(&metadata, folder, &present).map(Some);
    }
    if present.is_empty() {
        let ros1 = files_with_extension(folder, &["bag"])?.into_iter().find(|file| is_ros1_bag(file));
        return ros1.map_or(Ok(None), |bag| Err(ros1_bag(&bag)));
    }
    if let [only] = present.as_slice() {
        log::warn!("{}: no metadata.yaml, reading {} alone", folder.display(), only.display());
        return Ok(Some(present));
    }
    let Some(parts) = in_order_of_recording(&present) else {
        let problem = format!(
            "there is no metadata.yaml, and the folder holds {}, which are not the numbered files of one recording",
            listed(&present)
        );
        return Err(RecordingError::Metadata { path: metadata, problem });
    };
    let numbers: Vec<u64> = parts.iter().map(|(number, _)| *number).collect();
    let parts: Vec<PathBuf> = parts.into_iter().map(|(_, file)| file).collect();
    log::warn!("{}: no metadata.yaml, reading what is there in order: {}", folder.display(), listed(&parts));
    for (before, after) in numbers.iter().zip(numbers.iter().skip(1)).filter(|(before, after)| **after > **before + 1) {
        log::warn!("{}: between the files {before} and {after} at least one is missing", folder.display());
    }
    Ok(Some(parts))
}

/// The files of one recording by the numbers at the end of their names (`drive_9.mcap` before `drive_10.mcap`); `None`
/// when they differ in anything else.
fn in_order_of_recording(files: &[PathBuf]) -> Option<Vec<(u64, PathBuf)>> {
    let mut recording = None;
    let mut parts = Vec::with_capacity(files.len());
    for file in files {
        let name = file.file_name()?.to_str()?;
        let (stem, extension) = without_compression(name).rsplit_once('.')?;
        let (title, number) = stem.rsplit_once('_')?;
        if *recording.get_or_insert((title, extension)) != (title, extension) {
            return None;
        }
        parts.push((number.parse().ok()?, file.clone()));
    }
    // A recorder that is stopped while it compresses a file leaves both: the plain one is whole.
    parts.sort_by_key(|(number, file)| (*number, is_compressed(file)));
    parts.dedup_by_key(|(number, _)| *number);
    Some(parts)
}

fn is_compressed(file: &Path) -> bool {
    file.extension().is_some_and(|extension| COMPRESSED.iter().any(|compressed| extension == *compressed))
}

fn without_compression(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((plain, extension)) if COMPRESSED.contains(&extension) => plain,
        _ => name,
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
    let bag = parsed.rosbag2_bagfile_information;
    check_compression(metadata, &bag)?;
    let storage_identifier = bag.storage_identifier;
    if ![Storage::Mcap, Storage::Sqlite].iter().any(|storage| storage.identifier() == storage_identifier) {
        return Err(refuse(format!("storage_identifier is '{storage_identifier}', expected mcap or sqlite3")));
    }
    let named = bag.relative_file_paths.filter(|paths| !paths.is_empty());
    let in_detail = || bag.files.unwrap_or_default().into_iter().map(|file| file.path).collect();
    let named: Vec<String> = named.unwrap_or_else(in_detail);
    if named.is_empty() {
        return Err(refuse("relative_file_paths is empty".to_owned()));
    }
    let mut files = Vec::with_capacity(named.len());
    for relative in named {
        let Some(file) = find(folder, &relative, bag.version) else {
            let found = listed(present);
            return Err(RecordingError::MissingFile { metadata: metadata.to_owned(), missing: relative, found });
        };
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

/// Where a file is that metadata.yaml names: counted as its version says, or else of that name in the bag's own folder,
/// which may have been renamed; compressed or, by hand, no longer.
fn find(folder: &Path, relative: &str, version: u32) -> Option<PathBuf> {
    let above = std::path::absolute(folder).ok().and_then(|folder| folder.parent().map(Path::to_owned));
    let above = above.filter(|_| version < PATHS_COUNT_FROM_THE_BAG).map(|above| above.join(relative));
    // Windows' recorders write its separators.
    let name = relative.rsplit(['/', '\\']).next()?;
    let places = [above, Some(folder.join(relative)), Some(folder.join(name))];
    places.into_iter().flatten().find_map(|place| {
        let plain = place.to_str().map(|place| PathBuf::from(without_compression(place)));
        let compressed = COMPRESSED.map(|extension| {
            let mut compressed = place.clone().into_os_string();
            compressed.push(format!(".{extension}"));
            PathBuf::from(compressed)
        });
        [place].into_iter().chain(plain).chain(compressed).find(|file| file.is_file())
    })
}

/// rosbag2 compresses with plugins; zstd is the one that comes with it.
fn check_compression(metadata: &Path, bag: &BagInformation) -> Result<(), RecordingError> {
    let mode = bag.compression_mode.as_deref().unwrap_or_default();
    let format = bag.compression_format.as_deref().unwrap_or_default();
    let is_none = |name: &str| name.is_empty() || name.eq_ignore_ascii_case("none");
    if is_none(mode) || is_none(format) || format.eq_ignore_ascii_case("zstd") {
        return Ok(());
    }
    let problem = format!(
        "compression_format is '{format}' (compression_mode '{mode}'), expected zstd or none; where that format's plugin is \
         installed, `ros2 bag convert` writes the recording without compression"
    );
    Err(RecordingError::unreadable(metadata, problem))
}

/// Files that look like bags by their names, compressed or not.
fn bag_files_in(folder: &Path) -> Result<Vec<PathBuf>, RecordingError> {
    let mut files = files_with_extension(folder, &["mcap", "db3", "zstd", "zst"])?;
    files.retain(|file| {
        let name = file.file_name().and_then(|name| name.to_str()).map(without_compression).unwrap_or_default();
        name.ends_with(".mcap") || name.ends_with(".db3")
    });
    Ok(files)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn in_order(names: &[&str]) -> Option<Vec<String>> {
        let files: Vec<_> = names.iter().map(PathBuf::from).collect();
        let parts = in_order_of_recording(&files)?;
        Some(parts.into_iter().map(|(_, file)| file.to_str().unwrap().to_owned()).collect())
    }

    #[test]
    fn numbered_files_of_one_recording_are_put_in_order() {
        let names = ["d_0.mcap", "d_10.mcap", "d_2.mcap.zstd", "d_9.mcap", "d_9.mcap.zstd"];
        assert_eq!(in_order(&names).unwrap(), ["d_0.mcap", "d_2.mcap.zstd", "d_9.mcap", "d_10.mcap"]);
        for strangers in
            [["a.mcap", "b.mcap"], ["a_0.mcap", "b_1.mcap"], ["a_0.mcap", "a_1.db3"], ["a_0.mcap", "a_x.mcap"]]
        {
            assert_eq!(in_order(&strangers), None, "{strangers:?}");
        }
    }

    #[test]
    fn metadata_of_every_version_is_read() {
        let topics = "\n  topics_with_message_count:\n    - topic_metadata:\n        name: /odom\n        type: a/msg/B\n        \
                      serialization_format: cdr\n        offered_qos_profiles:";
        let profile = "\n          - history: keep_last\n            depth: 5";
        let files = "\n  files:\n    - path: d_0.mcap\n      message_count: 2";
        for (version, rest) in [
            (1, String::new()),
            (2, topics.to_owned()),
            (3, format!("\n  compression_format: ~{topics} \"- history: 3\\n  depth: 0\"")),
            (4, format!("\n  compression_format: \"\"\n  compression_mode: \"\"{topics} \"\"")),
            (5, format!("{files}{topics} ''")),
            (6, format!("{files}\n  storage_config_uri: ''\n  custom_data: ~")),
            (8, format!("{files}{topics} []\n        type_description_hash: RIHS01_00\n  ros_distro: iron")),
            (9, format!("{files}{topics}{profile}\n  custom_data:\n    a: b")),
        ] {
            let text = format!(
                "rosbag2_bagfile_information:\n  version: {version}\n  storage_identifier: mcap\n  relative_file_paths:\n    - \
                 d_0.mcap{rest}"
            );
            let bag = serde_yaml::from_str::<Metadata>(&text).unwrap().rosbag2_bagfile_information;
            assert_eq!(
                (bag.version, bag.relative_file_paths.unwrap().as_slice()),
                (version, ["d_0.mcap".to_owned()].as_slice())
            );
        }
    }
}
