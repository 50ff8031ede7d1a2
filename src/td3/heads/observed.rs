//! What the feature of each logged step is made of: a frame, a velocity, the frames before it.

use std::collections::HashMap;
use std::time::Duration;

use crate::ReplayBuffer;
use crate::n_step::Observation;
use planner_tuner_core::frame::{BodyVelocity, FrameError, HistoryRing};
use planner_tuner_core::numbers::Feature;
use planner_tuner_log::transition::log::LoggedFrames;
use planner_tuner_log::transition::{FrameNumber, Step};

/// A frame of one of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameRef {
    /// Number of the episode in the order of reading.
    pub episode: usize,
    /// The frame in its log.
    pub number: FrameNumber,
}

/// What a feature is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The current frame.
    pub frame: FrameRef,
    /// What the robot drove, which the prompt says.
    pub velocity: BodyVelocity,
    /// The frames before it that the history encoder sees, newest first.
    pub newest_first: Vec<FrameRef>,
}

/// The observations of the steps in a [`ReplayBuffer`], slot by slot.
///
/// Past frames follow the rules of the decisions' own ring: it is empty when an episode begins, and after a step that the
/// log has lost, as after a gap. The observation after a cut (a time-out, a new goal) is not logged as a step of that
/// episode. It is the first one of the next, and is found again by its feature, which is the same to the bit. Where it is
/// found, the drive went on, and with it the ring; where the next episode is missing, nothing leads past the last step.
#[derive(Debug)]
pub struct ObservationTable {
    offsets: Vec<usize>,
    episodes: Vec<LoggedFrames>,
    slots: Vec<SlotObservations>,
    /// First observations of episodes, by the bits of their features.
    first: HashMap<Vec<u32>, (FrameRef, BodyVelocity)>,
    /// Of the episode that was read last, if it was cut: what was seen after it, and the ring at that time.
    cut: Option<(Vec<u32>, HistoryRing<FrameRef>)>,
}

#[derive(Debug)]
struct SlotObservations {
    own: Observed,
    after: AfterCut,
}

/// The observation that a step brought along as its own next.
#[derive(Debug)]
enum AfterCut {
    None,
    /// Looked for by its feature.
    Sought {
        feature: Vec<u32>,
        newest_first: Vec<FrameRef>,
    },
    Found(Observed),
}

/// Follows the steps of one episode.
#[derive(Debug)]
pub(crate) struct EpisodeObserver {
    episode: usize,
    ring: HistoryRing<FrameRef>,
    next_index: u64,
}

impl ObservationTable {
    /// An empty table. `offsets` are those of the history's frames, newest first; none for heads without history.
    ///
    /// # Errors
    /// [`FrameError::HistoryOffsets`] for offsets that no ring has.
    pub fn new(offsets: &[usize]) -> Result<Self, FrameError> {
        HistoryRing::<FrameRef>::new(offsets, Duration::MAX)?;
        Ok(Self {
            offsets: offsets.to_vec(),
            episodes: Vec::new(),
            slots: Vec::new(),
            first: HashMap::new(),
            cut: None,
        })
    }

    /// What an observation is made of; `None` for a slot without one.
    pub fn get(&self, of: Observation) -> Option<&Observed> {
        match of {
            Observation::Of(slot) => self.slots.get(slot).map(|slot| &slot.own),
            Observation::After(slot) => match &self.slots.get(slot)?.after {
                AfterCut::Found(observed) => Some(observed),
                AfterCut::None | AfterCut::Sought { .. } => None,
            },
        }
    }

    /// All observations, those after cuts behind the steps' own.
    pub fn iter(&self) -> impl Iterator<Item = &Observed> {
        let after = self.slots.iter().filter_map(|slot| match &slot.after {
            AfterCut::Found(observed) => Some(observed),
            _ => None,
        });
        self.slots.iter().map(|slot| &slot.own).chain(after)
    }

    /// Number of slots.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no observation.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The frames of all episodes, in the order of their numbers.
    pub fn all_frames(&self) -> &[LoggedFrames] {
        &self.episodes
    }

    /// Begins the next episode, whose first step is this.
    pub(crate) fn begin_episode(
        &mut self,
        frames: LoggedFrames,
        first: Option<&Step>,
    ) -> Result<EpisodeObserver, FrameError> {
        let episode = self.episodes.len();
        self.episodes.push(frames);
        let follows = |cut: &Vec<u32>| first.is_some_and(|step| step.index == 0 && bits(&step.feature) == *cut);
        let ring = match self.cut.take() {
            Some((feature, ring)) if follows(&feature) => ring,
            _ => HistoryRing::new(&self.offsets, Duration::MAX)?,
        };
        Ok(EpisodeObserver { episode, ring, next_index: 0 })
    }

    /// Ends the episode with its last step.
    pub(crate) fn end_episode(&mut self, observer: EpisodeObserver, last: Option<&Step>) {
        let feature = last.and_then(|step| step.next_feature.as_ref());
        self.cut = feature.map(|feature| (bits(feature), observer.ring));
    }

    /// Takes the observation of the step that was put into a slot of the buffer.
    pub(crate) fn put(&mut self, slot: usize, own: Observed, step: &Step, observer: &EpisodeObserver) {
        if step.index == 0 {
            self.first.insert(bits(&step.feature), (own.frame, own.velocity));
        }
        let after = match &step.next_feature {
            Some(feature) => {
                AfterCut::Sought { feature: bits(feature), newest_first: observer.ring.select(&own.frame) }
            }
            None => AfterCut::None,
        };
        let observations = SlotObservations { own, after };
        match self.slots.get_mut(slot) {
            Some(old) => *old = observations,
            None => self.slots.push(observations),
        }
    }

    /// Once all episodes are read: finds the observations after cuts, and lets the buffer forget those of which nothing
    /// is found. How many that are.
    pub(crate) fn find_after_cuts(&mut self, buffer: &mut ReplayBuffer) -> usize {
        let mut missing = 0;
        for (number, slot) in self.slots.iter_mut().enumerate() {
            let AfterCut::Sought { feature, newest_first } = &mut slot.after else { continue };
            slot.after = match self.first.get(feature) {
                Some((frame, velocity)) => {
                    let newest_first = std::mem::take(newest_first);
                    AfterCut::Found(Observed { frame: *frame, velocity: *velocity, newest_first })
                }
                None => {
                    buffer.forget_next(number);
                    missing += 1;
                    AfterCut::None
                }
            };
        }
        missing
    }
}

impl EpisodeObserver {
    /// What the episode's next step has seen. `None` when its frame is not in the log.
    pub(crate) fn observe(&mut self, step: &Step, has_frame: bool) -> Option<Observed> {
        if step.index != self.next_index || !has_frame {
            self.ring.start_episode();
        }
        self.next_index = step.index.saturating_add(1);
        if !has_frame {
            return None;
        }
        let frame = FrameRef { episode: self.episode, number: step.frame };
        let newest_first = self.ring.select(&frame);
        self.ring.push(step.stamp, frame);
        Some(Observed { frame, velocity: step.velocity, newest_first })
    }
}

fn bits(feature: &Feature) -> Vec<u32> {
    feature.values().iter().map(|value| value.to_bits()).collect()
}
