//! The named tensors of one or several files: known at once, read one by one.

use super::error::CheckpointError;
use super::stand_in::{STAND_IN_BYTES, stand_in};
use super::tensor_source::{TensorEntry, TensorMeta, Zeros};
use super::{safetensors_file, sharded, torch_pickle, torch_zip};
use candle_core::{Device, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Names, shapes and element types of the tensors in one or several files. Opening reads headers only (a plain pickle,
/// which has none, is read whole); the numbers of a tensor are read by [`read`](Self::read). Cheap to clone.
///
/// The files stay open, and nothing is memory-mapped: a file that is replaced while we run keeps its old contents, one
/// that is cut short gives an error.
#[derive(Debug, Clone, Default)]
pub struct TensorTable {
    entries: BTreeMap<String, TensorEntry>,
}

impl TensorTable {
    /// Opens a tensor file of any kind that is read here, recognised by its contents: safetensors, torch's zip
    /// container (`.bin`, `.pth`, `.pt`), torch's older container, or a plain pickle of a state dict. A folder is taken
    /// for a base model, see [`open_sharded`](Self::open_sharded).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        if path.is_dir() {
            return Self::open_sharded(path);
        }
        let table = match sniff(path)? {
            TensorFormat::Safetensors => Self::open_safetensors(&[path.to_path_buf()]),
            TensorFormat::TorchZip => Self::open_torch(path),
            TensorFormat::Pickle => Self::open_policy_pickle(path),
        }?;
        Ok(table.without_wrappers(path))
    }

    /// The tensors under the names they have in the module itself, where it was saved inside of one that
    /// `torch.compile` or data-parallel training had put around it.
    fn without_wrappers(self, path: &Path) -> Self {
        let (names, wrappers) = unwrapped_names(self.entries.keys());
        if wrappers.is_empty() {
            return self;
        }
        let wrappers = wrappers.join("' and '");
        log::info!(
            "{}: the module was saved inside a wrapper, its tensors are read without '{wrappers}'",
            path.display()
        );
        Self { entries: names.into_iter().zip(self.entries.into_values()).collect() }
    }

    /// Opens safetensors files as one table. A tensor that two of them hold is an error.
    pub fn open_safetensors(paths: &[PathBuf]) -> Result<Self, CheckpointError> {
        let mut table = Self::default();
        for path in paths {
            for (name, entry) in safetensors_file::open(path)? {
                if let Some(other) = table.entries.get(&name) {
                    let what = format!("tensor '{name}' is also in {}", other.path().display());
                    return Err(CheckpointError::malformed(path, what));
                }
                table.entries.insert(name, entry);
            }
        }
        Ok(table)
    }

    /// Opens a base model's folder: `model.safetensors.index.json` with its shards, or a single `model.safetensors`.
    /// Everything in which index and shards disagree is reported in one error.
    pub fn open_sharded(folder: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        Ok(Self { entries: sharded::open(folder.as_ref())? })
    }

    /// Opens a torch file: the zip container of torch 1.6 and later, or the one before it.
    pub fn open_torch(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        match sniff(path)? {
            TensorFormat::TorchZip => Ok(Self { entries: torch_zip::open(path)? }),
            TensorFormat::Pickle => Self::open_policy_pickle(path),
            TensorFormat::Safetensors => Err(CheckpointError::WrongFormat {
                path: path.into(),
                expected: "a torch file",
                found: "it is a safetensors file under another name".into(),
            }),
        }
    }

    /// Opens a plain pickle of a state dict, as the original saves its actor: a dict of name to tensor in which every
    /// tensor embeds a legacy torch file.
    pub fn open_policy_pickle(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        Ok(Self { entries: torch_pickle::open(path.as_ref())? })
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The names in the order in which the file holds the tensors: that of the network they were saved from.
    pub fn names_in_file_order(&self) -> Vec<&str> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        // Stable: tensors that share their numbers, or have none, stay sorted by name.
        entries.sort_by_key(|(_, entry)| entry.place());
        entries.into_iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Number of values in all tensors.
    pub fn elements(&self) -> u64 {
        self.names().filter_map(|name| self.meta(name)).map(|meta| meta.elements() as u64).sum()
    }

    /// Whether there is no tensor.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Shape and element type of a tensor.
    pub fn meta(&self, name: &str) -> Option<&TensorMeta> {
        self.entries.get(name).map(TensorEntry::meta)
    }

    /// The file that holds a tensor.
    pub fn file_of(&self, name: &str) -> Option<&Path> {
        self.entries.get(name).map(TensorEntry::path)
    }

    /// The files behind the table, sorted.
    pub fn files(&self) -> Vec<&Path> {
        self.entries.values().map(TensorEntry::path).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Number of values in all tensors together.
    pub fn parameter_count(&self) -> u64 {
        self.entries.values().map(|entry| entry.meta().elements() as u64).sum()
    }

    /// Size of all tensors together as stored, bytes.
    pub fn stored_bytes(&self) -> u64 {
        self.entries.values().map(|entry| entry.meta().bytes() as u64).sum()
    }

    /// Reads one tensor, in its stored element type and row-major, onto a device. On the CPU a contiguous tensor's
    /// bytes go straight from the file into the tensor's own memory.
    ///
    /// Fails if there is no such tensor, or if the file has become shorter since it was opened.
    pub fn read(&self, name: &str, device: &Device) -> Result<Tensor, CheckpointError> {
        let entry = self.entries.get(name).ok_or_else(|| self.no_such_tensor(name))?;
        entry.read(name, Zeros::Allowed, device)
    }

    /// Reads one tensor that a network computes with. In addition to what [`read`](Self::read) checks, a floating-point
    /// matrix of nothing but zeros is an error: training does not produce one, an interrupted copy does.
    pub fn read_weight(&self, name: &str, device: &Device) -> Result<Tensor, CheckpointError> {
        let entry = self.entries.get(name).ok_or_else(|| self.no_such_tensor(name))?;
        entry.read(name, Zeros::Refused, device)
    }

    /// Reads one row of a tensor (one index of its first dimension) in its stored element type, without the others.
    pub fn read_row(&self, name: &str, row: usize) -> Result<Tensor, CheckpointError> {
        let entry = self.entries.get(name).ok_or_else(|| self.no_such_tensor(name))?;
        let one = entry.row(row).ok_or_else(|| {
            let what = format!("tensor '{name}' of shape {:?} has no row {row}", entry.meta().shape);
            CheckpointError::malformed(entry.path(), what)
        })?;
        one.read(name, Zeros::Allowed, &Device::Cpu)
    }

    /// The tensors whose names start with `prefix`, under the rest of their names.
    #[must_use]
    pub fn strip_prefix(&self, prefix: &str) -> Self {
        let stripped = |(name, entry): (&String, &TensorEntry)| {
            name.strip_prefix(prefix).map(|rest| (rest.to_string(), entry.clone()))
        };
        Self { entries: self.entries.iter().filter_map(stripped).collect() }
    }

    fn no_such_tensor(&self, name: &str) -> CheckpointError {
        const SHOWN: usize = 5;
        let files: Vec<String> = self.files().iter().map(|path| path.display().to_string()).collect();
        let mut found: Vec<&str> = self.names().take(SHOWN).collect();
        if self.len() > SHOWN {
            found.push("…");
        }
        CheckpointError::NoSuchTensor {
            name: name.into(),
            files: if files.is_empty() { "an empty table".into() } else { files.join(", ") },
            found: format!("{} tensors: {}", self.len(), found.join(", ")),
        }
    }
}

/// Names without `_orig_mod.`, which is `torch.compile`'s own, and without a `module.` that all of them begin with; and
/// what was taken away. Nothing is, where two names would become one.
fn unwrapped_names<'a>(names: impl Iterator<Item = &'a String>) -> (Vec<String>, Vec<&'static str>) {
    const COMPILED: &str = "_orig_mod.";
    const PARALLEL: &str = "module.";
    let original: Vec<&String> = names.collect();
    let mut wrappers = Vec::new();
    let without = |name: &str| {
        let parts = name.split('.').filter(|part| *part != COMPILED.trim_end_matches('.'));
        parts.collect::<Vec<_>>().join(".")
    };
    let mut names: Vec<String> = original.iter().map(|name| without(name)).collect();
    if names.iter().zip(&original).any(|(name, original)| name != *original) {
        wrappers.push(COMPILED);
    }
    while !names.is_empty() && names.iter().all(|name| name.starts_with(PARALLEL)) {
        names.iter_mut().for_each(|name| drop(name.drain(..PARALLEL.len())));
        if !wrappers.contains(&PARALLEL) {
            wrappers.push(PARALLEL);
        }
    }
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        return (original.into_iter().cloned().collect(), Vec::new());
    }
    (names, wrappers)
}

