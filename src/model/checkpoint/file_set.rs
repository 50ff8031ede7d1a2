//! Files that change together: whoever reads them finds the old ones or the new ones, whenever the writer is killed.
//!
//! ```text
//! policy_actor      -> .policy/current/policy_actor       what programs open: links that never change
//! policy_noise      -> .policy/current/policy_noise
//! .policy/current   -> set-7                              renamed over: the one step that replaces all files
//! .policy/set-7/       policy_actor, policy_noise         never changed once it has this name
//! .policy/set-6/                                          a set before, for readers that are at it; goes a second later
//! .policy/partial-8/                                      what a killed writer leaves; goes next time
//! .policy/lock                                            held by the one writer
//! ```
//!
//! A reader that resolves `current` once, as [`FileSet::current`] does, reads files of one set. Plain files that lie where
//! the links belong are first made a set themselves, so that the names keep their contents until the rename.

use super::error::CheckpointError;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use planner_tuner_core::durable::{sync_folder, write_new};

const CURRENT: &str = "current";
const LOCK: &str = "lock";
const SET: &str = "set-";
const PARTIAL: &str = "partial-";
/// A set that was replaced is kept for this long: a reader that has found its folder may not have opened a file yet.
const READERS_MAY_TAKE: Duration = Duration::from_secs(1);

/// The place of a set of files: those of a folder that share a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSet {
    folder: PathBuf,
    prefix: String,
}

/// One file of a set.
#[derive(Debug, Clone, Copy)]
pub struct SetFile<'a> {
    /// What follows the prefix in the file's name, `_actor` for instance; for a file in a folder of the set the folder's,
    /// too: `_lora_adapter/adapter_config.json`.
    pub suffix: &'a str,
    /// The contents.
    pub bytes: &'a [u8],
}

impl SetFile<'_> {
    /// What follows the prefix in the name of the file, or of the folder that it lies in.
    fn entry(&self) -> &str {
        self.suffix.split('/').next().unwrap_or_default()
    }
}

impl FileSet {
    /// The set `<folder>/<prefix>…`.
    pub fn new(folder: impl Into<PathBuf>, prefix: impl Into<String>) -> Self {
        Self { folder: folder.into(), prefix: prefix.into() }
    }

    /// The place of a file, whether it is there or not.
    pub fn path(&self, suffix: &str) -> PathBuf {
        self.folder.join(self.name(suffix))
    }

    /// Whether a file's name leads to the set: not where another program has put a file of its own.
    pub fn is_linked(&self, suffix: &str) -> bool {
        fs::read_link(self.path(suffix)).is_ok_and(|target| target == self.target(suffix))
    }

    /// The folder of the current set, if one was saved here: nothing in it changes any more, and all files in it belong
    /// together. The files have the names that they have outside.
    pub fn current(&self) -> Option<PathBuf> {
        self.store().join(CURRENT).canonicalize().ok()
    }

    /// Replaces the set by these files, all at once; `family` are the suffixes that any set here may have. Returns when
    /// everything is on the disk. Waits for another writer of the same set.
    ///
    /// # Errors
    /// [`CheckpointError::Write`]; the files that were there before are then still in place.
    pub fn save(&self, files: &[SetFile<'_>], family: &[&str]) -> Result<(), CheckpointError> {
        fs::create_dir_all(self.store()).map_err(CheckpointError::write(self.store()))?;
        let lock = self.store().join(LOCK);
        let held = File::create(&lock).map_err(CheckpointError::write(&lock))?;
        held.lock().map_err(CheckpointError::write(&lock))?;
        self.remove_leftovers()?;

        let new = self.fill(|folder| files.iter().try_for_each(|file| self.write(folder, *file)))?;
        if family.iter().any(|suffix| self.is_foreign(suffix)) {
            self.adopt(family)?;
        }
        for file in files {
            self.link(file.entry())?;
        }
        sync(&self.folder)?;
        self.commit(&new)?;
        self.drop_links_without_files(family)
    }

    fn name(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.prefix)
    }

    fn store(&self) -> PathBuf {
        self.folder.join(format!(".{}", self.prefix))
    }

    /// A new set of what `fill` puts into its folder, not yet in use.
    fn fill(&self, fill: impl FnOnce(&Path) -> Result<(), CheckpointError>) -> Result<PathBuf, CheckpointError> {
        let number = self.sets()?.into_iter().max().unwrap_or(0) + 1;
        let partial = self.store().join(format!("{PARTIAL}{number}"));
        fs::create_dir(&partial).map_err(CheckpointError::write(&partial))?;
        fill(&partial)?;
        sync(&partial)?;
        let set = self.store().join(format!("{SET}{number}"));
        fs::rename(&partial, &set).map_err(CheckpointError::write(&set))?;
        Ok(set)
    }

    fn write(&self, folder: &Path, file: SetFile<'_>) -> Result<(), CheckpointError> {
        let path = folder.join(self.name(file.suffix));
        let failed = || CheckpointError::write(&path);
        let inner = path.parent().filter(|parent| *parent != folder);
        inner.map_or(Ok(()), fs::create_dir_all).map_err(failed())?;
        write_new(&path, file.bytes).map_err(failed())?;
        inner.map_or(Ok(()), sync_folder).map_err(failed())
    }

