//! What can be wrong with a file from outside.

use super::pickle::PickleError;
use std::fmt;
use std::path::PathBuf;

/// A checkpoint file or folder that cannot be used. Every message names the file, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system refused.
    #[error("cannot read {}: {reason}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The operating system refused to write.
    #[error("cannot write {}: {reason}; what was there before is untouched", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// A state dict that a file cannot hold.
    #[error("tensor '{name}' cannot be written: {reason}")]
    NotWritable {
        /// The tensor.
        name: String,
        /// Why.
        reason: String,
    },
    /// A file shorter than its own header, index or container says.
    #[error("{} is truncated: {what} takes {expected} bytes, found {found}; copy or download it again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What was being read.
        what: String,
        /// Bytes that takes.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// Not the kind of file it should be.
    #[error("{} is not {expected}: {found}", path.display())]
    WrongFormat {
        /// The file.
        path: PathBuf,
        /// The kind of file that was expected.
        expected: &'static str,
        /// What its bytes look like.
        found: String,
    },
    /// The right kind of file with contents that make no sense.
    #[error("{}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        what: String,
    },
    /// A pickle that is damaged or asks for more than data.
    #[error("{}: {reason}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Why it was refused.
        reason: PickleError,
    },
    /// A tensor whose element type has no counterpart here.
    #[error(
        "{}: tensor '{name}' has element type {dtype}; supported are F32, F16, BF16, F64, I64, I32, I16, U8 and U32",
        path.display()
    )]
    UnsupportedDtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type, as the file spells it.
        dtype: String,
    },
    /// A file that its manifest does not know.
    #[error(
        "{} has {found}, {} says {expected}: it is being copied, or was put there without its manifest; copy all files \
         again, or remove the manifest if the file is meant",
        path.display(), manifest.display()
    )]
    NotAsInManifest {
        /// The file.
        path: PathBuf,
        /// The manifest.
        manifest: PathBuf,
        /// What the manifest says.
        expected: String,
        /// What the file is.
        found: String,
    },
    /// Files that another program replaces all the time.
    #[error("{} is being written: its files changed each time they were read; try again", path.display())]
    Changing {
        /// The actor.
        path: PathBuf,
    },
    /// A weight matrix without a single value in it.
    #[error(
        "{}: all {elements} values of tensor '{name}' are zero, expected trained weights; an interrupted copy leaves \
         such holes: copy or download the file again",
        path.display()
    )]
    ZeroFilled {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Number of its values.
        elements: usize,
    },
    /// A tensor that was asked for and is not there.
    #[error("no tensor '{name}' in {files}; it holds {found}")]
    NoSuchTensor {
        /// The tensor.
        name: String,
        /// Where it was looked for.
        files: String,
        /// A few of the names there are.
        found: String,
    },
    /// A field of a JSON file that is missing or has a value that cannot be used.
    #[error("{}: field '{field}' is {found}, expected {expected}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// An adapter without content, as sharded training leaves it when weights are saved before they are gathered.
    #[error(
        "the LoRA adapter {} is empty: {what}; adapters saved during sharded training (ZeRO-3, FSDP) without gathering \
         the weights look like this: save it again from the training run",
        path.display()
    )]
    EmptyAdapter {
        /// The adapter's tensor file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Everything that is wrong with a folder, at once.
    #[error("{} cannot be used:{}", path.display(), Lines(problems))]
    Problems {
        /// The folder.
        path: PathBuf,
        /// One sentence each.
        problems: Vec<String>,
    },
    /// The tensor library refused: memory, device.
    #[error("{}: tensor '{name}' cannot be built: {reason}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The library's reason.
        reason: Box<candle_core::Error>,
    },
}

impl CheckpointError {
    /// A file cannot be read; the rest is the system's reason.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |reason| Self::Io { path, reason }
    }

    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |reason| Self::Write { path, reason }
    }

    /// A file's contents are not what they should be.
    pub fn malformed(path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self::Malformed { path: path.into(), what: what.into() }
    }

    pub(crate) fn pickle(path: impl Into<PathBuf>) -> impl FnOnce(PickleError) -> Self {
        let path = path.into();
        |reason| Self::Pickle { path, reason }
    }
}

/// A list below the sentence that introduces it.
struct Lines<'a>(&'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n  - {line}"))
    }
}
