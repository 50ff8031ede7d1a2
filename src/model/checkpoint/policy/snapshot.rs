//! Files that other programs replace while we read them: read again until nothing has changed meanwhile.

use crate::checkpoint::CheckpointError;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often files are read before their writer is said to be too busy.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(2);

/// Which files lie at some places, and when they were last written: equal as long as nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(Vec<(PathBuf, Option<FileState>)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileState {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Fingerprint {
    /// Looks at each of these places, through links.
    pub fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(paths.into_iter().map(|path| (FileState::of(&path), path)).map(|(state, path)| (path, state)).collect())
    }

    /// Whether any file is there.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, state)| state.is_none())
    }

    /// Whether every file that was there in `old` is there again, and is another one.
    pub fn replaces(&self, old: &Self) -> bool {
        let now = |path: &PathBuf| self.0.iter().find(|(known, _)| known == path).and_then(|(_, state)| *state);
        old.0.iter().all(|(path, before)| before.is_none() || now(path).is_some_and(|state| Some(state) != *before))
    }

    /// The places again, as they are now.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::of(self.0.iter().map(|(path, _)| path.clone()))
    }
}

impl FileState {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

/// Reads files that `places` names, until they are the same after reading as before. What `read` then says counts; that
/// a file is missing, only if they are still to be read at that place.
pub(super) fn read_unchanged<T, P: PartialEq>(
    subject: &Path,
    mut places: impl FnMut() -> P,
    files_of: impl Fn(&P) -> Vec<PathBuf>,
    mut read: impl FnMut(&P) -> Result<T, CheckpointError>,
) -> Result<T, CheckpointError> {
    for _ in 0..ATTEMPTS {
        let place = places();
        let before = Fingerprint::of(files_of(&place));
        let result = read(&place);
        if before == before.again() && (result.is_ok() || place == places()) {
            return result;
        }
        std::thread::sleep(PAUSE);
    }
    Err(CheckpointError::Changing { path: subject.into() })
}