    /// Moves the plain files that lie here into a set, and leaves links in their place. No name changes its contents.
    fn adopt(&self, family: &[&str]) -> Result<(), CheckpointError> {
        let set = self.fill(|folder| {
            for suffix in family {
                // The file itself, not a link to it.
                let Ok(path) = self.path(suffix).canonicalize() else { continue };
                take_along(&path, &folder.join(self.name(suffix))).map_err(CheckpointError::write(&path))?;
            }
            Ok(())
        })?;
        self.commit(&set)?;
        for suffix in family.iter().filter(|suffix| self.is_foreign(suffix)) {
            let aside = self.store().join(format!("{PARTIAL}link"));
            self.symlink(suffix, &aside)?;
            fs::rename(&aside, self.path(suffix)).map_err(CheckpointError::write(self.path(suffix)))?;
        }
        Ok(())
    }

    /// The link that a file of the set is found by, if it is not there yet.
    fn link(&self, suffix: &str) -> Result<(), CheckpointError> {
        if self.is_linked(suffix) { Ok(()) } else { self.symlink(suffix, &self.path(suffix)) }
    }

    fn symlink(&self, suffix: &str, at: &Path) -> Result<(), CheckpointError> {
        std::os::unix::fs::symlink(self.target(suffix), at).map_err(CheckpointError::write(at))
    }

    /// What the link of a file says.
    fn target(&self, suffix: &str) -> PathBuf {
        Path::new(&format!(".{}", self.prefix)).join(CURRENT).join(self.name(suffix))
    }

    /// Whether something other than our link has a file's name.
    fn is_foreign(&self, suffix: &str) -> bool {
        fs::symlink_metadata(self.path(suffix)).is_ok() && !self.is_linked(suffix)
    }

    /// The one step that replaces all files.
    fn commit(&self, set: &Path) -> Result<(), CheckpointError> {
        let (aside, current) = (self.store().join(format!("{PARTIAL}current")), self.store().join(CURRENT));
        let name = Path::new(set.file_name().unwrap_or_default());
        std::os::unix::fs::symlink(name, &aside).map_err(CheckpointError::write(&aside))?;
        sync(&self.store())?;
        fs::rename(&aside, &current).map_err(CheckpointError::write(&current))?;
        sync(&self.store())
    }

    fn drop_links_without_files(&self, family: &[&str]) -> Result<(), CheckpointError> {
        for path in family.iter().map(|suffix| self.path(suffix)) {
            if path.is_symlink() && !path.exists() {
                fs::remove_file(&path).map_err(CheckpointError::write(&path))?;
            }
        }
        Ok(())
    }

    /// Numbers of the sets there are.
    fn sets(&self) -> Result<Vec<u64>, CheckpointError> {
        Ok(self.store_entries()?.iter().filter_map(|name| name.strip_prefix(SET)?.parse().ok()).collect())
    }

    fn store_entries(&self) -> Result<Vec<String>, CheckpointError> {
        let store = self.store();
        let entries = fs::read_dir(&store).map_err(CheckpointError::write(&store))?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect::<std::io::Result<_>>().map_err(CheckpointError::write(&store))
    }

    /// Removes the sets before the current one, once nobody can be reading them, and whatever a killed writer left.
    fn remove_leftovers(&self) -> Result<(), CheckpointError> {
        let current = fs::read_link(self.store().join(CURRENT)).ok();
        let is_current = |name: &str| current.as_deref().and_then(Path::file_name) == Some(OsStr::new(name));
        let sets = self.sets()?;
        for number in sets.iter().copied().filter(|number| !is_current(&format!("{SET}{number}"))) {
            if self.was_replaced_long_ago(number, &sets) {
                // In one step: under the name of a set there are all of its files, or none.
                let (set, aside) = (format!("{SET}{number}"), format!("{PARTIAL}{number}"));
                let (set, aside) = (self.store().join(set), self.store().join(aside));
                fs::rename(&set, aside).map_err(CheckpointError::write(&set))?;
            }
        }
        for name in self.store_entries()?.iter().filter(|name| name.starts_with(PARTIAL)) {
            let path = self.store().join(name);
            let removed = if path.is_symlink() { fs::remove_file(&path) } else { fs::remove_dir_all(&path) };
            removed.map_err(CheckpointError::write(&path))?;
        }
        Ok(())
    }

    /// Whether a set gave way long enough ago: as long as the one behind it has been there. One that has none behind it
    /// was never in use, and neither it nor one from before a clock was set back is waited for.
    fn was_replaced_long_ago(&self, number: u64, sets: &[u64]) -> bool {
        let next = sets.iter().copied().filter(|other| *other > number).min();
        let made = next.and_then(|next| fs::metadata(self.store().join(format!("{SET}{next}"))).ok()?.modified().ok());
        made.and_then(|made| made.elapsed().ok()).is_none_or(|age| age > READERS_MAY_TAKE)
    }
}

/// Gives a file, or the files of a folder, another place besides the one they have.
fn take_along(path: &Path, place: &Path) -> std::io::Result<()> {
    if !path.is_dir() {
        return fs::hard_link(path, place).or_else(|_| fs::copy(path, place).map(|_| ()));
    }
    fs::create_dir(place)?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        take_along(&entry.path(), &place.join(entry.file_name()))?;
    }
    sync_folder(place)
}

/// A name is on the disk once its folder is.
fn sync(folder: &Path) -> Result<(), CheckpointError> {
    sync_folder(folder).map_err(CheckpointError::write(folder))
}
