//! What heads see through a model whose LoRA learns with them.

use candle_core::{Tensor, Var};
use planner_tuner_core::frame::Frame;
use planner_tuner_log::transition::TransitionError;
use planner_tuner_log::transition::log::{LoggedFrameError, LoggedFrames};
use planner_tuner_model::checkpoint::AdapterFiles;
use planner_tuner_model::feature::HistoryImageProcessor;
use planner_tuner_model::learning::{AdamSettings, AdamW, GradientSums, LearningModel, LoraLayers};
use planner_tuner_model::vision_language::ForwardPass;

use super::{FrameRef, ObservationSource, ObservationTable, Observed, Seen};
use crate::TrainError;
use crate::optimizer::AdamStep;

/// The vision-language model with a LoRA that learns, and the frames that it is shown.
///
/// Nothing that it says is kept from one update to the next, because it says something else after each. The LoRA's variables
/// and their optimiser stay on the model's device; its steps are those of the actor's optimiser, which it is a part of.
#[derive(Debug)]
pub struct LearningView {
    model: LearningModel,
    lora: LoraLayers,
    /// The numbers that the training began with.
    start: Vec<Tensor>,
    adam: AdamW,
    gradients: GradientSums,
    past: Option<HistoryImageProcessor>,
    /// What the base model is called.
    base: String,
    episodes: Vec<LoggedFrames>,
}

/// What is written down of the numbers that learn, in the order of [`LearningView::names`].
#[derive(Debug, Clone)]
pub(crate) struct LoraState {
    pub(crate) now: Vec<Tensor>,
    pub(crate) start: Vec<Tensor>,
    pub(crate) moments: [Vec<Tensor>; 2],
}

impl LearningView {
    /// Of the frames that a table names, with a LoRA that is part of the model. `base` is what the base model is called,
    /// `history_size` the side of the past frames that the history encoder sees, pixels.
    ///
    /// # Errors
    /// A size that no past frame has; when the device has no memory for the optimiser.
    pub fn new(
        (model, lora): (LearningModel, LoraLayers),
        base: String,
        history_size: Option<u32>,
        table: &ObservationTable,
    ) -> Result<Self, TrainError> {
        let past = history_size.map(HistoryImageProcessor::new).transpose();
        let past = past.map_err(|error| TrainError::Actor { problem: format!("its history: {error}") })?;
        let variables: Vec<Var> = lora.variables().map(|(_, variable)| variable.clone()).collect();
        let start = variables.iter().map(|variable| variable.as_detached_tensor().copy());
        let start = start.collect::<candle_core::Result<_>>()?;
        // torch's Adam, which is AdamW without decay.
        let adam = AdamW::new(AdamSettings { weight_decay: 0.0, ..AdamSettings::default() }, &variables)?;
        let gradients = GradientSums::new(variables);
        Ok(Self { model, lora, start, adam, gradients, past, base, episodes: table.all_frames().to_vec() })
    }

    /// The names of the LoRA's tensors in PEFT's files.
    pub fn names(&self) -> Vec<String> {
        self.lora.variables().map(|(name, _)| name).collect()
    }

    /// The gradient of each of the LoRA's tensors that was last passed on, in the order of [`names`](Self::names).
    pub fn gradients(&self) -> &[Option<Tensor>] {
        self.gradients.sums()
    }

    /// The LoRA as PEFT saves it.
    ///
    /// # Errors
    /// When the device refuses to hand out its numbers.
    pub fn adapter(&self) -> Result<AdapterFiles, TrainError> {
        Ok(self.lora.files(&self.base)?)
    }

    /// What the heads see of an observation, and what [`pass_back`](Self::pass_back) needs.
    pub(super) fn see_to_learn(&mut self, observed: &Observed) -> Result<(Seen, ForwardPass), TrainError> {
        let newest_first = self.newest_first(observed)?;
        let sight = self.model.see(&self.frame(observed.frame)?, observed.velocity)?;
        let (hidden_states, passed) = self.model.forward(&sight)?;
        Ok((Seen { hidden_states, newest_first }, passed))
    }

    /// Begins new gradients.
    pub(super) fn forget_gradients(&mut self) {
        self.gradients.clear();
    }

