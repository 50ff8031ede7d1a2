//! Where results go, looked at before anything is computed: nobody wants to hear of a missing folder after an hour.

use std::path::{Path, PathBuf};

/// Why nothing can be written where it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// A folder in place of a file.
    #[error("{option} {path}: is a folder, expected the name of a file to write")]
    IsFolder {
        /// The option that names it.
        option: &'static str,
        /// What it names.
        path: PathBuf,
    },
    /// A device, a pipe or a socket, which would be replaced.
    #[error("{option} {path}: is no regular file, and would be replaced by one; name another")]
    IsSpecial {
        /// The option that names it.
        option: &'static str,
        /// What it names.
        path: PathBuf,
    },
    /// A file in place of a folder.
    #[error("{option} {path}: {file} is a file, expected a folder")]
    IsFile {
        /// The option that names it.
        option: &'static str,
        /// What it names.
        path: PathBuf,
        /// The file.
        file: PathBuf,
    },
    /// The folder of a file is not there.
    #[error("{option} {path}: there is no folder {folder}; make it first, or name another")]
    NoFolder {
        /// The option that names it.
        option: &'static str,
        /// What it names.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// A folder that is to be new has something in it.
    #[error("{option} {path}: is there already and is not empty; name another folder, or move it away")]
    NotEmpty {
        /// The option that names it.
        option: &'static str,
        /// What it names.
        path: PathBuf,
    },
    /// The file system refuses.
    #[error("{option} {path}: nothing can be written to the folder {folder}: {source}")]
    Refused {
        /// The option that names it.
        option: &'static str,
        /// What it names.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Checks that a file can be written, new or in place of an older one.
///
/// # Errors
/// Why not.
pub fn check_file(option: &'static str, path: &Path) -> Result<(), DestinationError> {
    let named = || (option, path.to_owned());
    if path.is_dir() || path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        let (option, path) = named();
        return Err(DestinationError::IsFolder { option, path });
    }
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        let (option, path) = named();
        return Err(DestinationError::IsSpecial { option, path });
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match folder.metadata() {
        Ok(found) if found.is_dir() => try_folder(option, path, folder),
        Ok(_) => {
            let (option, path) = named();
            Err(DestinationError::IsFile { option, path, file: folder.to_owned() })
        }
        Err(_) => {
            let (option, path) = named();
            Err(DestinationError::NoFolder { option, path, folder: folder.to_owned() })
        }
    }
}

/// Checks that files can be written to a folder that is there, or can be made.
///
/// # Errors
/// Why not.
pub fn check_folder(option: &'static str, path: &Path) -> Result<(), DestinationError> {
    // The nearest folder that is there: the ones below it will be made.
    let there = path.ancestors().find(|folder| folder.symlink_metadata().is_ok()).unwrap_or(Path::new("."));
    if !there.is_dir() {
        let (path, file) = (path.to_owned(), there.to_owned());
        return Err(DestinationError::IsFile { option, path, file });
    }
    try_folder(option, path, there)
}

/// Checks that a folder can be made which is not there yet, or is empty. Gives its name without a slash at the end.
///
/// # Errors
/// Why not.
pub fn check_new_folder(option: &'static str, path: &Path) -> Result<PathBuf, DestinationError> {
    let path: PathBuf = path.components().collect();
    if path.is_dir() && path.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(DestinationError::NotEmpty { option, path });
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() {
        check_folder(option, folder)?
    } else {
        check_folder(option, &path)?
    }
    Ok(path)
}

/// Permissions do not tell all: a disk may be full, or mounted to be read only.
fn try_folder(option: &'static str, path: &Path, folder: &Path) -> Result<(), DestinationError> {
    match tempfile::Builder::new().prefix(".planner_tuner").tempfile_in(folder) {
        Ok(_removed_again) => Ok(()),
        Err(source) => {
            let (path, folder) = (path.to_owned(), folder.to_owned());
            Err(DestinationError::Refused { option, path, folder, source })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn said<T>(checked: Result<T, DestinationError>) -> String {
        checked.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_file_needs_a_folder_and_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "").unwrap();
        assert_eq!(said(check_file("--plot", &at("new.png"))), "");
        assert_eq!(said(check_file("--plot", &at("file"))), "", "an older one is replaced");
        for path in [folder.path().to_owned(), at("new/"), PathBuf::from(".."), PathBuf::new()] {
            assert!(said(check_file("--plot", &path)).contains("is a folder"), "{}", path.display());
        }
        assert!(said(check_file("--plot", &at("none/new.png"))).contains("there is no folder"));
        assert!(said(check_file("--plot", &at("file/new.png"))).ends_with("file is a file, expected a folder"));
        assert!(said(check_file("--plot", Path::new("/dev/null"))).contains("no regular file"));
        // Nobody can write there, root neither.
        assert!(said(check_file("--mcap", Path::new("/proc/new.mcap"))).starts_with("--mcap /proc/new.mcap: nothing"));
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "nothing is left");
    }

    #[test]
    fn a_folder_is_there_or_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "").unwrap();
        std::fs::create_dir(at("empty")).unwrap();
        for path in [folder.path().to_owned(), at("new"), at("new/"), at("a/b/c"), PathBuf::from("new")] {
            assert_eq!(said(check_folder("--log", &path)), "", "{}", path.display());
        }
        for path in [at("file"), at("file/below")] {
            assert!(said(check_folder("--log", &path)).contains("is a file"), "{}", path.display());
        }
        assert!(said(check_folder("--log", Path::new("/proc/new"))).contains("nothing can be written"));
        for name in ["new", "new/", "empty", "empty/", "a/b/"] {
            let expected: PathBuf = at(name).components().collect();
            let found = check_new_folder("-o", &at(name)).unwrap();
            assert_eq!(found.as_os_str(), expected.as_os_str(), "no slash at the end");
        }
        assert!(said(check_new_folder("-o", &at("./"))).contains("not empty"));
        assert!(said(check_new_folder("-o", &at("file"))).contains("is a file"));
        assert_eq!(folder.path().read_dir().unwrap().count(), 2, "nothing is left");
    }
}
