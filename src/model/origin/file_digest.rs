//! Checksums of files, by which sessions tell apart what they come from.
//!
//! A file of over 64 MiB counts by its length, the header that names its tensors, and its first and last MiB: hashing
//! all of it would take longer than loading the model.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::IdentityError;

/// Largest file that is hashed as a whole.
const SMALL: u64 = 64 << 20;
/// Bytes of a larger one that are hashed at either end.
const ENDS: u64 = 1 << 20;

pub(super) fn file_digest_if_there(path: &Path) -> Result<String, IdentityError> {
    if path.exists() { file_digest(path) } else { Ok("absent".to_owned()) }
}

/// The SHA-256 of a file; of a large one that of its length, header and ends.
pub(crate) fn file_digest(path: &Path) -> Result<String, IdentityError> {
    let file = File::open(path);
    let digest = file.and_then(|file| Ok((file.metadata()?.len(), file))).and_then(|file| digest_of(file, SMALL));
    digest.map_err(|source| IdentityError::Io { path: path.to_owned(), source })
}

/// The same of a file that is in memory.
pub(super) fn contents_digest(bytes: &[u8]) -> std::io::Result<String> {
    digest_of((bytes.len() as u64, Cursor::new(bytes)), SMALL)
}

fn digest_of((length, mut file): (u64, impl Read + Seek), small: u64) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    if length <= small {
        std::io::copy(&mut file, &mut hash)?;
        return Ok(hex(hash));
    }
    let mut header_len = [0; 8];
    file.read_exact(&mut header_len)?;
    // A safetensors file begins with the length of its header. Whatever else this is, it is bounded.
    let header = u64::from_le_bytes(header_len).saturating_add(8).min(small);
    hash.update(length.to_le_bytes());
    for (from, count) in [(0, header.max(ENDS)), (length - ENDS.min(length), ENDS)] {
        file.seek(SeekFrom::Start(from))?;
        std::io::copy(&mut file.by_ref().take(count), &mut hash)?;
    }
    Ok(hex(hash))
}

pub(super) fn digest(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

pub(super) fn hex(hash: Sha256) -> String {
    hex::encode(hash.finalize())
}

/// Eight hexadecimal digits that distinguish runs.
pub fn short_digest(text: &str) -> String {
    digest(text.as_bytes()).chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_large_file_counts_by_its_length_header_and_ends() {
        let id = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = vec![0; 5 << 20];
            change(&mut bytes);
            digest_of((bytes.len() as u64, Cursor::new(bytes)), 4 << 20).unwrap()
        };
        let original = id(&|_| ());
        assert_eq!(original, id(&|_| ()));
        for at in [8, (1 << 20) - 1, (5 << 20) - 1, 4 << 20] {
            assert_ne!(original, id(&|bytes| *bytes.get_mut(at).unwrap() = 1), "byte {at}");
        }
        assert_ne!(original, id(&|bytes| bytes.push(0)), "length");
        assert_eq!(original, id(&|bytes| *bytes.get_mut(2 << 20).unwrap() = 1), "the middle is not read");
    }

    #[test]
    fn a_small_file_has_its_plain_checksum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(file_digest(&path).unwrap(), expected);
        assert_eq!(contents_digest(b"abc").unwrap(), expected);
        assert_eq!(short_digest("abc"), "ba7816bf");
    }
}
