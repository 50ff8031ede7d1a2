//! What rosbag2 has compressed by itself: whole files (`--compression-mode file`), or the payload of every message
//! (`--compression-mode message`). Both are zstd frames, and say so in their first bytes.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use tempfile::NamedTempFile;
use zstd::stream::read::Decoder;

use super::bag_file::MAX_MESSAGE_LEN;
use super::{RecordingError, scratch};

/// What a zstd frame begins with.
pub(super) const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// A frame may ask for this much memory, as a power of two: a message's own limit.
const WINDOW_LOG_MAX: u32 = MAX_MESSAGE_LEN.ilog2();

pub(super) fn is_zstd(bytes: &[u8]) -> bool {
    bytes.starts_with(&ZSTD_MAGIC)
}

/// Why a compressed message does not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompressionError {
    #[error("its {length} bytes are a zstd frame that does not read: {source}")]
    Frame { length: usize, source: std::io::Error },
    #[error("decompressed it has more than {MAX_MESSAGE_LEN} bytes, which is the limit")]
    TooLong,
}

/// The payload of a message; no payload of plain CDR begins as a zstd frame does.
pub(super) fn message(payload: Vec<u8>) -> Result<Vec<u8>, CompressionError> {
    if !is_zstd(&payload) {
        return Ok(payload);
    }
    let refuse = |source| CompressionError::Frame { length: payload.len(), source };
    let mut decoder = Decoder::with_buffer(payload.as_slice()).map_err(refuse)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(refuse)?;
    let mut message = Vec::new();
    decoder.take(MAX_MESSAGE_LEN + 1).read_to_end(&mut message).map_err(refuse)?;
    if message.len() as u64 > MAX_MESSAGE_LEN {
        return Err(CompressionError::TooLong);
    }
    Ok(message)
}

/// A file that has been decompressed into the folder for temporary files; removed with this value.
pub(super) struct Decompressed {
    copy: NamedTempFile,
    /// Why it is not the whole of it.
    cut: Option<String>,
}

impl Decompressed {
    pub(super) fn of(path: &Path) -> Result<Self, RecordingError> {
        let folder = std::env::temp_dir();
        let refuse = |problem: &dyn std::fmt::Display| {
            let file = path.file_name().unwrap_or_default().display();
            RecordingError::unreadable(
                path,
                format!(
                    "it is compressed with zstd, and cannot be decompressed: {problem}. `zstd -d {file}` does it by hand"
                ),
            )
        };
        // What is lost of it is said with the copy's name, which therefore is much like its own.
        let prefix = format!("{}.", path.file_stem().unwrap_or_default().display());
        let copy = tempfile::Builder::new().prefix(&prefix).tempfile_in(&folder);
        let mut copy = copy.map_err(|error| refuse(&format_args!("{}: {error}", folder.display())))?;
        log::info!("{}: compressed with zstd, it is decompressed to {}", path.display(), copy.path().display());
        let file = File::open(path).map_err(RecordingError::io(path))?;
        let mut decoder = Decoder::new(file).map_err(|error| refuse(&error))?;
        match scratch::copy(&mut decoder, copy.as_file_mut(), &folder) {
            Ok(_) => Ok(Self { copy, cut: None }),
            Err(error) if error.source_broke_off() => {
                let cut = format!("{}: the zstd frame breaks off: {error}", path.display());
                Ok(Self { copy, cut: Some(cut) })
            }
            Err(error) => Err(refuse(&error)),
        }
    }

    /// The decompressed file.
    pub(super) fn path(&self) -> &Path {
        self.copy.path()
    }

    /// Why it is not the whole of it.
    pub(super) fn cut(&self) -> Option<&str> {
        self.cut.as_deref()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_message_comes_back_and_a_damaged_one_does_not() {
        let plain = [0, 1, 0, 0, 7, 7].repeat(500);
        let packed = zstd::encode_all(plain.as_slice(), 1).unwrap();
        assert_eq!(message(packed.clone()).unwrap(), plain);
        assert_eq!(message(plain.clone()).unwrap(), plain, "what is not compressed stays as it is");
        for end in 4..packed.len() {
            let problem = message(packed[..end].to_vec()).unwrap_err().to_string();
            assert!(problem.contains("zstd"), "{problem}");
        }
    }

    #[test]
    fn a_frame_that_swells_beyond_every_message_is_refused() {
        let bomb = zstd::encode_all(std::io::repeat(0).take(MAX_MESSAGE_LEN * 4), 1).unwrap();
        assert!(bomb.len() < 100_000);
        let problem = message(bomb).unwrap_err().to_string();
        assert!(problem.contains("67108864") || problem.contains("zstd"), "{problem}");
    }
}
