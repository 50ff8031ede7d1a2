//! State dicts: what the root of a torch pickle has to be, and plain pickles that hold one.

use super::error::CheckpointError;
use super::pickle::{self, Budget, Container, Object, Pickle, Span, Storage, StorageBytes, Value};
use super::stand_in::stand_in;
use super::tensor_source::{Layout, Source, TensorEntry, TensorMeta};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A plain pickle is read whole; a policy takes about 22 MB, a head in the old torch format about as much.
const MAX_BYTES: u64 = 1 << 30;

/// Opens a plain pickle of a state dict, or a legacy torch file.
pub(super) fn open(path: &Path) -> Result<BTreeMap<String, TensorEntry>, CheckpointError> {
    let buffer = Arc::new(read_whole(path)?);
    let span = Span { start: 0, len: buffer.len() };
    let mut budget = Budget::new();
    let refused = || CheckpointError::pickle(path);
    let (pickle, keyed) = if pickle::is_legacy_torch(&buffer) {
        pickle::read_legacy_torch(&buffer, span, &mut budget).map_err(refused())?
    } else {
        let pickle = pickle::run(&buffer, span, Container::Plain, &mut budget).map_err(refused())?;
        nothing_follows(&pickle, buffer.len(), path)?;
        (pickle, HashMap::new())
    };
    state_dict(&pickle, &Arc::new(path.to_path_buf()), |storage| {
        let span = match &storage.bytes {
            StorageBytes::Inline(span) => Some(*span),
            StorageBytes::Key(key) => keyed.get(key.as_ref()).copied(),
        };
        let span = span.ok_or_else(|| CheckpointError::malformed(path, "a storage is not in the file"))?;
        Ok(Source::Memory { buffer: buffer.clone(), start: span.start, len: span.len })
    })
}

/// Says so, if one entry of a dict is itself a dict of tensors: a training script's checkpoint with the network inside.
fn nested_state_dict(pickle: &Pickle<'_>, items: &[(Value, Value)]) -> Option<String> {
    let is_state_dict = |value: &Value| {
        let inner = pickle.dict(*value).unwrap_or_default();
        let is_tensor = |value: &Value| matches!(pickle.object(*value), Some(Object::Tensor(_)));
        !inner.is_empty() && inner.iter().all(|(_, value)| is_tensor(value))
    };
    let name = items.iter().find(|(_, value)| is_state_dict(value)).and_then(|(key, _)| pickle.text(*key))?;
    let name = name.escape_debug();
    Some(format!(
        "it is a training checkpoint of {} entries with the state dict in its entry '{name}', expected the state dict \
         itself; save it with torch.save(checkpoint['{name}'], path)",
        items.len()
    ))
}

/// A small pickle that holds a plain value: a number, or a dict of settings.
pub(super) fn read_value<T>(
    path: &Path,
    interpret: impl FnOnce(&Pickle<'_>) -> Result<T, CheckpointError>,
) -> Result<T, CheckpointError> {
    let buffer = read_whole(path)?;
    let span = Span { start: 0, len: buffer.len() };
    let pickle =
        pickle::run(&buffer, span, Container::Settings, &mut Budget::new()).map_err(CheckpointError::pickle(path))?;
    nothing_follows(&pickle, buffer.len(), path)?;
    interpret(&pickle)
}

/// The tensors of a pickled state dict. `locate` finds the bytes of a storage.
pub(super) fn state_dict(
    pickle: &Pickle<'_>,
    path: &Arc<PathBuf>,
    locate: impl Fn(&Storage) -> Result<Source, CheckpointError>,
) -> Result<BTreeMap<String, TensorEntry>, CheckpointError> {
    let wrong = |what: String| CheckpointError::malformed(path.as_path(), what);
    let items = pickle.dict(pickle.root).ok_or_else(|| {
        wrong(format!("the pickle holds {}, expected a dict of name to tensor", pickle.describe(pickle.root)))
    })?;
    let mut entries = BTreeMap::new();
    for &(key, value) in items {
        let name = pickle.text(key).ok_or_else(|| wrong(format!("a tensor is named {}", pickle.describe(key))))?;
        let Some(Object::Tensor(tensor)) = pickle.object(value) else {
            if let Some(what) = nested_state_dict(pickle, items) {
                return Err(wrong(what));
            }
            return Err(wrong(format!("'{name}' is {}, expected a tensor", pickle.describe(value))));
        };
        let source = locate(&tensor.storage)?;
        let (expected, found) =
            (tensor.storage.elements.checked_mul(tensor.storage.dtype.size_in_bytes()), source.len());
        if expected != Some(found) {
            let elements = tensor.storage.elements;
            return Err(wrong(format!("the storage of '{name}' has {found} bytes, expected {elements} elements")));
        }
        let meta = TensorMeta { dtype: tensor.storage.dtype, shape: tensor.shape.clone() };
        let layout = if tensor.is_contiguous() {
            Layout::Contiguous(tensor.offset)
        } else {
            Layout::Strided { offset: tensor.offset, strides: tensor.strides.clone() }
        };
        if entries.insert(name.to_string(), TensorEntry::new(meta, source, layout, path.clone())).is_some() {
            return Err(wrong(format!("tensor '{name}' is there twice")));
        }
    }
    Ok(entries)
}

fn read_whole(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    let io = || CheckpointError::io(path);
    let file = File::open(path).map_err(io())?;
    let length = file.metadata().map_err(io())?.len();
    if length == 0 {
        let found = "the file is empty; copy or download it again".into();
        return Err(CheckpointError::WrongFormat { path: path.into(), expected: "a pickle", found });
    }
    if length > MAX_BYTES {
        let found = format!("it has {length} bytes, more than the {MAX_BYTES} that are read of a pickle");
        return Err(CheckpointError::WrongFormat { path: path.into(), expected: "a policy or head", found });
    }
    let mut buffer = Vec::with_capacity(length as usize);
    file.take(MAX_BYTES).read_to_end(&mut buffer).map_err(io())?;
    if buffer.iter().all(|&byte| byte == 0) {
        let found = format!("its {length} bytes are all zero, as an interrupted copy leaves them; copy it again");
        return Err(CheckpointError::WrongFormat { path: path.into(), expected: "a pickle", found });
    }
    if let Some(found) = stand_in(&buffer) {
        return Err(CheckpointError::WrongFormat { path: path.into(), expected: "a pickle", found });
    }
    Ok(buffer)
}

fn nothing_follows(pickle: &Pickle<'_>, length: usize, path: &Path) -> Result<(), CheckpointError> {
    match length - pickle.end {
        0 => Ok(()),
        rest => Err(CheckpointError::malformed(
            path,
            format!("{rest} bytes follow the pickle, which ends at {}", pickle.end),
        )),
    }
}
