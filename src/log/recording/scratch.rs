//! Copies of what cannot be read where it lies, in the folder for temporary files.
//!
//! They grow with the bytes that are there, and stop before the disk is full: that folder may be memory, or belong to
//! the whole machine.

use std::io::{Error, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes that are left free on the disk.
const RESERVE: u64 = 256 << 20;
/// Bytes between two looks at what is free.
const STRETCH: u64 = 16 << 20;

/// Copies up to the end of `reader` and tells how many bytes that were.
pub(super) fn copy(reader: &mut dyn Read, writer: &mut dyn Write, folder: &Path) -> Result<u64, CopyError> {
    let mut copied = 0;
    loop {
        if let Ok(disk) = rustix::fs::statvfs(folder)
            && disk.f_bavail.saturating_mul(disk.f_frsize) < RESERVE + STRETCH
        {
            return Err(CopyError::NoRoom { folder: folder.to_owned(), copied });
        }
        if stretch(reader, writer, &mut copied)? {
            return Ok(copied);
        }
    }
}

/// Why not all was copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error(
        "{} has no room for it beyond {copied} bytes ({} MiB are left free); choose another folder with TMPDIR",
        folder.display(),
        RESERVE >> 20
    )]
    NoRoom { folder: PathBuf, copied: u64 },
    #[error("{source}")]
    Read { source: Error, copied: u64 },
    #[error(transparent)]
    Write(Error),
}

impl CopyError {
    /// It was the reader that ended too early, behind some bytes that are good.
    pub(super) fn source_broke_off(&self) -> bool {
        matches!(self, Self::Read { copied, .. } if *copied > 0)
    }
}

/// Copies at most one stretch and counts its bytes; tells whether the reader ended.
fn stretch(reader: &mut dyn Read, writer: &mut dyn Write, copied: &mut u64) -> Result<bool, CopyError> {
    let mut buffer = vec![0; 256 << 10];
    let end = *copied + STRETCH;
    while *copied < end {
        let count = match reader.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(CopyError::Read { source, copied: *copied }),
        };
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { return Ok(true) };
        writer.write_all(bytes).map_err(CopyError::Write)?;
        *copied += count as u64;
    }
    Ok(false)
}
