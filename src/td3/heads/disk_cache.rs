//! A folder of entries that cost more to compute than to read, bounded in size.
//!
//! An entry is a file of its own, named by its key. It begins with what is needed to distrust it: a mark, the whole key,
//! the length and a CRC-32 of what follows. One that is damaged, cut short or of another key counts as missing and is
//! removed. It gets its name by a rename once it is whole; it is not synced, because one that a power cut damages is
//! computed again. When the folder is full, the entries that were not used for the longest time go.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The first bytes of an entry; another version has another mark.
const MARK: [u8; 8] = *b"PTcache1";
/// Bytes before the contents: mark, key, length, checksum.
const HEADER: u64 = 8 + 32 + 8 + 4;
const SUFFIX: &str = ".entry";
const PARTIAL: &str = ".partial-";
/// What a killed writer leaves is removed when it is this old; a younger one may still be written.
const LEFTOVER_AGE: Duration = Duration::from_secs(3600);

/// SHA-256 over all that an entry depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey(pub [u8; 32]);

/// A bounded folder of entries. Several processes may share one.
#[derive(Debug)]
pub struct DiskCache {
    folder: PathBuf,
    limit: u64,
    index: Mutex<Index>,
}

/// What lies in the folder, and which of it was used last.
#[derive(Debug, Default)]
struct Index {
    entries: HashMap<CacheKey, Entry>,
    by_use: BTreeMap<u64, CacheKey>,
    bytes: u64,
    uses: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    bytes: u64,
    used: u64,
}

impl DiskCache {
    /// Opens a folder, and creates it where it is missing. Beyond `limit` bytes, the oldest entries are removed at once.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(folder: &Path, limit: u64) -> std::io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Another process may have removed it meanwhile.
            let Ok(metadata) = entry.metadata() else { continue };
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if let Some(key) = name.strip_suffix(SUFFIX).and_then(CacheKey::from_hex) {
                found.push((modified, key, metadata.len()));
            } else if name.starts_with(PARTIAL) && modified.elapsed().is_ok_and(|age| age > LEFTOVER_AGE) {
                remove(&entry.path());
            }
        }
        found.sort_by_key(|(modified, key, _)| (*modified, key.0));
        let mut index = Index::default();
        for (_, key, bytes) in found {
            index.insert(key, bytes);
        }
        let cache = Self { folder: folder.to_owned(), limit, index: Mutex::new(index) };
        cache.make_room(0);
        Ok(cache)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Most bytes that all entries together take.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that all entries together take now.
    pub fn bytes(&self) -> u64 {
        self.index().bytes
    }

    /// Whether there is an entry, sound or not.
    pub fn contains(&self, key: &CacheKey) -> bool {
        self.index().entries.contains_key(key)
    }

    /// The contents of an entry; `None` where there is none that can be trusted.
    pub fn get(&self, key: &CacheKey) -> Option<Vec<u8>> {
        if !self.index().touch(key) {
            return None;
        }
        let path = self.path(key);
        match read_entry(&path, key) {
            Ok(contents) => Some(contents),
            Err(problem) => {
                log::warn!("{}: {problem}; it is computed again", path.display());
                self.index().forget(key);
                remove(&path);
                None
            }
        }
    }

    /// Keeps contents under a key, and lets older ones go where there is no room. Larger ones than the limit are not kept.
    ///
    /// # Errors
    /// Those of the file system; what was there before is then still there.
    pub fn put(&self, key: &CacheKey, contents: &[u8]) -> std::io::Result<()> {
        let bytes = HEADER + contents.len() as u64;
        if bytes > self.limit {
            return Ok(());
        }
        self.make_room(bytes);
        let mut file = tempfile::Builder::new().prefix(PARTIAL).tempfile_in(&self.folder)?;
        file.write_all(&header(key, contents))?;
        file.write_all(contents)?;
        file.persist(self.path(key))?;
        self.index().insert(*key, bytes);
        Ok(())
    }

    fn make_room(&self, bytes: u64) {
        let mut index = self.index();
        while index.bytes.saturating_add(bytes) > self.limit {
            let Some((_, key)) = index.by_use.first_key_value() else { break };
            let key = *key;
            index.forget(&key);
            remove(&self.path(&key));
        }
    }

    fn path(&self, key: &CacheKey) -> PathBuf {
        self.folder.join(format!("{}{SUFFIX}", key.to_hex()))
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn insert(&mut self, key: CacheKey, bytes: u64) {
        self.forget(&key);
        self.uses += 1;
        self.entries.insert(key, Entry { bytes, used: self.uses });
        self.by_use.insert(self.uses, key);
        self.bytes += bytes;
    }

    fn forget(&mut self, key: &CacheKey) {
        if let Some(old) = self.entries.remove(key) {
            self.by_use.remove(&old.used);
            self.bytes -= old.bytes;
        }
    }

    /// Marks an entry as used; whether there is one.
    fn touch(&mut self, key: &CacheKey) -> bool {
        let Some(entry) = self.entries.get(key).copied() else { return false };
        self.insert(*key, entry.bytes);
        true
    }
}

