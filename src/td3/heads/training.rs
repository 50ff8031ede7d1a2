//! The heads' part of an update, and that of a LoRA in front of them where it learns, too.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::learning_view::LoraState;
use super::{LearningHeads, LearningView, ObservationSource, ObservationTable, Observed, Seen};
use crate::n_step::Observation;
use crate::optimizer::{AdamStep, Moments, square_sum};
use crate::{Batch, Heads, Learns, NamedTensor, ReplayBuffer, TrainError};
use planner_tuner_core::identity::{ExtractorId, PolicyId};

/// Observations that are compared at the end of a training, at most.
const COMPARED: usize = 512;
/// The same where each of them has to be looked at again by the vision-language model.
const COMPARED_WITH_LORA: usize = 64;
/// Observations that are held at once: 18 MB each for the 3B model.
const TOGETHER: usize = 16;
/// Observations whose features are compared with the logged ones before a training begins, at most.
const CHECKED: usize = 64;

/// What a LoRA's numbers are written down under: now, at the start, the averages.
const LORA_GROUPS: [&str; 4] = ["lora", "start_lora", "lora_adam.first", "lora_adam.second"];

/// What a training of heads was begun with: it only goes on with the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadsOrigin {
    /// What is frozen of the model, and how it computes.
    pub model: String,
    /// The policy whose heads they were.
    pub policy: PolicyId,
    /// The extractor that they were part of.
    pub extractor: ExtractorId,
}

/// What is in front of the heads.
enum Front {
    /// A model that stays as it is.
    Frozen(Box<dyn ObservationSource>),
    /// One with a LoRA that learns.
    Learns(Box<LearningView>),
}

/// Heads that learn, what they look at, and their optimiser's averages. The steps of Adam are counted with the actor's,
/// whose optimiser it is.
pub struct HeadTraining {
    origin: HeadsOrigin,
    heads: LearningHeads,
    /// The numbers that the training began with.
    start: Vec<f32>,
    moments: Moments,
    table: ObservationTable,
    front: Front,
    gradient: Vec<f32>,
}

impl HeadTraining {
    /// Begins with heads that have not learned yet, behind a frozen model.
    pub fn new(
        origin: HeadsOrigin,
        heads: LearningHeads,
        table: ObservationTable,
        source: Box<dyn ObservationSource>,
    ) -> Self {
        Self::behind(Front::Frozen(source), origin, heads, table)
    }

    /// Begins with heads and a LoRA in front of them, neither of which has learned yet.
    pub fn with_lora(origin: HeadsOrigin, heads: LearningHeads, table: ObservationTable, view: LearningView) -> Self {
        Self::behind(Front::Learns(Box::new(view)), origin, heads, table)
    }

    fn behind(front: Front, origin: HeadsOrigin, heads: LearningHeads, table: ObservationTable) -> Self {
        let count = heads.values().len();
        let start = heads.values().to_vec();
        Self { origin, heads, start, moments: Moments::zeros(count), table, front, gradient: vec![0.0; count] }
    }

    /// The model with its LoRA, where that learns.
    pub fn view(&self) -> Option<&LearningView> {
        match &self.front {
            Front::Frozen(_) => None,
            Front::Learns(view) => Some(view),
        }
    }

    /// What learns besides the actor's own layer.
    pub fn mode(&self) -> Learns {
        if self.view().is_some() { Learns::Lora } else { Learns::Heads }
    }

    /// What the training was begun with.
    pub fn origin(&self) -> &HeadsOrigin {
        &self.origin
    }

    /// The heads as they are now.
    pub fn heads(&self) -> &LearningHeads {
        &self.heads
    }

    /// What the observations of the steps are made of.
    pub fn table(&self) -> &ObservationTable {
        &self.table
    }

    /// What has to be written down to go on: now, at the start, the averages; each under the names of the tensors.
    pub(crate) fn state(&self) -> [(&'static str, Vec<NamedTensor<'_>>); 4] {
        let split = |values| self.heads.split(values);
        [
            ("heads", self.heads.named()),
            ("start_heads", split(&self.start)),
            ("heads_adam.first", split(&self.moments.first)),
            ("heads_adam.second", split(&self.moments.second)),
        ]
    }

