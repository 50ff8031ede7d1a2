//! Copies of what cannot be read where it lies, in the folder for temporary files.
//!
//! They grow with the bytes that are there, and stop before the disk is full: that folder may be memory, or belong to
//! the whole machine.

use std::io::{Error, Read, Write};
use std::path::Path;

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
            let problem = format!(
                "{} has no room for it beyond {copied} bytes ({} MiB are left free); choose another folder with TMPDIR",
                folder.display(),
                RESERVE >> 20
            );
            return Err(CopyError { copied, problem, source_ended: false });
        }
        let (count, end) = stretch(reader, writer).map_err(|(count, source_ended, error)| CopyError {
            copied: copied + count,
            problem: error.to_string(),
            source_ended,
        })?;
        copied += count;
        if end {
            return Ok(copied);
        }
    }
}

/// Why not all was copied.
#[derive(Debug)]
pub(super) struct CopyError {
    /// Bytes that were.
    pub(super) copied: u64,
    /// What went wrong.
    pub(super) problem: String,
    /// It was the reader, not the place to write to.
    pub(super) source_ended: bool,
}

type StretchError = (u64, bool, Error);

/// Copies at most one stretch; tells how many bytes, and whether the reader ended.
fn stretch(reader: &mut dyn Read, writer: &mut dyn Write) -> Result<(u64, bool), StretchError> {
    let mut buffer = vec![0; 256 << 10];
    let mut copied = 0;
    while copied < STRETCH {
        let count = match reader.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err((copied, true, error)),
        };
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { return Ok((copied, true)) };
        writer.write_all(bytes).map_err(|error| (copied, false, error))?;
        copied += count as u64;
    }
    Ok((copied, false))
}
