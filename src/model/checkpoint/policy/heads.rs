//! The one-folder form: heads as supervised training leaves them, trained on by reinforcement learning.

use super::checkpoint::read_noise;
use super::snapshot::read_unchanged;
use crate::checkpoint::supervised::{HISTORY_ENCODER, REGRESSION_HEAD};
use crate::checkpoint::{CheckpointError, Heads, Normalization, TensorTable};
use std::path::{Path, PathBuf};

const NOISE: &str = "exploration_noise.pkl";

/// A policy in the one-folder form: its regression head decides, on the scale of its normalization.
#[derive(Debug, Clone)]
pub struct HeadsPolicy {
    /// The folder.
    pub folder: PathBuf,
    /// The DPT head with its regression MLP.
    pub regression_head: TensorTable,
    /// The history encoder, where it has one.
    pub history_encoder: Option<TensorTable>,
    /// The scale of the regression's outputs.
    pub normalization: Normalization,
    /// Standard deviation of the exploration noise.
    pub noise: Option<f64>,
}

impl HeadsPolicy {
    /// Whether a folder looks like a policy in this form.
    pub fn is_in(folder: &Path) -> bool {
        folder.join("regression_head").is_dir()
    }

    /// Opens a folder. One that is written meanwhile is read again.
    ///
    /// # Errors
    /// The first file that is missing or cannot be used.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let folder = folder.as_ref();
        read_unchanged(folder, || (), |()| Self::files(folder), |()| Self::read(folder))
    }

    /// All files that such a folder may have.
    pub fn files(folder: &Path) -> Vec<PathBuf> {
        let rest = [Normalization::MEAN, Normalization::STD, NOISE];
        REGRESSION_HEAD.iter().chain(&HISTORY_ENCODER).chain(&rest).map(|name| folder.join(name)).collect()
    }

    fn read(folder: &Path) -> Result<Self, CheckpointError> {
        let heads = Heads::open(folder)?;
        let missing = || CheckpointError::Problems {
            path: folder.into(),
            problems: vec![format!("{} is missing", REGRESSION_HEAD.join(" or "))],
        };
        let noise = Some(folder.join(NOISE)).filter(|path| path.exists());
        Ok(Self {
            folder: folder.into(),
            regression_head: heads.regression_head.ok_or_else(missing)?,
            history_encoder: heads.history_encoder,
            normalization: Normalization::open(folder)?,
            noise: noise.map(|path| read_noise(&path)).transpose()?,
        })
    }
}
