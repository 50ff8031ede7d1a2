//! From what the user names to what is read.

use std::path::{Path, PathBuf};

use super::RecordingError;
use super::bag_file::Storage;
use super::image_folder::is_list;
use super::rosbag2::bag_files;

/// What lies behind a path.
pub(super) enum Located {
    /// The files of a bag, in the order of recording.
    Bag(Vec<PathBuf>),
    /// Images with a table; which one, where it was named.
    Images { folder: PathBuf, table: Option<PathBuf> },
}

impl Located {
    /// `table` is that of an image folder, where it was chosen.
    pub(super) fn at(path: &Path, table: Option<&Path>) -> Result<Self, RecordingError> {
        let parent = || path.parent().unwrap_or(Path::new(".")).to_owned();
        if path.metadata().map_err(RecordingError::io(path))?.is_dir() {
            let files = if table.is_some() { None } else { bag_files(path)? };
            let images = || Self::Images { folder: path.to_owned(), table: table.map(Path::to_owned) };
            return Ok(files.map_or_else(images, Self::Bag));
        }
        if path.ends_with("metadata.yaml") {
            let folder = parent();
            let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
            return Self::at(&folder, table);
        }
        let is_table = path.extension().is_some_and(|extension| extension == "csv") || is_list(path);
        Ok(if is_table && Storage::of(path)?.is_none() {
            Self::Images { folder: parent(), table: Some(path.to_owned()) }
        } else {
            Self::Bag(vec![path.to_owned()])
        })
    }
}
