//! Observations of logged drives: pictures from the log, hidden states from the frozen model, both kept on disk.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::hidden_entry::{decode, encode};
use super::{CacheKey, DiskCache, FrameRef, HiddenFormat, ObservationSource, ObservationTable, Observed, Seen};
use crate::TrainError;
use planner_tuner_core::frame::Frame;
use planner_tuner_log::transition::TransitionError;
use planner_tuner_log::transition::log::{LoggedFrameError, LoggedFrames};
use planner_tuner_model::feature::HistoryImageProcessor;
use planner_tuner_model::tuner::{Tuner, TunerError};
use planner_tuner_model::vision_language::HiddenStates;
use planner_tuner_model::vision_language::processor::ProcessorError;

/// Where hidden states are kept, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheSettings {
    /// The folder.
    pub folder: PathBuf,
    /// Most bytes that it takes.
    pub limit: u64,
    /// Format of the numbers.
    pub format: HiddenFormat,
}

/// Shows logged steps to heads. What is not in the cache is computed, and kept there.
///
/// An entry's key is a SHA-256 over the frozen model's id, the format, the picture's bytes and the prompt, so that
/// whatever would change the hidden states leads to another entry.
pub struct LogObserver {
    tuner: Tuner,
    /// The frozen model with the formats that it computes in.
    model: String,
    images: Option<HistoryImageProcessor>,
    cache: DiskCache,
    format: HiddenFormat,
    episodes: Vec<LoggedFrames>,
    pictures: HashMap<FrameRef, [u8; 32]>,
    device: Device,
    warned: bool,
}

impl LogObserver {
    /// For the frames that a table names. `model` identifies the tuner's frozen model and how it computes; the tuner's
    /// own heads are not used.
    ///
    /// # Errors
    /// [`TrainError::Cache`] when its folder cannot be used; an image size that no history has.
    pub fn new(
        tuner: Tuner,
        model: &str,
        table: &ObservationTable,
        settings: &CacheSettings,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let CacheSettings { folder, limit, format } = settings;
        let cache =
            DiskCache::open(folder, *limit).map_err(|source| TrainError::Cache { path: folder.clone(), source })?;
        let side = tuner.history_config().map(|config| config.history_image_size);
        let images = side.map(HistoryImageProcessor::new).transpose();
        let images = images.map_err(|error| model_error(ProcessorError::from(error).into()))?;
        Ok(Self {
            tuner,
            model: model.to_owned(),
            images,
            cache,
            format: *format,
            episodes: table.all_frames().to_vec(),
            pictures: HashMap::new(),
            device: device.clone(),
            warned: false,
        })
    }

