//! Where ROS writes its log files, and whether it can: without them rcl refuses to start, and does not say why.

use std::path::{Path, PathBuf};

/// Why ROS cannot write its log files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogFolderError {
    /// No variable says where.
    #[error(
        "ROS does not know where to write its log files: HOME, ROS_HOME and ROS_LOG_DIR are not set; set one of them"
    )]
    Unknown,
    /// The folder cannot be made or written to.
    #[error(
        "ROS cannot write its log files to {folder} (from {variable}): {error}; make it writable, or set ROS_LOG_DIR"
    )]
    NotWritable {
        /// The folder.
        folder: PathBuf,
        /// The environment variable that it comes from.
        variable: &'static str,
        /// Why.
        error: std::io::Error,
    },
}

/// Tries the folder that `rcl_logging` chooses: `ROS_LOG_DIR`, `ROS_HOME/log`, or `HOME/.ros/log`.
///
/// # Errors
/// [`LogFolderError`] where nothing can be written there.
pub fn try_log_folder(variable: impl Fn(&str) -> Option<String>) -> Result<(), LogFolderError> {
    const PLACES: [(&str, &str); 3] = [("ROS_LOG_DIR", ""), ("ROS_HOME", "log"), ("HOME", ".ros/log")];
    let given = PLACES.iter().find_map(|(name, below)| {
        let folder = variable(name).filter(|folder| !folder.is_empty())?;
        Some((*name, Path::new(&folder).join(below)))
    });
    let Some((variable, folder)) = given else { return Err(LogFolderError::Unknown) };
    let written = std::fs::create_dir_all(&folder).and_then(|()| tempfile::tempfile_in(&folder));
    written.map(drop).map_err(|error| LogFolderError::NotWritable { folder, variable, error })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn r20_the_folder_and_its_variable_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display().to_string();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let file = file.display().to_string();
        let tried = |set: &[(&str, &str)]| {
            try_log_folder(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(tried(&[("HOME", &root)]).is_ok() && folder.path().join(".ros/log").is_dir());
        assert!(tried(&[("HOME", &file), ("ROS_HOME", &root)]).is_ok() && folder.path().join("log").is_dir());
        assert!(tried(&[("HOME", &root), ("ROS_LOG_DIR", "")]).is_ok(), "empty is not set");
        assert!(tried(&[]).unwrap_err().to_string().contains("HOME, ROS_HOME and ROS_LOG_DIR are not set"));
        let refused = tried(&[("ROS_LOG_DIR", &file), ("HOME", &root)]).unwrap_err().to_string();
        assert!(refused.contains(&file) && refused.contains("from ROS_LOG_DIR"), "{refused}");
    }
}
