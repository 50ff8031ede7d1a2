//! Rewards recomputed from the stored terms under other weights.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::log::{FolderStore, LogStore, Placement, Rotation};
use super::{EpisodeFiles, EpisodeWriter, LogHead, LoggedEpisode, RewardWeights, TransitionError, logs_in};

/// Steps in a chunk.
const STEPS_PER_CHUNK: u64 = 16;

/// How relabelling went.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RelabelSummary {
    /// Episodes that were written.
    pub episodes: u64,
    /// Steps that were written.
    pub steps: u64,
    /// Files, records and steps that were lost: in the logs as they were, or because a frame cannot be read.
    pub lost: u64,
    /// Sum of the rewards as they were.
    pub before: f64,
    /// Sum of the rewards as they are now.
    pub after: f64,
}

/// Writes the logs of a folder (or one file) to another folder with rewards under other weights. The logs that are read
/// stay as they are; each that is written appears whole or not at all. `progress` hears how many episodes are done, and of how
/// many.
///
/// # Errors
/// [`TransitionError`] when nothing can be read or written, and when both folders are the same.
pub fn relabel(
    logs: &Path,
    weights: RewardWeights,
    output: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<RelabelSummary, TransitionError> {
    let found = logs_in(logs)?;
    let canonical = |path: &Path| path.canonicalize().map_err(TransitionError::io(path));
    let folder = if logs.is_dir() { logs } else { logs.parent().unwrap_or(Path::new(".")) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if output.exists() && canonical(folder)? == canonical(output)? {
        return Err(TransitionError::OntoItself { path: output.to_owned() });
    }
    let mut summary = RelabelSummary::default();
    for (_, error) in found.refused {
        log::error!("{error}");
        summary.lost += 1;
    }
    if found.episodes.is_empty() {
        let problem = "there is no transition log in it".to_owned();
        return Err(TransitionError::NotALog { path: logs.to_owned(), problem });
    }
    let store = FolderStore::open(output, Placement::WhenWhole).map_err(TransitionError::io(output))?;
    let store: Arc<dyn LogStore> = Arc::new(store);
    for (done, files) in found.episodes.iter().enumerate() {
        progress(done, found.episodes.len());
        relabel_episode(files, weights, &store, &mut summary)?;
    }
    Ok(summary)
}

fn relabel_episode(
    files: &EpisodeFiles,
    weights: RewardWeights,
    store: &Arc<dyn LogStore>,
    summary: &mut RelabelSummary,
) -> Result<(), TransitionError> {
    let episode = files.read()?;
    let damage = &episode.damage;
    if !damage.is_empty() {
        let file = files.files.first().cloned().unwrap_or_else(PathBuf::new);
        log::error!("{}: {damage}", file.display());
    }
    summary.lost += damage.lost_steps + damage.refused_records() + u64::from(damage.lost_bytes > 0);
    summary.lost += u64::from(damage.without_end);
    summary.episodes += 1;
    let head = Arc::new(LogHead { session: episode.session.clone(), weights });
    let mut writer = EpisodeWriter::new(Arc::clone(store), head, Rotation::default())?;
    for step in &episode.steps {
        match relabel_step(&episode, step, weights, &mut writer) {
            Ok(reward) => {
                summary.steps += 1;
                summary.before += f64::from(step.reward);
                summary.after += f64::from(reward);
            }
            Err(error @ (TransitionError::Frame { .. } | TransitionError::Step { .. })) => {
                log::error!("{error}");
                summary.lost += 1;
            }
            Err(error) => return Err(error),
        }
    }
    writer.finish_part()
}

fn relabel_step(
    episode: &LoggedEpisode,
    step: &super::Step,
    weights: RewardWeights,
    writer: &mut EpisodeWriter,
) -> Result<f32, TransitionError> {
    let frame = episode.frame(step.frame)?;
    let step = super::Step { reward: weights.reward(&step.terms), ..step.clone() };
    writer.write(&step, &frame)?;
    if step.index % STEPS_PER_CHUNK == STEPS_PER_CHUNK - 1 {
        writer.flush()?;
    }
    Ok(step.reward)
}