    /// Adds what the gradients of an observation's hidden states, f32 `[seq, hidden]` each, pass on to the LoRA.
    pub(super) fn pass_back(&mut self, passed: ForwardPass, of_states: &[Tensor; 4]) -> Result<(), TrainError> {
        let Self { model, gradients, .. } = self;
        Ok(model.backward(passed, of_states, &mut |found| gradients.add(found))?)
    }

    /// The gradients' sum of squares.
    pub(super) fn square_sum(&self) -> Result<f64, TrainError> {
        Ok(self.gradients.norm()?.powi(2))
    }

    /// Moves the LoRA against its gradients.
    pub(super) fn step(&mut self, adam: AdamStep) -> Result<(), TrainError> {
        let Self { adam: averages, gradients, .. } = self;
        let (rate, clip) = (adam.learning_rate(), f64::from(adam.clip()));
        averages.step(gradients.variables(), gradients.sums(), rate, clip)?;
        gradients.clear();
        Ok(())
    }

    pub(crate) fn state(&self) -> LoraState {
        let now = self.gradients.variables().iter().map(Var::as_detached_tensor).collect();
        LoraState { now, start: self.start.clone(), moments: self.adam.moments().map(<[Tensor]>::to_vec) }
    }

    /// Goes on from what [`state`](Self::state) said, behind `steps` steps of Adam.
    pub(crate) fn restore(&mut self, state: LoraState, steps: u64) -> Result<(), TrainError> {
        let LoraState { now, start, moments: [first, second] } = state;
        let device = self.model.device().clone();
        let here = |tensors: Vec<Tensor>| {
            tensors.iter().map(|tensor| tensor.to_device(&device)).collect::<candle_core::Result<Vec<_>>>()
        };
        self.put(&here(now)?)?;
        self.start = here(start)?;
        Ok(self.adam.resume(steps, [here(first)?, here(second)?])?)
    }

    /// Exchanges the LoRA's numbers for others; those that it had.
    pub(super) fn exchange(&self, values: &[Tensor]) -> Result<Vec<Tensor>, TrainError> {
        let before = self.gradients.variables().iter().map(|variable| variable.as_detached_tensor().copy());
        let before = before.collect::<candle_core::Result<_>>()?;
        self.put(values)?;
        Ok(before)
    }

    /// The numbers that the training began with.
    pub(super) fn start(&self) -> &[Tensor] {
        &self.start
    }

    fn put(&self, values: &[Tensor]) -> Result<(), TrainError> {
        let mut variables = self.gradients.variables().iter().zip(values);
        Ok(variables.try_for_each(|(variable, value)| variable.set(value))?)
    }

    /// Pixels of the frames before.
    fn newest_first(&mut self, observed: &Observed) -> Result<Vec<Tensor>, TrainError> {
        let frames = observed.newest_first.iter().map(|of| self.frame(*of)).collect::<Result<Vec<_>, _>>()?;
        let Some(past) = &mut self.past else { return Ok(Vec::new()) };
        let (side, device) = (past.size() as usize, self.model.device().clone());
        let pixels = |frame: &Frame| Tensor::from_vec(past.process(frame), (3, side, side), &device);
        Ok(frames.iter().map(pixels).collect::<candle_core::Result<_>>()?)
    }

    fn frame(&self, of: FrameRef) -> Result<Frame, TrainError> {
        let missing = || TransitionError::Frame {
            number: of.number.0,
            episode: of.episode.to_string(),
            problem: LoggedFrameError::NoEpisode,
        };
        Ok(self.episodes.get(of.episode).ok_or_else(missing)?.read(of.number)?)
    }
}

impl ObservationSource for LearningView {
    fn see(&mut self, observations: &[&Observed]) -> Result<Vec<Seen>, TrainError> {
        let see = |observed: &&Observed| {
            let newest_first = self.newest_first(observed)?;
            let sight = self.model.see(&self.frame(observed.frame)?, observed.velocity)?;
            Ok(Seen { hidden_states: self.model.hidden_states(&sight)?, newest_first })
        };
        observations.iter().map(see).collect()
    }
}
