//! torch's zip container: `<name>/data.pkl` describes the tensors, `<name>/data/<key>` holds the storages.
//!
//! Entries are stored, never compressed, so that no entry can be larger than the file. Checksums are verified whenever
//! a storage is read.

use super::error::CheckpointError;
use super::pickle::{self, Budget, Container, Span, StorageBytes};
use super::tensor_source::{Source, TensorEntry};
use super::torch_pickle::state_dict;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use zip::{CompressionMethod, ZipArchive};

/// The storages of one open container.
#[derive(Debug)]
pub(super) struct ZipStorages {
    archive: Mutex<ZipArchive<File>>,
    path: PathBuf,
}

/// Opens a `.bin`, `.pth` or `.pt` file of torch 1.6 and later.
pub(super) fn open(path: &Path) -> Result<BTreeMap<String, TensorEntry>, CheckpointError> {
    let file = File::open(path).map_err(CheckpointError::io(path))?;
    let length = file.metadata().map_err(CheckpointError::io(path))?.len();
    let archive = ZipArchive::new(file).map_err(|error| damaged(path, error))?;
    if archive.has_duplicate_names() {
        return Err(CheckpointError::malformed(path, "two entries of the zip container have the same name"));
    }

    let mut entries = HashMap::new();
    let mut total = 0u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(|error| damaged(path, error))?;
        let name = entry.name().map_err(|error| damaged(path, error))?.into_owned();
        let refused = |what: String| Err(CheckpointError::malformed(path, format!("zip entry '{name}' {what}")));
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return refused("is compressed or encrypted; torch stores its entries as they are".into());
        }
        if entry.size() != entry.compressed_size() || entry.size() > length {
            return refused(format!("claims {} bytes in a file of {length}", entry.size()));
        }
        total = total.saturating_add(entry.size());
        entries.insert(name, (index, entry.size() as usize));
    }
    if total > length {
        let what = format!("its zip entries claim {total} bytes together, the file has {length}");
        return Err(CheckpointError::malformed(path, what));
    }
    let Some(root) = entries.keys().find_map(|name| name.strip_suffix("/data.pkl").filter(|root| !root.contains('/')))
    else {
        let found = "it is a zip file without data.pkl".into();
        return Err(CheckpointError::WrongFormat { path: path.into(), expected: "a torch file", found });
    };
    let root = root.to_string();

    let storages = Arc::new(ZipStorages { archive: Mutex::new(archive), path: path.into() });
    let read = |name: &str| -> Result<Option<Vec<u8>>, CheckpointError> {
        let Some(&(index, size)) = entries.get(&format!("{root}/{name}")) else { return Ok(None) };
        let mut bytes = vec![0; size];
        storages.read_entry(index, &mut bytes)?;
        Ok(Some(bytes))
    };
    if let Some(order) = read("byteorder")?
        && order != b"little"
    {
        let order = String::from_utf8_lossy(&order).escape_debug().to_string();
        return Err(CheckpointError::malformed(path, format!("its byte order is '{order}', expected 'little'")));
    }
    let description = read("data.pkl")?.unwrap_or_default();
    let span = Span { start: 0, len: description.len() };
    let description = pickle::run(&description, span, Container::Torch, &mut Budget::new())
        .map_err(CheckpointError::pickle(path.join("data.pkl")))?;
    state_dict(&description, &Arc::new(path.to_path_buf()), |storage| {
        let StorageBytes::Key(key) = &storage.bytes else {
            return Err(CheckpointError::malformed(
                path,
                "a storage is embedded in data.pkl, expected an entry of its own",
            ));
        };
        match entries.get(&format!("{root}/data/{key}")) {
            Some(&(index, len)) => Ok(Source::Zip { archive: storages.clone(), index, len }),
            None => Err(CheckpointError::malformed(path, format!("storage '{key}' has no entry '{root}/data/{key}'"))),
        }
    })
}

impl ZipStorages {
    /// Reads one entry, whose size is `out.len()`, and verifies its checksum.
    pub(super) fn read_entry(&self, index: usize, out: &mut [u8]) -> Result<(), CheckpointError> {
        let path = &self.path;
        // A panic while reading leaves nothing half-changed: every read seeks first.
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entry = archive.by_index(index).map_err(|error| damaged(path, error))?;
        let name = entry.name().map(|name| name.into_owned()).unwrap_or_default();
        let failed = |error: std::io::Error| {
            CheckpointError::malformed(path, format!("zip entry '{name}' cannot be read: {error}; copy the file again"))
        };
        entry.read_exact(out).map_err(failed)?;
        // The checksum is compared at the end of the entry.
        let rest = entry.read(&mut [0; 1]).map_err(failed)?;
        if rest != 0 {
            return Err(CheckpointError::malformed(path, format!("zip entry '{name}' is longer than {}", out.len())));
        }
        Ok(())
    }
}

fn damaged(path: &Path, error: zip::result::ZipError) -> CheckpointError {
    let found = format!("the zip container is damaged or cut off ({error}); copy it again");
    CheckpointError::WrongFormat { path: path.into(), expected: "a torch file", found }
}
