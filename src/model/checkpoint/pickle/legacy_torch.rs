//! The torch file format from before the zip container: five pickles, then the raw storages.
//!
//! Magic number, protocol version, system information, the object, the list of storage keys; then for every key an
//! 8-byte element count and the numbers (`_legacy_save` in `torch/serialization.py`). Pickling a tensor outside of
//! `torch.save` embeds one such file per storage.

use super::error::{PickleError, shown};
use super::machine::{Budget, Container, run};
use super::opcode::OpcodeReader;
use super::parsed::Pickle;
use super::tensor::{Storage, StorageBytes};
use super::value::{Object, Span, Value};
use std::collections::HashMap;

const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const PROTOCOL: i128 = 1001;

/// Whether a buffer starts like a legacy torch file.
pub fn is_legacy_torch(buffer: &[u8]) -> bool {
    // PROTO 2, LONG1 of ten bytes, the magic number, STOP.
    buffer.starts_with(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")
}

/// Reads a whole legacy file: its pickled object, and where the numbers of each storage lie.
pub fn read_legacy_torch<'a>(
    buffer: &'a [u8],
    file: Span,
    budget: &mut Budget,
) -> Result<(Pickle<'a>, HashMap<String, Span>), PickleError> {
    let end = file.end();
    let mut next = file.start;
    let mut pickle = |next: &mut usize| {
        let start = *next;
        let span = Span { start, len: end.saturating_sub(start) };
        let pickle = run(buffer, span, Container::Torch, budget)?;
        *next = pickle.end;
        Ok::<_, PickleError>((pickle, start))
    };
    let expect = |(pickle, offset): (Pickle<'_>, usize), expected: i128, what: &str| match pickle.root {
        Value::Int(found) if found == expected => Ok(()),
        found => Err(PickleError::Malformed {
            what: format!("{what} of a torch file is {}, expected {expected}", pickle.describe(found)),
            offset,
        }),
    };
    expect(pickle(&mut next)?, MAGIC, "the magic number")?;
    expect(pickle(&mut next)?, PROTOCOL, "the protocol version")?;
    let (system, offset) = pickle(&mut next)?;
    let little = system.dict(system.root).unwrap_or_default().iter();
    let little = little.rev().find(|(key, _)| system.text(*key) == Some("little_endian"));
    if little.map(|(_, value)| *value) != Some(Value::Bool(true)) {
        return Err(PickleError::Malformed { what: "the torch file is not marked little-endian".into(), offset });
    }
    let (object, _) = pickle(&mut next)?;
    let (keys, offset) = pickle(&mut next)?;
    let Some(Object::List(list)) = keys.object(keys.root) else {
        return Err(PickleError::Malformed { what: "a torch file without its list of storages".into(), offset });
    };
    let sizes = storages(&object, offset)?;
    let mut reader = OpcodeReader::new(buffer, Span { start: next, len: end.saturating_sub(next) });
    let mut found = HashMap::new();
    for &key in list {
        let offset = reader.position();
        let wrong = |what: String| PickleError::Malformed { what, offset };
        let name = keys.text(key).ok_or_else(|| wrong(format!("a storage key is {}", keys.describe(key))))?;
        let key = shown(name.as_bytes());
        let storage = sizes.get(name).ok_or_else(|| wrong(format!("no tensor uses storage '{key}'")))?;
        let count = reader.count()?;
        if i128::from(count) != storage.elements as i128 {
            let expected = storage.elements;
            return Err(wrong(format!("storage '{key}' holds {count} elements, the tensors expect {expected}")));
        }
        let bytes = (storage.elements as u64).saturating_mul(storage.dtype.size_in_bytes() as u64);
        let span = reader.span(bytes, "a storage", offset)?;
        if found.insert(name.to_string(), span).is_some() {
            return Err(wrong(format!("storage '{key}' is there twice")));
        }
    }
    if let Some(missing) = sizes.keys().find(|key| !found.contains_key(**key)) {
        let what = format!("storage '{}' is not in the file", shown(missing.as_bytes()));
        return Err(PickleError::Malformed { what, offset });
    }
    if reader.position() < end.min(buffer.len()) {
        let what = format!("{} bytes follow the last storage", end.min(buffer.len()) - reader.position());
        return Err(PickleError::Malformed { what, offset: reader.position() });
    }
    Ok((object, found))
}

/// A byte string that is a legacy torch file of exactly one storage: what `torch.storage._load_from_bytes` is given.
pub(super) fn read_storage_blob(buffer: &[u8], blob: Span, budget: &mut Budget) -> Result<Storage, PickleError> {
    let (pickle, spans) = read_legacy_torch(buffer, blob, budget)?;
    match pickle.object(pickle.root) {
        Some(Object::Storage(Storage { dtype, elements, bytes: StorageBytes::Key(key) })) => {
            let span = spans.get(key.as_ref()).copied();
            let span = span.ok_or_else(|| PickleError::Malformed {
                what: format!("storage '{}' is not in the embedded torch file", shown(key.as_bytes())),
                offset: blob.start,
            })?;
            Ok(Storage { dtype: *dtype, elements: *elements, bytes: StorageBytes::Inline(span) })
        }
        _ => Err(PickleError::Malformed {
            what: format!("an embedded torch file holds {}, expected a storage", pickle.describe(pickle.root)),
            offset: blob.start,
        }),
    }
}

/// Every storage a pickle refers to, by key; one key must always mean the same storage.
fn storages<'p>(pickle: &'p Pickle<'_>, offset: usize) -> Result<HashMap<&'p str, &'p Storage>, PickleError> {
    let mut found: HashMap<&str, &Storage> = HashMap::new();
    for storage in pickle.storages() {
        let StorageBytes::Key(key) = &storage.bytes else { continue };
        let known = found.entry(key.as_ref()).or_insert(storage);
        if (known.dtype, known.elements) != (storage.dtype, storage.elements) {
            let what = format!("storage '{}' is described in two ways", shown(key.as_bytes()));
            return Err(PickleError::Malformed { what, offset });
        }
    }
    Ok(found)
}
