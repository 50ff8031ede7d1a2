//! Logged steps in memory: features, actions and rewards; frames stay where they are.

use std::collections::HashMap;

use super::n_step::{After, Link, Observation, Window, window};
use super::{ActionSpace, Batch};
use planner_tuner_log::transition::{Ending, Step};

/// A ring of steps. When it is full, the oldest is overwritten.
///
/// Steps are added in the order they were made. Two of them belong together when they are of one episode and their
/// numbers follow each other; nothing else is ever taken for a successor, the slot after the newest step least of all.
#[derive(Debug, Clone)]
pub struct ReplayBuffer {
    space: ActionSpace,
    feature: usize,
    capacity: usize,
    reward_limit: f32,
    episodes: HashMap<String, usize>,
    /// Slot by slot.
    records: Vec<Record>,
    features: Vec<f32>,
    actions: Vec<f32>,
    /// The slot that is written next.
    next_slot: usize,
}

/// What a slot holds besides feature and action.
#[derive(Debug, Clone)]
struct Record {
    episode: usize,
    index: u64,
    reward: f32,
    ending: Ending,
    own_next: Option<Box<[f32]>>,
}

/// Why a logged step is not learned from. It counts as lost: no window leads across it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StepRefused {
    /// A reward that no reward function gives.
    #[error("its reward is {found}, expected a number within ±{limit} (reward_limit)")]
    Reward {
        /// The reward.
        found: f32,
        /// The limit.
        limit: f32,
    },
    /// An action of another length.
    #[error("its action has {found} numbers, expected {expected}")]
    Action {
        /// Parameters of the planner.
        expected: usize,
        /// Numbers of the action.
        found: usize,
    },
    /// A feature of another length.
    #[error("a feature of it has {found} numbers, expected {expected}")]
    Feature {
        /// What the actor takes.
        expected: usize,
        /// What was logged.
        found: usize,
    },
    /// A frame that the log has lost: without it the step's feature cannot be computed again.
    #[error("its frame {number} is not in the log")]
    Frame {
        /// Number of the frame.
        number: u64,
    },
    /// A parameter that the planner never gets.
    #[error("it sent {name} = {found}, expected a number from {low} to {high}")]
    Parameter {
        /// The parameter.
        name: String,
        /// What was sent.
        found: f64,
        /// Smallest value.
        low: f32,
        /// Largest value.
        high: f32,
    },
}

impl StepRefused {
    /// What of the step is wrong, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Reward { .. } => "reward",
            Self::Action { .. } => "action",
            Self::Feature { .. } => "feature",
            Self::Frame { .. } => "frame",
            Self::Parameter { .. } => "parameters",
        }
    }
}

impl ReplayBuffer {
    /// An empty ring for features of a length and the parameters of a planner.
    pub fn new(space: ActionSpace, feature: usize, capacity: usize, reward_limit: f32) -> Self {
        let (records, features, actions) = (Vec::new(), Vec::new(), Vec::new());
        let episodes = HashMap::new();
        Self {
            space,
            feature,
            capacity: capacity.max(1),
            reward_limit,
            episodes,
            records,
            features,
            actions,
            next_slot: 0,
        }
    }

    /// Number of steps in the ring.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Length of a feature.
    pub fn feature_length(&self) -> usize {
        self.feature
    }

    /// Adds the next step of an episode. The slot that it lies in.
    ///
    /// # Errors
    /// [`StepRefused`] when a number of it is out of range; the ring stays as it was.
    pub fn push(&mut self, episode: &str, step: &Step) -> Result<usize, StepRefused> {
        self.check(step)?;
        let episode = match self.episodes.get(episode) {
            Some(number) => *number,
            None => {
                let number = self.episodes.len();
                self.episodes.insert(episode.to_owned(), number);
                number
            }
        };
        let own_next = step.next_feature.as_ref().map(|feature| feature.values().into());
        let record = Record { episode, index: step.index, reward: step.reward, ending: step.ending, own_next };
        let mut action = step.explored.values().to_vec();
        self.space.each(&mut action, super::Axis::parameter);
        let (slot, width) = (self.next_slot, self.space.len());
        match self.records.get_mut(slot) {
            Some(old) => {
                *old = record;
                put(&mut self.features, slot * self.feature, step.feature.values());
                put(&mut self.actions, slot * width, &action);
            }
            None => {
                self.records.push(record);
                self.features.extend_from_slice(step.feature.values());
                self.actions.extend_from_slice(&action);
            }
        }
        self.next_slot = (slot + 1) % self.capacity;
        Ok(slot)
    }

    /// Nothing is known any more of what came after a step whose episode was cut.
    pub fn forget_next(&mut self, slot: usize) {
        if let Some(record) = self.records.get_mut(slot) {
            record.own_next = None;
        }
    }