    /// What has to be written down of a LoRA that learns: each under a group and the tensor's name.
    pub(crate) fn lora_state(&self) -> Vec<(String, Tensor)> {
        let Some(view) = self.view() else { return Vec::new() };
        let LoraState { now, start, moments: [first, second] } = view.state();
        let groups = LORA_GROUPS.into_iter().zip([now, start, first, second]);
        let named = |(group, tensors): (&'static str, Vec<Tensor>)| {
            view.names().into_iter().zip(tensors).map(move |(name, tensor)| (format!("{group}.{name}"), tensor))
        };
        groups.flat_map(named).collect()
    }

    /// Goes on from what [`lora_state`](Self::lora_state) said, behind `steps` steps of Adam.
    pub(crate) fn restore_lora(
        &mut self,
        steps: u64,
        read: impl Fn(&str) -> Result<Tensor, TrainError>,
    ) -> Result<(), TrainError> {
        let Front::Learns(view) = &mut self.front else { return Ok(()) };
        let names = view.names();
        let group = |group: &str| -> Result<Vec<Tensor>, TrainError> {
            names.iter().map(|name| read(&format!("{group}.{name}"))).collect()
        };
        let [now, start, first, second] = LORA_GROUPS.map(group);
        view.restore(LoraState { now: now?, start: start?, moments: [first?, second?] }, steps)
    }

    /// Goes on from what [`state`](Self::state) said; `read` finds it by group, name and shape.
    pub(crate) fn restore(
        &mut self,
        mut read: impl FnMut(&str, &str, &[usize]) -> Result<Vec<f32>, TrainError>,
    ) -> Result<(), TrainError> {
        let mut group = |group: &str| -> Result<Vec<f32>, TrainError> {
            let mut values = Vec::with_capacity(self.start.len());
            for NamedTensor { name, shape, .. } in self.heads.named() {
                values.extend(read(group, &name, &shape)?);
            }
            Ok(values)
        };
        let (now, start) = (group("heads")?, group("start_heads")?);
        self.moments = Moments { first: group("heads_adam.first")?, second: group("heads_adam.second")? };
        self.start = start;
        Ok(self.heads.change(|values| values.copy_from_slice(&now))?)
    }

    /// Puts recomputed features in place of those in a batch. Each observation is looked at once.
    ///
    /// # Errors
    /// When an observation cannot be seen.
    pub(crate) fn refresh(&mut self, batch: &mut Batch) -> Result<(), TrainError> {
        let Batch { seen, next_seen, state, next_state, .. } = batch;
        let wanted: BTreeSet<Observation> = seen.iter().chain(next_seen.iter().flatten()).copied().collect();
        let wanted: BTreeMap<Observation, usize> = wanted.into_iter().zip(0..).collect();
        let width = self.heads.feature_length();
        let mut rows = Vec::with_capacity(wanted.len() * width);
        self.look(wanted.keys().copied(), |heads, seen, _| heads.features(seen, &mut rows))?;
        let feature = |of: &Observation| wanted.get(of).and_then(|row| rows.get(row * width..(row + 1) * width));
        for (place, of) in state.chunks_exact_mut(width.max(1)).zip(seen.iter()) {
            feature(of).into_iter().for_each(|feature| place.copy_from_slice(feature));
        }
        for (place, of) in next_state.chunks_exact_mut(width.max(1)).zip(next_seen.iter()) {
            let feature = of.as_ref().and_then(feature);
            feature.into_iter().for_each(|feature| place.copy_from_slice(feature));
        }
        Ok(())
    }

    /// How far the logged features of evenly spread steps lie from those that these heads compute, at most; relative to
    /// the largest number of a feature. Before the first update it tells whether the frames are seen as they were when
    /// the log was made.
    ///
    /// # Errors
    /// When an observation cannot be seen.
    pub fn distance_from_logged(&mut self, buffer: &ReplayBuffer) -> Result<f32, TrainError> {
        let (slots, width) = (spread(self.table.len(), CHECKED), self.heads.feature_length());
        let found = self.features_of(&slots)?;
        let row = |slot: &usize| buffer.features().get(slot * width..(slot + 1) * width);
        let logged = slots.iter().filter_map(row).flatten();
        let largest = found.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
        let distances = found.iter().zip(logged).map(|(found, logged)| (found - logged).abs());
        // NaN is farther than anything.
        Ok(distances.fold(0.0, |farthest: f32, distance| if distance <= farthest { farthest } else { distance })
            / largest)
    }

