//! Where a base model comes from: a local folder, or the Hugging Face Hub through its cache.
//!
//! What is whole in the cache is used without asking the Hub, so that a robot starts the same with and without a
//! network.

mod download;
mod environment;
mod error;
mod model_files;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use hf_hub::{Cache, Repo, RepoType};

pub use environment::HubEnvironment;
pub use error::{DownloadError, HubError};

use super::processor::read_bounded;
use model_files::missing_files;

/// A base model as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// A folder with config.json, preprocessor_config.json, tokenizer.json and the weights as safetensors.
    Folder(PathBuf),
    /// A model on the Hugging Face Hub.
    Hub(HubModel),
}

/// `owner/name` on the Hub, at a branch, tag or commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubModel {
    id: String,
    revision: String,
}

impl ModelSource {
    /// An existing folder, anything that starts like a path (`.` or `/`), or else a Hub id `owner/name[@revision]`.
    ///
    /// # Errors
    /// [`HubError::NotAModel`] for what can be neither.
    pub fn parse(text: &str) -> Result<Self, HubError> {
        if text.starts_with(['.', '/']) || Path::new(text).is_dir() {
            return Ok(Self::Folder(text.into()));
        }
        let (id, revision) = text.split_once('@').unwrap_or((text, "main"));
        let plain = |part: &str| {
            !part.is_empty()
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
                && !part.chars().all(|c| c == '.')
        };
        // The parts become folders of the cache, so nothing may lead out of it.
        if id.split('/').count() == 2 && id.split('/').all(plain) && revision.split('/').all(plain) {
            return Ok(Self::Hub(HubModel { id: id.to_owned(), revision: revision.to_owned() }));
        }
        Err(HubError::NotAModel { text: text.to_owned() })
    }

    /// The folder that holds all files of the model; downloads what is not in the cache, with a progress bar on stderr.
    ///
    /// # Errors
    /// [`HubError::MissingFiles`] for an incomplete folder; [`HubError::Unavailable`] for a model that is not whole in
    /// the cache and cannot be downloaded; [`HubError::Index`] for an unusable list of shards.
    pub fn resolve(&self, environment: &HubEnvironment) -> Result<PathBuf, HubError> {
        match self {
            Self::Folder(folder) => {
                let missing = missing_files(folder)?;
                if missing.is_empty() {
                    return Ok(folder.clone());
                }
                Err(HubError::MissingFiles { folder: folder.clone(), missing })
            }
            Self::Hub(model) => model.resolve(environment),
        }
    }
}

impl HubModel {
    fn resolve(&self, environment: &HubEnvironment) -> Result<PathBuf, HubError> {
        let cache = environment.cache.clone().ok_or_else(|| HubError::NoCache { model: self.to_string() })?;
        let cached = self.snapshot(&cache);
        let missing = cached.as_deref().map(missing_files).transpose()?;
        let reason = match (cached, &missing) {
            (Some(snapshot), Some(missing)) if missing.is_empty() => return Ok(snapshot),
            _ if environment.offline => DownloadError::Offline,
            _ => match download::download(self, &cache, environment) {
                Ok(snapshot) => return Ok(snapshot),
                Err(reason) => reason,
            },
        };
        Err(HubError::Unavailable { model: self.to_string(), cache, missing: missing.unwrap_or_default(), reason })
    }

    fn repo(&self, revision: &str) -> Repo {
        Repo::with_revision(self.id.clone(), RepoType::Model, revision.to_owned())
    }

    /// The snapshot of this revision in the cache, whole or not.
    fn snapshot(&self, cache: &Path) -> Option<PathBuf> {
        let repo = self.repo(&self.revision);
        let reference = cache.join(repo.folder_name()).join("refs").join(&self.revision);
        // A branch or tag is a file that holds the commit; a commit may have a snapshot without such a file.
        let commit = read_bounded(&reference, 256).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let commit = commit.as_deref().map_or(self.revision.as_str(), str::trim);
        if commit.is_empty() || commit.contains(['/', '\\']) || commit.starts_with('.') {
            return None;
        }
        Some(Cache::new(cache.to_owned()).repo(repo).pointer_path(commit)).filter(|snapshot| snapshot.is_dir())
    }
}

impl fmt::Display for HubModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision.as_str() {
            "main" => f.write_str(&self.id),
            revision => write!(f, "{}@{revision}", self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_and_ids_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let existing = folder.path().to_str().unwrap();
        for path in [existing, "./somewhere", "../x/y", "/nowhere", "."] {
            assert_eq!(ModelSource::parse(path).unwrap(), ModelSource::Folder(path.into()));
        }
        for (text, id, revision, display) in [
            ("owner/name", "owner/name", "main", "owner/name"),
            (
                "Qwen/Qwen2.5-VL-3B-Instruct@v1.0",
                "Qwen/Qwen2.5-VL-3B-Instruct",
                "v1.0",
                "Qwen/Qwen2.5-VL-3B-Instruct@v1.0",
            ),
            ("o/n@refs/pr/1", "o/n", "refs/pr/1", "o/n@refs/pr/1"),
        ] {
            let ModelSource::Hub(model) = ModelSource::parse(text).unwrap() else { unreachable!() };
            assert_eq!((model.id.as_str(), model.revision.as_str()), (id, revision));
            assert_eq!(model.to_string(), display);
        }
        for neither in
            ["", "name", "a/b/c", "owner/", "owner/..", "o/n@", "o/n@../../x", "o/n@a@b", "o\\n/x", "no folder"]
        {
            let err = ModelSource::parse(neither).unwrap_err().to_string();
            assert!(err.starts_with(&format!("'{neither}' is neither an existing folder nor a Hub id")), "{err}");
        }
    }

    #[test]
    fn an_incomplete_folder_lists_everything_that_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
        let source = ModelSource::Folder(folder.path().into());
        let err = source.resolve(&HubEnvironment::default()).unwrap_err().to_string();
        for name in ["config.json", "preprocessor_config.json", "model.safetensors"] {
            assert!(err.contains(name), "{err}");
        }
        assert!(!err.contains("tokenizer.json"), "{err}");
    }
}
