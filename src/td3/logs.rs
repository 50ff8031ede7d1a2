//! From logs on disk to steps in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::heads::ObservationTable;
use super::{LogGate, ReplayBuffer, StepRefused, TrainError};
use planner_tuner_log::transition::{LoggedEpisode, Step, logs_in};

/// Steps of a kind of refusal that are logged in full; the rest is only counted.
const LOGGED_IN_FULL: usize = 3;

/// What was read, and what could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogSummary {
    /// Episodes that steps were taken of.
    pub episodes: usize,
    /// Steps that were taken.
    pub steps: usize,
    /// Files that are no log, or have lost their head.
    pub unreadable_files: usize,
    /// Steps that are lost or refused by the log's reader.
    pub lost_steps: u64,
    /// Episodes that the end is missing of; their last steps are bootstrapped or left out.
    pub without_end: usize,
    /// Bytes that could not be read.
    pub lost_bytes: u64,
    /// Steps that are not learned from, because a number of them is out of range.
    pub refused_steps: usize,
    /// The policies that drove.
    pub policies: BTreeSet<String>,
    /// The extractors of the features.
    pub extractors: BTreeSet<String>,
    /// SHA-256 over all that was taken, hexadecimal: whether two trainings learn from the same.
    pub digest: String,
}

impl LogSummary {
    /// Whether all of every log was used.
    pub fn is_complete(&self) -> bool {
        (self.unreadable_files, self.without_end, self.refused_steps) == (0, 0, 0)
            && (self.lost_steps, self.lost_bytes) == (0, 0)
    }
}

/// Reads logs, or folders of them, episode by episode into the buffer. Frames are not touched.
///
/// # Errors
/// [`TrainError::Mixed`] when a log does not belong to the others, [`TrainError::Log`] when a path cannot be read or
/// holds no log at all.
pub fn read_logs(paths: &[PathBuf], gate: &mut LogGate, buffer: &mut ReplayBuffer) -> Result<LogSummary, TrainError> {
    read(paths, gate, buffer, None)
}

/// As [`read_logs`]; what each step has seen goes into the table, the pictures themselves stay where they are. A step
/// whose frame is lost is refused.
///
/// # Errors
/// As [`read_logs`].
pub fn read_logs_with_frames(
    paths: &[PathBuf],
    gate: &mut LogGate,
    buffer: &mut ReplayBuffer,
    table: &mut ObservationTable,
) -> Result<LogSummary, TrainError> {
    let summary = read(paths, gate, buffer, Some(table))?;
    let missing = table.find_after_cuts(buffer);
    if missing > 0 {
        log::info!(
            "{missing} episodes end before the next observation, whose frame is in no log: their last steps are left out"
        );
    }
    Ok(summary)
}

fn read(
    paths: &[PathBuf],
    gate: &mut LogGate,
    buffer: &mut ReplayBuffer,
    mut table: Option<&mut ObservationTable>,
) -> Result<LogSummary, TrainError> {
    let mut summary = LogSummary::default();
    let mut digest = Sha256::new();
    for path in paths {
        let found = logs_in(path)?;
        summary.unreadable_files += found.refused.len();
        let nothing = found.episodes.is_empty();
        for (index, (_, error)) in found.refused.into_iter().enumerate() {
            if nothing && index == 0 {
                return Err(error.into());
            }
            log::error!("{error}");
        }
        if nothing {
            return Err(TrainError::NoLogs { path: path.clone() });
        }
        // All heads are compared before the first step is taken.
        for episode in &found.episodes {
            let file = episode.files.first().map_or(path.as_path(), PathBuf::as_path);
            gate.admit(&episode.session, file)?;
        }
        for files in &found.episodes {
            let episode = files.read()?;
            gate.admit_reward(&episode.weights, first_file(&episode))?;
            take_episode(episode, buffer, table.as_deref_mut(), &mut summary, &mut digest)?;
        }
    }
    summary.digest = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(summary)
}

fn first_file(episode: &LoggedEpisode) -> &Path {
    episode.files().first().map_or(Path::new(""), PathBuf::as_path)
}

fn take_episode(
    mut episode: LoggedEpisode,
    buffer: &mut ReplayBuffer,
    table: Option<&mut ObservationTable>,
    summary: &mut LogSummary,
    digest: &mut Sha256,
) -> Result<(), TrainError> {
    let damage = &episode.damage;
    let path = first_file(&episode).to_owned();
    if !damage.is_empty() {
        log::error!("{}: {damage}", path.display());
    }
    summary.lost_bytes += damage.lost_bytes;
    summary.lost_steps += damage.lost_steps + damage.refused_records();
    summary.without_end += usize::from(damage.without_end && !episode.steps.is_empty());
    summary.policies.insert(episode.session.policy.to_string());
    summary.extractors.insert(episode.session.extractor.to_string());
    summary.episodes += 1;
    let (name, steps) = (episode.session.episode.clone(), std::mem::take(&mut episode.steps));
    let mut seeing = match table {
        Some(table) => Some((table.begin_episode(episode.frames().clone(), steps.first())?, table)),
        None => None,
    };
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for step in &steps {
        let pushed = match &mut seeing {
            None => buffer.push(&name, step).map(|_| ()),
            Some((observer, table)) => match observer.observe(step, episode.has_frame(step.frame)) {
                Some(own) => buffer.push(&name, step).map(|slot| table.put(slot, own, step, observer)),
                None => Err(StepRefused::Frame { number: step.frame.0 }),
            },
        };
        match pushed {
            Ok(()) => {
                summary.steps += 1;
                add_to_digest(&name, step, digest);
            }
            Err(problem) => {
                summary.refused_steps += 1;
                let count = refused.entry(problem.kind().to_owned()).or_default();
                *count += 1;
                if *count <= LOGGED_IN_FULL {
                    log::error!("{}: step {} is refused: {problem}", path.display(), step.index);
                }
            }
        }
    }
    if let Some((observer, table)) = seeing {
        table.end_episode(observer, steps.last());
    }
    for (kind, count) in refused.into_iter().filter(|(_, count)| *count > LOGGED_IN_FULL) {
        log::error!("{}: {count} steps in all are refused for their {kind}", path.display());
    }
    Ok(())
}

fn add_to_digest(episode: &str, step: &Step, digest: &mut Sha256) {
    digest.update((episode.len() as u64).to_le_bytes());
    digest.update(episode);
    digest.update(step.index.to_le_bytes());
    digest.update([u8::from(step.ending.terminated()), u8::from(step.ending.truncated())]);
    let next = step.next_feature.iter().flat_map(|feature| feature.values());
    let numbers = step.feature.values().iter().chain(step.explored.values()).chain([&step.reward]).chain(next);
    let bytes: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes()).collect();
    digest.update(bytes);
}