    /// Features of evenly spread steps: under the initial heads, under the current ones.
    ///
    /// # Errors
    /// When an observation cannot be seen.
    pub(crate) fn old_and_new(&mut self) -> Result<[Vec<f32>; 2], TrainError> {
        let count = if self.view().is_some() { COMPARED_WITH_LORA } else { COMPARED };
        let slots = spread(self.table.len(), count);
        let new = self.features_of(&slots)?;
        let now = self.heads.values().to_vec();
        let start = self.start.clone();
        let lora = self.view().map(|view| view.exchange(view.start())).transpose()?;
        self.heads.change(|values| values.copy_from_slice(&start))?;
        let old = self.features_of(&slots);
        self.heads.change(|values| values.copy_from_slice(&now))?;
        self.view().zip(lora).map(|(view, lora)| view.exchange(&lora)).transpose()?;
        Ok([old?, new])
    }

    fn features_of(&mut self, slots: &[usize]) -> Result<Vec<f32>, TrainError> {
        let mut rows = Vec::new();
        let observations = slots.iter().map(|slot| Observation::Of(*slot));
        self.look(observations, |heads, seen, _| heads.features(seen, &mut rows))?;
        Ok(rows)
    }

    /// Sees observations, a few at a time, and works on each few; told at which of them they begin.
    fn look(
        &mut self,
        observations: impl Iterator<Item = Observation>,
        mut work: impl FnMut(&LearningHeads, &[Seen], usize) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let Self { heads, table, front, .. } = self;
        let source: &mut dyn ObservationSource = match front {
            Front::Frozen(source) => &mut **source,
            Front::Learns(view) => &mut **view,
        };
        let observed: Vec<&Observed> = observations.map(|of| known(table, of)).collect::<Result<_, _>>()?;
        for (index, few) in observed.chunks(TOGETHER).enumerate() {
            work(heads, &source.see(few)?, index * TOGETHER)?;
        }
        Ok(())
    }
}

impl Heads for HeadTraining {
    type Error = TrainError;
    const LEARN: bool = true;

    fn pass_on(&mut self, batch: &Batch, of_features: &[f32]) -> Result<f64, TrainError> {
        let mut sum = self.heads.no_gradient();
        let width = self.heads.feature_length();
        let of_lora = match &mut self.front {
            Front::Frozen(_) => {
                self.look(batch.seen.iter().copied(), |heads, seen, first| {
                    let rows = of_features.get(first * width..(first + seen.len()) * width).unwrap_or(&[]);
                    heads.add_gradient(seen, rows, &mut sum)
                })?;
                0.0
            }
            Front::Learns(view) => {
                view.forget_gradients();
                // One after another: of each, the inputs of all blocks are held on its way back.
                for (of, of_feature) in batch.seen.iter().zip(of_features.chunks_exact(width.max(1))) {
                    let (seen, passed) = view.see_to_learn(known(&self.table, *of)?)?;
                    let of_states = self.heads.add_gradient_through(&seen, of_feature, &mut sum)?;
                    view.pass_back(passed, &of_states)?;
                }
                view.square_sum()?
            }
        };
        self.heads.read_gradient(&sum, &mut self.gradient)?;
        Ok(square_sum(&self.gradient) + of_lora)
    }

    fn step(&mut self, adam: AdamStep) -> Result<(), TrainError> {
        let Self { heads, moments, gradient, front, .. } = self;
        if let Front::Learns(view) = front {
            view.step(adam)?;
        }
        Ok(heads.change(|values| adam.apply(values, gradient, moments))?)
    }
}

impl std::fmt::Debug for HeadTraining {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HeadTraining({} values, {} observations)", self.start.len(), self.table.len())
    }
}

/// What an observation is made of.
fn known(table: &ObservationTable, of: Observation) -> Result<&Observed, TrainError> {
    table.get(of).ok_or(TrainError::NotObserved { observation: of })
}

/// At most so many numbers below `end`, evenly spread.
fn spread(end: usize, count: usize) -> Vec<usize> {
    let count = count.min(end);
    (0..count).map(|index| index * end / count).collect()
}
