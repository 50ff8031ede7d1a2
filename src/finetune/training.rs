//! Epoch after epoch, with what has to be remembered in between.

use planner_tuner_core::random::{Random, SplitMix};
use planner_tuner_model::feature::HistoryImageProcessor;
use planner_tuner_model::vision_language::processor::ResizeError;
use serde::{Deserialize, Serialize};

use crate::data::shuffle;
use crate::known_examples::KnownExamples;
use crate::{Dataset, Example, FinetuneError, Learner, Schedule, Split, TargetScale, View, past_pixels};

/// Steps in a row without numbers that end a training.
const MOST_SKIPPED: u32 = 10;

/// How long and how fast is learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinetuneSettings {
    /// Times that every example is seen.
    pub epochs: u64,
    /// Examples that a step is taken for.
    pub batch: usize,
    /// The full learning rate.
    pub rate: f64,
    /// Share of all steps over which the rate rises.
    pub warm_up: f64,
    /// Whether the rate falls along a cosine afterwards.
    pub cosine: bool,
    /// Epochs without a better validation loss after which is stopped; `None` for none.
    pub patience: Option<u64>,
    /// Of everything random.
    pub seed: u64,
}

/// What is learned from.
#[derive(Debug)]
pub struct Material {
    /// All frames.
    pub data: Dataset,
    /// Which are learned from, which are held back.
    pub split: Split,
    /// The scale of the outputs.
    pub scale: TargetScale,
}

/// A training in progress.
#[derive(Debug)]
pub struct Finetuning {
    settings: FinetuneSettings,
    material: Material,
    learner: Learner,
    past: Option<HistoryImageProcessor>,
    known: KnownExamples,
    /// The examples of the current epoch.
    order: Vec<usize>,
    progress: Progress,
}

/// What is remembered from one step to the next, besides the numbers that learn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs that are complete.
    pub epoch: u64,
    /// Steps of the current one.
    pub step_of_epoch: u64,
    /// Steps so far, skipped ones included.
    pub step: u64,
    /// Steps that were skipped because loss or gradient was no finite number.
    pub skipped: u64,
    /// Of those, in a row up to now.
    pub skipped_in_a_row: u32,
    /// Sum of losses and absolute errors over the current epoch.
    sums: Sums,
    /// One point for each complete epoch.
    pub curve: Vec<EpochPoint>,
    /// Index of the point with the lowest validation loss (training loss where nothing is held back).
    pub best: Option<usize>,
}

/// Sums over examples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    loss: f64,
    absolute: Vec<f64>,
    examples: u64,
}

/// What an epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochPoint {
    /// From 1.
    pub epoch: u64,
    /// Learning rate of its last step.
    pub rate: f64,
    /// Mean loss of its examples, each before the step it was part of.
    pub train_loss: f64,
    /// Mean loss of what is held back, after it.
    pub validation_loss: Option<f64>,
    /// Mean absolute error of each output in its own unit, of the examples.
    pub train_mae: Vec<f64>,
    /// The same of what is held back.
    pub validation_mae: Option<Vec<f64>>,
}

/// What came of [`Finetuning::advance`].
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A step: its loss, the gradient's length, and whether the numbers moved.
    Step(crate::Step),
    /// The last step of an epoch, with the point of it and whether none was better.
    Epoch(EpochPoint, bool),
    /// Nothing is left to do.
    Done(Stop),
}

/// Why a training has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All epochs are done.
    Epochs,
    /// The validation loss has not fallen for as many epochs as allowed.
    Patience,
}

impl Finetuning {
    /// Begins, or goes on from what was saved of the same training.
    ///
    /// # Errors
    /// When history frames cannot have the size that the heads want.
    pub fn new(
        settings: FinetuneSettings,
        material: Material,
        learner: Learner,
        progress: Progress,
    ) -> Result<Self, FinetuneError> {
        let side = learner.heads().history().map(|config| config.history_image_size);
        let unfit = |error: ResizeError| FinetuneError::Heads { problem: error.to_string() };
        let past = side.map(HistoryImageProcessor::new).transpose().map_err(unfit)?;
        let order = order_of(&material.split.train, settings.seed, progress.epoch);
        Ok(Self { settings, material, learner, past, known: KnownExamples::default(), order, progress })
    }

