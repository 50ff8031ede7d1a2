//! Episodes as they are read back.

use std::path::{Path, PathBuf};

use super::damage::Damage;
use super::file_reader::{ReadFile, read_file, read_head};
use super::frames::LoggedFrames;
use super::head::LogHead;
use super::step_fault::StepFault;
use crate::transition::{Ending, FrameNumber, RewardWeights, Session, Step, TransitionError};
use planner_tuner_core::frame::Frame;

/// An episode from its log: the steps in memory, the frames left in the files.
///
/// Steps are as they were written, in order. One whose number does not follow the one before it has lost its
/// predecessor, and the last one may say that the episode goes on though nothing follows ([`Damage::without_end`]):
/// nothing is to be learned across either.
#[derive(Debug)]
pub struct LoggedEpisode {
    /// Who decided, about what.
    pub session: Session,
    /// The weights that the rewards were given with.
    pub weights: RewardWeights,
    /// The steps.
    pub steps: Vec<Step>,
    /// What was lost.
    pub damage: Damage,
    frames: LoggedFrames,
}

impl LoggedEpisode {
    /// Reads an episode of one file, cut off or not.
    ///
    /// # Errors
    /// [`TransitionError::NotALog`] when not even the head is left, [`TransitionError::Io`]. All that is wrong behind the
    /// head is counted in [`Self::damage`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, TransitionError> {
        Self::read_parts(&[path])
    }

    /// Reads an episode of several files, in their order.
    ///
    /// # Errors
    /// As [`Self::read`], and [`TransitionError::Parts`] when they are not of one session.
    pub fn read_parts(paths: &[impl AsRef<Path>]) -> Result<Self, TransitionError> {
        let mut episode: Option<Self> = None;
        for path in paths {
            let path = path.as_ref();
            let read = read_file(path)?;
            match &mut episode {
                None => episode = Some(Self::begin(path, read)),
                Some(episode) => episode.append(path, read)?,
            }
        }
        let mut episode = episode.ok_or_else(|| TransitionError::NotALog {
            path: PathBuf::new(),
            problem: "no files were given".to_owned(),
        })?;
        episode.count_lost_steps();
        Ok(episode)
    }

    /// Reads a frame. Cheap enough for once a frame, not for once a sample.
    ///
    /// # Errors
    /// [`TransitionError::Frame`] when it is not in the log, or not readable any more.
    pub fn frame(&self, number: FrameNumber) -> Result<Frame, TransitionError> {
        self.frames.read(number)
    }

    /// Whether the log has this frame.
    pub fn has_frame(&self, number: FrameNumber) -> bool {
        self.frames.has(number)
    }

    /// The files it was read from.
    pub fn files(&self) -> &[PathBuf] {
        self.frames.files()
    }

    /// Where its frames lie.
    pub fn frames(&self) -> &LoggedFrames {
        &self.frames
    }

    fn begin(path: &Path, read: ReadFile) -> Self {
        let ReadFile { head: LogHead { session, weights }, steps, frames, damage } = read;
        let mut of_files = LoggedFrames::new(&session.episode);
        of_files.add(path, frames);
        let mut episode = Self { session, weights, steps: Vec::new(), damage, frames: of_files };
        episode.take_steps(path, steps);
        episode
    }

    fn append(&mut self, path: &Path, read: ReadFile) -> Result<(), TransitionError> {
        let ReadFile { head, steps, frames, damage } = read;
        if head.session != self.session || head.weights != self.weights {
            let first = self.files().first().cloned().unwrap_or_default();
            let problem = format!("it is of {}, or of another policy, extractor or reward", head.session.episode);
            return Err(TransitionError::Parts { path: path.to_owned(), first, problem });
        }
        self.frames.add(path, frames);
        self.damage.add(damage);
        self.take_steps(path, steps);
        Ok(())
    }

    fn take_steps(&mut self, path: &Path, steps: Vec<Step>) {
        for step in steps {
            let ended = |last: &Step| last.ending != Ending::Continues;
            let fault = match self.steps.last() {
                Some(last) if step.index <= last.index => StepFault::Order { index: step.index, last: last.index },
                Some(last) if ended(last) => StepFault::BehindEnd { index: step.index },
                _ => {
                    self.steps.push(step);
                    continue;
                }
            };
            self.damage.refuse(path, &fault);
        }
    }

    fn count_lost_steps(&mut self) {
        let numbers = self.steps.last().map_or(0, |last| last.index.saturating_add(1));
        self.damage.lost_steps = numbers.saturating_sub(self.steps.len() as u64);
        self.damage.without_end = self.steps.last().is_none_or(|last| last.ending == Ending::Continues);
    }
}

/// The logs in a folder.
#[derive(Debug, Default)]
pub struct LogFolder {
    /// Episodes by name, that is by time.
    pub episodes: Vec<EpisodeFiles>,
    /// Files that are called `.mcap` and are no logs, or logs whose head is lost, and why.
    pub refused: Vec<(PathBuf, TransitionError)>,
}

/// The files of one episode, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeFiles {
    /// Who decided, about what.
    pub session: Session,
    /// In the order they were written.
    pub files: Vec<PathBuf>,
}

impl EpisodeFiles {
    /// Reads the episode.
    ///
    /// # Errors
    /// As [`LoggedEpisode::read_parts`].
    pub fn read(&self) -> Result<LoggedEpisode, TransitionError> {
        LoggedEpisode::read_parts(&self.files)
    }
}

/// Finds the logs in a folder, or the one that a file is, and joins the files of each episode. Only heads are read.
///
/// # Errors
/// [`TransitionError::Io`] when the folder cannot be listed.
pub fn logs_in(folder: impl AsRef<Path>) -> Result<LogFolder, TransitionError> {
    let folder = folder.as_ref();
    let mut files = Vec::new();
    if folder.metadata().map_err(TransitionError::io(folder))?.is_dir() {
        for entry in std::fs::read_dir(folder).map_err(TransitionError::io(folder))? {
            let path = entry.map_err(TransitionError::io(folder))?.path();
            if path.extension().is_some_and(|extension| extension == "mcap") {
                files.push(path);
            }
        }
    } else {
        files.push(folder.to_owned());
    }
    files.sort();
    let mut found = LogFolder::default();
    let mut parts: Vec<(LogHead, Vec<(u64, PathBuf)>)> = Vec::new();
    for path in files {
        match read_head(&path) {
            Ok((head, part)) => match parts.iter_mut().find(|(known, _)| *known == head) {
                Some((_, of_episode)) => of_episode.push((part, path)),
                None => parts.push((head, vec![(part, path)])),
            },
            Err(error) => found.refused.push((path, error)),
        }
    }
    parts.sort_by(|a, b| a.0.session.episode.cmp(&b.0.session.episode));
    for (head, mut of_episode) in parts {
        of_episode.sort();
        let files = of_episode.into_iter().map(|(_, path)| path).collect();
        found.episodes.push(EpisodeFiles { session: head.session, files });
    }
    Ok(found)
}
