//! A policy in whichever form it is stored.

use super::locate::locate_live;
use super::{FAMILY, Fingerprint, HeadsPolicy, LocatedPolicy, PolicyCheckpoint, PolicyManifest};
use crate::checkpoint::CheckpointError;
use std::path::{Path, PathBuf};

/// A policy in whichever form it is stored.
#[derive(Debug, Clone)]
pub enum StoredPolicy {
    /// An actor with its own copy of the heads.
    Actor(Box<PolicyCheckpoint>),
    /// The one-folder form: heads with a regression.
    Heads(Box<HeadsPolicy>),
}

impl StoredPolicy {
    /// Opens what a path means: a prefix, folder or file as for [`PolicyCheckpoint::open`], or a folder in the
    /// one-folder form.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        if HeadsPolicy::is_in(path) && !matches!(locate_live(path), Ok(Some(LocatedPolicy::Actor(_)))) {
            return LocatedPolicy::Heads(path.into()).open();
        }
        PolicyCheckpoint::open(path).map(|policy| Self::Actor(Box::new(policy)))
    }

    /// The file or folder it was read from.
    pub fn path(&self) -> &Path {
        match self {
            Self::Actor(policy) => &policy.path,
            Self::Heads(policy) => &policy.folder,
        }
    }
}

impl LocatedPolicy {
    /// Opens it.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn open(&self) -> Result<StoredPolicy, CheckpointError> {
        Ok(match self {
            Self::Actor(path) => StoredPolicy::Actor(Box::new(PolicyCheckpoint::open(path)?)),
            Self::Heads(folder) => StoredPolicy::Heads(Box::new(HeadsPolicy::open(folder)?)),
        })
    }

    /// The state of all files that belong to it.
    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Actor(path) => Fingerprint::of(FAMILY.iter().map(|suffix| beside(path, suffix))),
            Self::Heads(folder) => Fingerprint::of(HeadsPolicy::files(folder)),
        }
    }

    /// Whether a manifest tells when all files are there.
    pub fn has_manifest(&self) -> bool {
        match self {
            Self::Actor(path) => beside(path, PolicyManifest::SUFFIX).exists(),
            Self::Heads(_) => false,
        }
    }

    /// The actor's file, or the folder.
    pub fn path(&self) -> &Path {
        let (Self::Actor(path) | Self::Heads(path)) = self;
        path
    }
}

/// Another file of an actor's policy.
fn beside(actor: &Path, suffix: &str) -> PathBuf {
    actor.with_file_name(format!("{}{suffix}", super::stem(actor)))
}