    /// Computes what the cache does not have yet, as far as it has room; told after each how many of how many are there.
    /// How many had to be computed.
    ///
    /// # Errors
    /// When a frame cannot be read or the model fails.
    pub fn fill(
        &mut self,
        table: &ObservationTable,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<usize, TrainError> {
        let mut missing = Vec::new();
        let mut known = HashSet::new();
        for observed in table.iter() {
            let key = self.hidden_key(observed)?;
            if known.insert(key) && !self.cache.contains(&key) {
                missing.push(observed);
            }
        }
        let total = known.len();
        let (mut computed, mut largest) = (0, 0);
        for observed in missing.iter().copied() {
            let before = self.cache.bytes();
            if before + largest > self.cache.limit() {
                let (room, left) = (self.cache.limit() >> 20, missing.len() - computed);
                log::warn!(
                    "{}: its {room} MiB hold the hidden states of {} of {total} observations; the other {left} are computed \
                     whenever they are drawn. Give it more room (--cache-limit), or half the numbers' (--cache-format bf16)",
                    self.cache.folder().display(),
                    total - left
                );
                break;
            }
            self.compute(observed)?;
            computed += 1;
            largest = largest.max(self.cache.bytes().saturating_sub(before));
            progress(total - missing.len() + computed, total);
        }
        Ok(computed)
    }

    /// Hidden states that are not in the cache; they are from now on.
    fn compute(&mut self, observed: &Observed) -> Result<HiddenStates, TrainError> {
        let frame = self.frame(observed.frame)?;
        let states = self.tuner.hidden_states(&frame, observed.velocity).map_err(model_error)?;
        let bytes = encode(&states, self.format)?;
        let key = self.hidden_key(observed)?;
        self.keep(&key, &bytes);
        // Rounded as whoever reads it from the cache will see it.
        let hidden = self.tuner.hidden_size();
        decode(&bytes, self.format, hidden, &self.device)
            .ok_or_else(|| candle_core::Error::Msg("hidden states of another width than the model's".into()).into())
    }

    fn keep(&mut self, key: &CacheKey, bytes: &[u8]) {
        if let Err(error) = self.cache.put(key, bytes)
            && !std::mem::replace(&mut self.warned, true)
        {
            log::warn!(
                "{}: {error}; what cannot be kept is computed whenever it is drawn",
                self.cache.folder().display()
            );
        }
    }

    /// A past frame as the history encoder takes it, `[3, side, side]`.
    fn past(&mut self, of: FrameRef) -> Result<Option<Tensor>, TrainError> {
        let Some(side) = self.images.as_ref().map(HistoryImageProcessor::size) else { return Ok(None) };
        let picture = self.picture(of)?;
        let key = key(&[b"past frame", &side.to_le_bytes(), &picture]);
        let length = side as usize * side as usize * 3;
        let kept = self.cache.get(&key).filter(|square| square.len() == length);
        let square = match kept {
            Some(square) => square,
            None => {
                let frame = self.frame(of)?;
                let square = self.images.as_mut().map(|images| images.resize_u8(&frame).to_vec()).unwrap_or_default();
                self.keep(&key, &square);
                square
            }
        };
        let pixels = self.images.as_ref().map(|images| images.normalise(&square)).unwrap_or_default();
        Ok(Some(Tensor::from_vec(pixels, (3, side as usize, side as usize), &self.device)?))
    }

    fn hidden_key(&mut self, observed: &Observed) -> Result<CacheKey, TrainError> {
        let (picture, prompt) = (self.picture(observed.frame)?, self.tuner.prompt_text(observed.velocity));
        let format = self.format.name().as_bytes();
        Ok(key(&[b"hidden states", self.model.as_bytes(), format, &picture, prompt.as_bytes()]))
    }

    /// SHA-256 of a logged picture. Read once.
    fn picture(&mut self, of: FrameRef) -> Result<[u8; 32], TrainError> {
        if let Some(known) = self.pictures.get(&of) {
            return Ok(*known);
        }
        let digest = Sha256::digest(self.log(of)?.encoded(of.number)?).into();
        self.pictures.insert(of, digest);
        Ok(digest)
    }

    fn frame(&self, of: FrameRef) -> Result<Frame, TrainError> {
        Ok(self.log(of)?.read(of.number)?)
    }

    fn log(&self, of: FrameRef) -> Result<&LoggedFrames, TrainError> {
        self.episodes.get(of.episode).ok_or_else(|| {
            let problem = LoggedFrameError::NoEpisode;
            TransitionError::Frame { number: of.number.0, episode: of.episode.to_string(), problem }.into()
        })
    }
}

impl ObservationSource for LogObserver {
    fn see(&mut self, observations: &[&Observed]) -> Result<Vec<Seen>, TrainError> {
        let keys: Vec<CacheKey> =
            observations.iter().map(|observed| self.hidden_key(observed)).collect::<Result<_, _>>()?;
        let (cache, format, hidden, device) = (&self.cache, self.format, self.tuner.hidden_size(), &self.device);
        let kept: Vec<Option<HiddenStates>> = keys
            .par_iter()
            .map(|key| cache.get(key).and_then(|bytes| decode(&bytes, format, hidden, device)))
            .collect();
        let mut seen = Vec::with_capacity(observations.len());
        for (observed, kept) in observations.iter().zip(kept) {
            let hidden_states = match kept {
                Some(states) => states,
                None => self.compute(observed)?,
            };
            let mut newest_first = Vec::with_capacity(observed.newest_first.len());
            for of in &observed.newest_first {
                newest_first.extend(self.past(*of)?);
            }
            seen.push(Seen { hidden_states, newest_first });
        }
        Ok(seen)
    }
}

/// SHA-256 over parts, none of which can be taken for another's end.
fn key(parts: &[&[u8]]) -> CacheKey {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    CacheKey(hash.finalize().into())
}

fn model_error(error: TunerError) -> TrainError {
    Box::new(error).into()
}