    /// One step; at the end of an epoch also what is held back is looked at.
    ///
    /// # Errors
    /// [`FinetuneError::Diverged`] when ten steps in a row gave no numbers; when a picture cannot be read or an operation
    /// fails.
    pub fn advance(&mut self) -> Result<Event, FinetuneError> {
        if let Some(stop) = self.stop() {
            return Ok(Event::Done(stop));
        }
        let first = self.progress.step_of_epoch as usize * self.settings.batch;
        let batch: Vec<usize> = self.order.iter().copied().skip(first).take(self.settings.batch).collect();
        let mut loss = 0.0;
        for (number, item) in batch.iter().enumerate() {
            let example = self.example(*item)?;
            let place = self.progress.step << 20 | number as u64;
            let seed = SplitMix::new(self.settings.seed ^ place.rotate_left(17)).bits();
            let learned = self.learner.add_example(&example, batch.len(), Some(seed))?;
            loss += learned.loss;
            self.count(*item, learned.loss * batch.len() as f64, &learned.outputs);
        }
        let rate = self.schedule().rate_at(self.progress.step);
        let step = self.learner.step(loss, rate)?;
        self.progress.step += 1;
        self.progress.step_of_epoch += 1;
        self.note_skipped(&step)?;
        if first + batch.len() < self.order.len() {
            return Ok(Event::Step(step));
        }
        let point = self.end_epoch(rate)?;
        let is_best = self.progress.best == Some(self.progress.curve.len() - 1);
        Ok(Event::Epoch(point, is_best))
    }

    /// What was learned so far.
    pub fn learner(&self) -> &Learner {
        &self.learner
    }

    /// What is learned from.
    pub fn material(&self) -> &Material {
        &self.material
    }

    /// How is learned.
    pub fn settings(&self) -> &FinetuneSettings {
        &self.settings
    }

    /// The feature of a frame, with the numbers of now.
    ///
    /// # Errors
    /// When a picture cannot be read or an operation fails.
    pub fn feature(&mut self, item: usize) -> Result<Vec<f32>, FinetuneError> {
        let example = self.example(item)?;
        self.learner.feature(&example)
    }

    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Steps of all epochs.
    pub fn steps(&self) -> u64 {
        self.settings.epochs * self.steps_of_epoch()
    }

    /// Learner and material, to go on with another way.
    pub(crate) fn learner_mut(&mut self) -> &mut Learner {
        &mut self.learner
    }

    fn steps_of_epoch(&self) -> u64 {
        self.material.split.train.len().div_ceil(self.settings.batch.max(1)) as u64
    }

    fn schedule(&self) -> Schedule {
        let steps = self.steps();
        let warm_up = (steps as f64 * self.settings.warm_up).round() as u64;
        Schedule { rate: self.settings.rate, warm_up, steps, falls: self.settings.cosine }
    }

    fn stop(&self) -> Option<Stop> {
        if self.progress.epoch >= self.settings.epochs {
            return Some(Stop::Epochs);
        }
        let since = self.progress.best.map_or(0, |best| self.progress.curve.len() - 1 - best) as u64;
        let at_an_end = self.progress.step_of_epoch == 0;
        (at_an_end && self.settings.patience.is_some_and(|patience| since >= patience)).then_some(Stop::Patience)
    }

    /// A frame as the networks are shown it. Where the model in front of the heads does not learn, it looks at it once.
    fn example(&mut self, item: usize) -> Result<Example, FinetuneError> {
        if let Some(known) = self.known.get(item) {
            return Ok(known.clone());
        }
        let mut example = self.example_from_files(item)?;
        if !self.learner.learns().lora {
            example.view = View::States(self.learner.hidden_states(&example.view)?);
            self.known.keep(item, &example);
        }
        Ok(example)
    }