/// The kinds of tensor file that are read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorFormat {
    /// `.safetensors`
    Safetensors,
    /// torch's zip container: `.bin`, `.pth`, `.pt`
    TorchZip,
    /// A plain pickle of a state dict, or torch's container from before the zip one.
    Pickle,
}

impl TensorFormat {
    /// Tells the kinds apart by a file's first bytes.
    pub fn of(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        sniff(path.as_ref())
    }
}

impl std::fmt::Display for TensorFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::TorchZip => "torch zip",
            Self::Pickle => "pickle",
        })
    }
}

fn sniff(path: &Path) -> Result<TensorFormat, CheckpointError> {
    let io = || CheckpointError::io(path);
    let file = File::open(path).map_err(io())?;
    let length = file.metadata().map_err(io())?.len();
    let mut start = Vec::new();
    file.take(STAND_IN_BYTES).read_to_end(&mut start).map_err(io())?;
    let expected = "a tensor file (safetensors, torch zip or pickle)";
    if let Some(found) = stand_in(&start) {
        return Err(CheckpointError::WrongFormat { path: path.into(), expected, found });
    }
    if let Some((header, rest)) = start.split_first_chunk::<8>()
        && u64::from_le_bytes(*header) <= length
        && rest.starts_with(b"{")
    {
        return Ok(TensorFormat::Safetensors);
    }
    match start.as_slice() {
        [b'P', b'K', 3, 4, ..] => return Ok(TensorFormat::TorchZip),
        [0x80, 2..=5, ..] => return Ok(TensorFormat::Pickle),
        _ => {}
    }
    // Damaged, most likely: the format's own reader says best in what way.
    if path.extension().is_some_and(|extension| extension == "safetensors") {
        return Ok(TensorFormat::Safetensors);
    }
    let found = match start.as_slice() {
        [] => "the file is empty".to_string(),
        zeros if zeros.iter().all(|&byte| byte == 0) => {
            format!("its {length} bytes begin with zeros, as an interrupted copy leaves them; copy it again")
        }
        other => format!("its {length} bytes begin with {:02x?}", other.get(..9).unwrap_or(other)),
    };
    Err(CheckpointError::WrongFormat { path: path.into(), expected, found })
}

#[cfg(test)]
mod tests {
    use super::unwrapped_names;

    fn unwrapped(names: &[&str]) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        unwrapped_names(names.iter()).0
    }

    #[test]
    fn wrappers_go_and_names_of_the_module_stay() {
        assert_eq!(unwrapped(&["_orig_mod.a.weight", "_orig_mod.b"]), ["a.weight", "b"]);
        assert_eq!(unwrapped(&["module._orig_mod.a", "module._orig_mod.b"]), ["a", "b"]);
        assert_eq!(unwrapped(&["fc.weight", "head._orig_mod.mlp.0.weight"]), ["fc.weight", "head.mlp.0.weight"]);
        assert_eq!(unwrapped(&["module.a", "module.module.b"]), ["a", "module.b"]);
        // Only some begin with it: that is the module's own name.
        assert_eq!(unwrapped(&["module.a", "b"]), ["module.a", "b"]);
        // Two would become one.
        assert_eq!(unwrapped(&["_orig_mod.a", "a"]), ["_orig_mod.a", "a"]);
    }
}
