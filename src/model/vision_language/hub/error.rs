//! Why a base model cannot be had.

use std::path::PathBuf;

/// Why the files of a base model are not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Neither a folder nor something that can be looked up.
    #[error(
        "'{text}' is neither an existing folder nor a Hub id such as Qwen/Qwen2.5-VL-3B-Instruct or owner/name@revision; \
         check the spelling of the path"
    )]
    NotAModel {
        /// What was given.
        text: String,
    },
    /// A local folder that does not hold a whole model.
    #[error(
        "{folder}: missing {}; pass the folder that a download of the whole base model made",
        missing.join(", "),
        folder = folder.display()
    )]
    MissingFiles {
        /// The folder.
        folder: PathBuf,
        /// File names.
        missing: Vec<String>,
    },
    /// The list of shards is unreadable or names something outside of its folder.
    #[error("{path}: {reason}; download this file again", path = path.display())]
    Index {
        /// model.safetensors.index.json
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no place for downloads.
    #[error(
        "{model} is not a local folder, and there is no home folder for the cache of the Hub; set HF_HOME or pass a folder"
    )]
    NoCache {
        /// The model's id.
        model: String,
    },
    /// Neither in the cache nor to be downloaded.
    #[error(
        "{model} is not a local folder, {} in the cache {cache}, and could not be downloaded: {reason}. \
         Download it where there is a network (hf download {}) and pass that folder, or copy it into the cache; \
         for a private or gated model set HF_TOKEN",
        if missing.is_empty() { "not".to_owned() } else { format!("not whole (missing {})", missing.join(", ")) },
        model.replacen('@', " --revision ", 1),
        cache = cache.display()
    )]
    Unavailable {
        /// The model's id, with its revision.
        model: String,
        /// The cache folder.
        cache: PathBuf,
        /// Files that an incomplete snapshot lacks; empty when there is no snapshot at all.
        missing: Vec<String>,
        /// Why the Hub did not help.
        reason: DownloadError,
    },
}

/// Why the Hub did not help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// It must not be asked.
    #[error("HF_HUB_OFFLINE is set, so the Hub was not asked")]
    Offline,
    /// The cache cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Cache {
        /// The cache, or a snapshot in it.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The Hub cannot be reached, or refuses.
    #[error(transparent)]
    Hub(Box<hf_hub::api::sync::ApiError>),
    /// The Hub does not answer.
    #[error("the Hub did not answer within {seconds} s")]
    NoAnswer {
        /// How long it was given.
        seconds: u64,
    },
    /// What should name a commit does not.
    #[error("the Hub gave '{commit}' as the commit of this model, expected a hexadecimal number")]
    Commit {
        /// What it gave.
        commit: String,
    },
    /// The model was published without files that are needed.
    #[error("the Hub's model has no {}", files.join(", "))]
    Absent {
        /// Their names.
        files: Vec<String>,
    },
    /// A file did not arrive.
    #[error("{file}: {source}")]
    File {
        /// Its name.
        file: String,
        /// Why.
        source: Box<hf_hub::api::sync::ApiError>,
    },
    /// The list of shards that was downloaded is unusable.
    #[error(transparent)]
    Index(Box<HubError>),
}
