//! Small files from outside, read only after their size has been looked at.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use crate::checkpoint::stand_in;

/// The bytes of a file of at most `limit` bytes.
///
/// # Errors
/// What the file system says, "holds more than ... bytes", or what lies there in the file's place, such as a Git LFS
/// pointer; the caller adds the path.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Reading one byte beyond the limit also catches what has no length of its own, such as a pipe.
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("holds more than the {limit} bytes that such a file may have")));
    }
    match stand_in(&bytes) {
        Some(found) => Err(io::Error::other(found)),
        None => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn stops_at_the_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"12345").unwrap();
        assert_eq!(read_bounded(file.path(), 5).unwrap(), b"12345");
        assert!(read_bounded(file.path(), 4).unwrap_err().to_string().contains("more than the 4 bytes"));
    }
}
