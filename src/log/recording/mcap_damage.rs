//! What keeps a stretch of an MCAP file from being read.

use super::bag_file::MAX_MESSAGE_LEN;

/// Why a record or a chunk of an MCAP file was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum McapDamage {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A record claims more than is ever read.
    #[error("a record of {length} bytes, at most {MAX_MESSAGE_LEN} are read")]
    RecordTooLong {
        /// Its length, bytes.
        length: u64,
    },
    /// A chunk does not decompress, or its checksum does not hold.
    #[error("{}", with_sources(.0))]
    Chunk(mcap::McapError),
    /// A chunk's header is cut short.
    #[error("the chunk's header cannot be read")]
    ChunkHeader,
    /// A chunk's header and its record disagree.
    #[error("the chunk's header claims {claimed} bytes, its record has {length}")]
    ChunkLength {
        /// What the header claims, bytes.
        claimed: u64,
        /// What the record has, bytes.
        length: u64,
    },
    /// There was a record here when the file was scanned.
    #[error("the file has become shorter")]
    FileShrank,
    /// A message's header is cut short.
    #[error("the message record is cut short")]
    MessageCut,
    /// There was a message here when the file was scanned.
    #[error("the chunk holds fewer messages than before")]
    ChunkShrank,
}

/// The MCAP reader keeps what a decompressor said in the error's sources.
fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |source| source.source());
    sources.fold(error.to_string(), |message, source| format!("{message}: {source}"))
}