impl CacheKey {
    fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    fn from_hex(text: &str) -> Option<Self> {
        let mut key = [0; 32];
        hex::decode_to_slice(text, &mut key).ok()?;
        Some(Self(key))
    }
}

fn header(key: &CacheKey, contents: &[u8]) -> Vec<u8> {
    let checksum = crc32fast::hash(contents);
    [&MARK[..], &key.0, &(contents.len() as u64).to_le_bytes(), &checksum.to_le_bytes()].concat()
}

/// Why an entry is not trusted.
#[derive(Debug, thiserror::Error)]
enum EntryError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("its {length} bytes are no entry")]
    TooShort { length: u64 },
    #[error("it is damaged, or of another key")]
    Damaged,
}

/// The contents of a file that is this entry and whole.
fn read_entry(path: &Path, key: &CacheKey) -> Result<Vec<u8>, EntryError> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut found = [0; HEADER as usize];
    file.read_exact(&mut found).map_err(|_| EntryError::TooShort { length })?;
    // The file's own length bounds what is read, whatever its header says.
    let mut contents = Vec::new();
    file.take(length.saturating_sub(HEADER)).read_to_end(&mut contents)?;
    if found[..] == header(key, &contents)[..] { Ok(contents) } else { Err(EntryError::Damaged) }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            log::warn!("{}: cannot be removed: {error}", path.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn key(number: u8) -> CacheKey {
        CacheKey([number; 32])
    }

    #[test]
    fn the_least_recently_used_goes_first_in_this_run_and_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let entry = HEADER + 100;
        let cache = DiskCache::open(folder.path(), 3 * entry).unwrap();
        for number in 1..=3 {
            cache.put(&key(number), &[number; 100]).unwrap();
        }
        assert_eq!(cache.get(&key(1)), Some(vec![1; 100]));
        cache.put(&key(4), &[4; 100]).unwrap();
        assert_eq!(cache.bytes(), 3 * entry);
        let held = |cache: &DiskCache| [1, 2, 3, 4].map(|number| cache.get(&key(number)).is_some());
        assert_eq!(held(&cache), [true, false, true, true]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);

        cache.put(&key(5), &[5; 1000]).unwrap();
        assert_eq!(held(&cache), [true, false, true, true], "what never fits drives nothing out");
        let smaller = DiskCache::open(folder.path(), 2 * entry).unwrap();
        assert_eq!(smaller.bytes(), 2 * entry);
        assert_eq!(smaller.get(&key(4)), Some(vec![4; 100]), "written last");
    }

    #[test]
    fn nothing_damaged_or_foreign_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(folder.path(), 1 << 20).unwrap();
        let path = cache.path(&key(1));
        cache.put(&key(1), b"contents").unwrap();
        let whole = fs::read(&path).unwrap();
        let refused = |bytes: &[u8]| {
            let cache = DiskCache::open(folder.path(), 1 << 20).unwrap();
            cache.put(&key(1), b"contents").unwrap();
            fs::write(&path, bytes).unwrap();
            assert_eq!(cache.get(&key(1)), None);
            assert!(!path.exists() && !cache.contains(&key(1)), "and it is gone");
        };
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            refused(&changed);
            refused(&whole[..at]);
        }
        refused(&[&whole[..], b"more"].concat());
        // Another entry under this name.
        cache.put(&key(2), b"contents").unwrap();
        refused(&fs::read(cache.path(&key(2))).unwrap());
    }

    #[test]
    fn leftovers_and_other_files_are_no_entries() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".partial-1", "notes.txt", "ab.entry", &format!("{}.entry", "é".repeat(32))] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let cache = DiskCache::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(cache.bytes(), 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "a young partial file may still be written");
        let old = SystemTime::now() - 2 * LEFTOVER_AGE;
        File::options().write(true).open(folder.path().join(".partial-1")).unwrap().set_modified(old).unwrap();
        DiskCache::open(folder.path(), 1 << 20).unwrap();
        assert!(!folder.path().join(".partial-1").exists());
        assert!(folder.path().join("notes.txt").exists());
    }
}