    fn check(&self, step: &Step) -> Result<(), StepRefused> {
        let limit = self.reward_limit;
        if !(-limit..=limit).contains(&step.reward) {
            return Err(StepRefused::Reward { found: step.reward, limit });
        }
        let (expected, found) = (self.space.len(), step.explored.values().len());
        if expected != found {
            return Err(StepRefused::Action { expected, found });
        }
        for feature in [Some(&step.feature), step.next_feature.as_ref()].into_iter().flatten() {
            let (expected, found) = (self.feature, feature.values().len());
            if expected != found {
                return Err(StepRefused::Feature { expected, found });
            }
        }
        for ((name, axis), sent) in self.space.names().iter().zip(self.space.axes()).zip(&step.parameters) {
            let (found, slack) = (sent.value, f64::from(axis.scale) * 1e-5);
            if !(f64::from(axis.low) - slack..=f64::from(axis.high) + slack).contains(&found) {
                return Err(StepRefused::Parameter { name: name.clone(), found, low: axis.low, high: axis.high });
            }
        }
        Ok(())
    }

    /// The steps that a window can start at, in the order of the slots.
    pub fn starts(&self) -> Vec<usize> {
        (0..self.len()).filter(|slot| self.window(*slot, 1, 1.0).is_some()).collect()
    }

    /// The window of at most `n` steps from a slot; `None` when the slot is empty, or nothing is known of what came
    /// after its step.
    pub fn window(&self, slot: usize, n: usize, gamma: f64) -> Option<Window> {
        window(slot, n, gamma, |slot| self.link(slot), |slot| self.following(slot))
    }

    /// The standard deviation of all rewards; `None` when they hardly differ.
    pub fn reward_deviation(&self) -> Option<f64> {
        let rewards = || self.records.iter().map(|record| f64::from(record.reward));
        let count = self.len().max(1) as f64;
        let mean = rewards().sum::<f64>() / count;
        let deviation = (rewards().map(|reward| (reward - mean).powi(2)).sum::<f64>() / count).sqrt();
        (deviation > 1e-6).then_some(deviation)
    }

    /// The features of all steps, row by row.
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// Adds the [`window`](Self::window) from a slot to a batch, its rewards times `reward_scale`.
    pub fn add_window(&self, slot: usize, window: &Window, reward_scale: f32, batch: &mut Batch) {
        let width = self.space.len();
        batch.size += 1;
        batch.state.extend_from_slice(row(&self.features, slot, self.feature));
        batch.action.extend_from_slice(row(&self.actions, slot, width));
        batch.reward.push((window.reward * f64::from(reward_scale)) as f32);
        batch.not_done.push(if window.bootstrap.is_some() { 1.0 } else { 0.0 });
        batch.discount.push(window.bootstrap.map_or(0.0, |bootstrap| bootstrap.discount as f32));
        batch.seen.push(Observation::Of(slot));
        batch.next_seen.push(window.bootstrap.map(|bootstrap| bootstrap.from));
        match window.bootstrap.and_then(|bootstrap| self.observation(bootstrap.from)) {
            Some(next) => batch.next_state.extend_from_slice(next),
            None => batch.next_state.resize(batch.size * self.feature, 0.0),
        }
    }

    fn observation(&self, of: Observation) -> Option<&[f32]> {
        match of {
            Observation::Of(slot) => Some(row(&self.features, slot, self.feature)),
            Observation::After(slot) => self.records.get(slot)?.own_next.as_deref(),
        }
    }

    fn link(&self, slot: usize) -> Option<Link> {
        let record = self.records.get(slot)?;
        let after = match record.ending {
            ending if ending.terminated() => After::End,
            Ending::Continues if self.is_followed(slot, record) => After::Next,
            _ if record.own_next.is_some() => After::Own,
            _ => After::Unknown,
        };
        Some(Link { reward: record.reward, after })
    }

    /// Whether the step after this one lies in the next slot.
    fn is_followed(&self, slot: usize, record: &Record) -> bool {
        let next = self.following(slot);
        let successor = self.records.get(next).filter(|_| next != self.next_slot);
        successor.is_some_and(|next| next.episode == record.episode && record.index.checked_add(1) == Some(next.index))
    }

    fn following(&self, slot: usize) -> usize {
        (slot + 1) % self.capacity
    }
}

fn put(values: &mut [f32], at: usize, row: &[f32]) {
    values.iter_mut().skip(at).zip(row).for_each(|(old, new)| *old = *new);
}

fn row(values: &[f32], index: usize, width: usize) -> &[f32] {
    values.get(index * width..(index + 1) * width).unwrap_or(&[])
}