    fn example_from_files(&mut self, item: usize) -> Result<Example, FinetuneError> {
        let Self { material, learner, past, .. } = self;
        let data = &material.data;
        let frame = data.frame(item)?;
        let none = || FinetuneError::Data { path: "data".into(), problem: format!("there is no frame {item}") };
        let velocity = data.velocity(item).ok_or_else(none)?;
        let sight = learner.model_mut().see(&frame, velocity)?;
        let newest_first = match (past, learner.heads().history()) {
            (Some(past), Some(config)) => {
                let device = learner.device().clone();
                let side = past.size() as usize;
                let frames = data.history(item, &config.history_offsets)?;
                let pixels = frames.iter().map(|frame| past_pixels(past.process(frame), side, &device));
                pixels.collect::<candle_core::Result<_>>()?
            }
            _ => Vec::new(),
        };
        let target = material.scale.normalization().normalise(data.values(item));
        Ok(Example { view: View::Sight(sight), newest_first, target })
    }

    fn count(&mut self, item: usize, loss: f64, outputs: &[f32]) {
        let errors = self.absolute_errors(item, outputs);
        self.progress.sums.add(loss, &errors);
    }

    /// Of each output in its own unit.
    fn absolute_errors(&self, item: usize, outputs: &[f32]) -> Vec<f64> {
        let said = self.material.scale.normalization().denormalise(outputs);
        let values = self.material.data.values(item);
        said.iter().zip(values).map(|(said, value)| (f64::from(*said) - value).abs()).collect()
    }

    fn note_skipped(&mut self, step: &crate::Step) -> Result<(), FinetuneError> {
        if step.moved {
            self.progress.skipped_in_a_row = 0;
            return Ok(());
        }
        self.progress.skipped += 1;
        self.progress.skipped_in_a_row += 1;
        log::warn!("step {} is skipped: its loss or gradient is not finite", self.progress.step);
        match self.progress.skipped_in_a_row {
            skipped if skipped >= MOST_SKIPPED => Err(FinetuneError::Diverged { skipped, step: self.progress.step }),
            _ => Ok(()),
        }
    }

    fn end_epoch(&mut self, rate: f64) -> Result<EpochPoint, FinetuneError> {
        let (train_loss, train_mae) = std::mem::take(&mut self.progress.sums).means();
        let held_back = self.material.split.validation.clone();
        let mut sums = Sums::default();
        for item in held_back {
            let example = self.example(item)?;
            let outputs = self.learner.predict(&example)?;
            let squares = outputs.iter().zip(&example.target).zip(self.learner.output_weights());
            let loss = squares.map(|((output, target), weight)| f64::from((output - target).powi(2) * weight));
            let loss = loss.sum::<f64>() / outputs.len().max(1) as f64;
            let errors = self.absolute_errors(item, &outputs);
            sums.add(loss, &errors);
        }
        let validation = (sums.examples > 0).then(|| sums.means());
        let (validation_loss, validation_mae) = validation.unzip();
        self.progress.epoch += 1;
        self.progress.step_of_epoch = 0;
        self.order = order_of(&self.material.split.train, self.settings.seed, self.progress.epoch);
        let epoch = self.progress.epoch;
        let point = EpochPoint { epoch, rate, train_loss, validation_loss, train_mae, validation_mae };
        let lowest = self.progress.best.and_then(|best| self.progress.curve.get(best)).map(EpochPoint::judged);
        // NaN is never better.
        if lowest.is_none_or(|lowest| point.judged() < lowest) && point.judged().is_finite() {
            self.progress.best = Some(self.progress.curve.len());
        }
        self.progress.curve.push(point.clone());
        Ok(point)
    }
}

/// Examples in the order of an epoch, which depends on the seed and the epoch alone.
fn order_of(examples: &[usize], seed: u64, epoch: u64) -> Vec<usize> {
    let mut order = examples.to_vec();
    shuffle(&mut order, &mut Random::new(SplitMix::new(seed.wrapping_add(epoch)).bits()));
    order
}

impl EpochPoint {
    /// The loss that tells which epoch was the best.
    pub fn judged(&self) -> f64 {
        self.validation_loss.unwrap_or(self.train_loss)
    }
}

impl Sums {
    fn add(&mut self, loss: f64, errors: &[f64]) {
        self.loss += loss;
        self.absolute.resize(errors.len(), 0.0);
        self.absolute.iter_mut().zip(errors).for_each(|(sum, error)| *sum += error);
        self.examples += 1;
    }

    fn means(self) -> (f64, Vec<f64>) {
        let count = self.examples.max(1) as f64;
        (self.loss / count, self.absolute.iter().map(|sum| sum / count).collect())
    }
}
