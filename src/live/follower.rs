//! Follows a folder that a trainer writes policies to.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::checkpoint::{CheckpointError, Fingerprint, LocatedPolicy, StoredPolicy, locate_live};
use crate::policy::{Evidence, Look, PolicyChange, PolicyWatch};
use crate::tuner::{PolicyLoader, StagedPolicy, TunerError};

/// Time between two looks at the folder.
pub const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Loads each new policy of a folder beside the one in use, once it is complete.
#[derive(Debug)]
pub struct PolicyFollower {
    folder: PathBuf,
    loader: PolicyLoader,
    watch: PolicyWatch<Fingerprint>,
    start: Instant,
    looked: Option<Instant>,
    /// What was last wrong with the folder itself, so that it is said once.
    trouble: Option<String>,
}

/// Why a policy that lies in the folder is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PolicyRefusal {
    /// Its files.
    #[error(transparent)]
    Files(Box<CheckpointError>),
    /// It does not fit the model, or fails on frames.
    #[error(transparent)]
    Policy(Box<TunerError>),
    /// It would change the parameters at once by more than half of a range.
    #[error(
        "policy {policy} {change}; a jump of more than half of a range needs allow_large_change or ~/reload_policy"
    )]
    LargeChange {
        /// The policy's files.
        policy: String,
        /// By how much.
        change: PolicyChange,
    },
    /// A dependency panicked over it.
    #[error("the new policy makes the program panic: {0}")]
    Panicked(String),
}

impl From<CheckpointError> for PolicyRefusal {
    fn from(error: CheckpointError) -> Self {
        Self::Files(Box::new(error))
    }
}

impl From<TunerError> for PolicyRefusal {
    fn from(error: TunerError) -> Self {
        Self::Policy(Box::new(error))
    }
}

impl PolicyFollower {
    /// Follows `folder`; `in_use` is the state of the files that the policy in use was read from, if it was read there.
    pub fn new(folder: impl Into<PathBuf>, loader: PolicyLoader, in_use: Option<Fingerprint>) -> Self {
        let (watch, start) = (PolicyWatch::new(in_use, PolicyWatch::<Fingerprint>::SETTLE), Instant::now());
        Self { folder: folder.into(), loader, watch, start, looked: None, trouble: None }
    }

    /// Lets files without a manifest settle for another time than [`PolicyWatch::SETTLE`].
    #[must_use]
    pub fn with_settle(self, settle: Duration) -> Self {
        Self { watch: PolicyWatch::new(self.watch.judged().cloned(), settle), ..self }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// As [`look`](Self::look), if the last look is [`POLL_INTERVAL`] ago.
    pub fn poll(&mut self) -> Option<Result<StagedPolicy, PolicyRefusal>> {
        if self.looked.is_some_and(|looked| looked.elapsed() < POLL_INTERVAL) {
            return None;
        }
        self.look()
    }

    /// Looks at the folder: a new policy that is complete, or why one that lies there is refused. Each policy is judged
    /// once, until its files change.
    pub fn look(&mut self) -> Option<Result<StagedPolicy, PolicyRefusal>> {
        self.looked = Some(Instant::now());
        let located = match locate_live(&self.folder) {
            Ok(located) => located,
            Err(error) => return self.folder_trouble(error),
        };
        self.trouble = None;
        let Some(located) = located else {
            self.watch.look(self.start.elapsed(), None);
            return None;
        };
        let files = located.fingerprint();
        let evidence = match self.watch.judged() {
            _ if located.has_manifest() => Evidence::Manifest,
            Some(before) if !files.replaces(before) => Evidence::PartlyOld,
            _ => Evidence::AllNew,
        };
        let look = self.watch.look(self.start.elapsed(), Some((&files, evidence)));
        let opened = match look {
            Look::Nothing | Look::Wait => return None,
            Look::Try => Some(located.open()).filter(fits_its_manifest)?,
            Look::Judge => located.open(),
        };
        self.watch.settle(files.clone());
        let staged = opened.map_err(PolicyRefusal::from).and_then(|policy| Ok(self.loader.load(&policy)?));
        // Written to while it was read? Then what was read means nothing, and the files are others to the watch.
        (located.fingerprint() == files).then_some(staged)
    }

    fn folder_trouble(&mut self, error: CheckpointError) -> Option<Result<StagedPolicy, PolicyRefusal>> {
        let message = error.to_string();
        let known = self.trouble.replace(message.clone());
        (known != Some(message)).then(|| Err(error.into()))
    }
}

/// Whether a policy has been compared with a manifest of its own.
fn fits_its_manifest(opened: &Result<StoredPolicy, CheckpointError>) -> bool {
    matches!(opened, Ok(StoredPolicy::Actor(policy)) if policy.manifest.is_some())
}

/// The policy that lies in a followed folder at start, and the state of its files before they are read.
///
/// # Errors
/// When there is none.
pub fn policy_at_start(folder: &Path) -> Result<(LocatedPolicy, Fingerprint), CheckpointError> {
    let none = || CheckpointError::Problems {
        path: folder.into(),
        problems: vec!["there is no policy in it yet; give one to start with".into()],
    };
    let located = locate_live(folder)?.ok_or_else(none)?;
    let files = located.fingerprint();
    Ok((located, files))
}
