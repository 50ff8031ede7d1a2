//! A training on disk: the checkpoint that it is for, and the state that `--resume` goes on from, to the last bit.

use std::path::Path;

use candle_core::{Device, Tensor};
use planner_tuner_model::checkpoint::{SavedState, StateDict, StateFormat, SupervisedFiles};
use serde::{Deserialize, Serialize};

use crate::training::Progress;
use crate::{FinetuneError, FinetuneSettings, Finetuning, Learner, Material};

const FORMAT: StateFormat = StateFormat { prefix: "finetune_state", format: "vlm_planner_tuner finetune 1" };

/// What a saved tensor is: a number that learns, or one of its averages.
const GROUPS: [&str; 3] = ["value", "adam.first", "adam.second"];

/// The file beside the tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rest {
    adam_steps: u64,
    /// Of data, model and options: a training only goes on with the same.
    origin: String,
    settings: FinetuneSettings,
    progress: Progress,
}

/// A training as it was saved.
#[derive(Debug)]
pub struct SavedFinetuning(SavedState<Rest>);

impl Finetuning {
    /// Writes everything that is needed to go on into a folder, at one instant. `origin` says what it was begun with.
    ///
    /// # Errors
    /// When it cannot be written; what was saved before is then still there.
    pub fn save(&self, folder: &Path, origin: &str) -> Result<(), FinetuneError> {
        let adam = self.learner().adam();
        let rest = Rest {
            adam_steps: adam.steps(),
            origin: origin.to_owned(),
            settings: self.settings().clone(),
            progress: self.progress().clone(),
        };
        let [values, first, second] = GROUPS;
        let [firsts, seconds] = adam.moments();
        let mut tensors = Vec::new();
        let named = self.learner().variables().zip(firsts.iter().zip(seconds));
        for ((name, variable), (of_gradient, of_square)) in named {
            let numbers = [(values, &variable.as_detached_tensor()), (first, of_gradient), (second, of_square)]
                .map(|(group, tensor)| Ok((format!("{group}.{name}"), tensor.to_device(&Device::Cpu)?)));
            tensors.extend(numbers.into_iter().collect::<candle_core::Result<Vec<_>>>()?);
        }
        Ok(FORMAT.save(folder, &StateDict::new(tensors)?, &rest)?)
    }

    /// What was learned, as a supervised checkpoint. `base` is noted as the model it belongs to, `prompt_json` is the wording
    /// that it was shown.
    ///
    /// # Errors
    /// When the device refuses to hand out its numbers.
    pub fn checkpoint(&self, base: &str, prompt_json: String) -> Result<SupervisedFiles, FinetuneError> {
        let learner = self.learner();
        let (regression_head, history_encoder) = learner.heads().state_dicts()?;
        Ok(SupervisedFiles {
            adapter: learner.lora().files(base)?,
            regression_head,
            history: learner.heads().history().cloned().zip(history_encoder),
            normalization: self.material().scale.normalization().clone(),
            prompt_json,
            others: Vec::new(),
        })
    }
}

impl SavedFinetuning {
    /// Finds what was saved in a folder; `None` where nothing was.
    ///
    /// # Errors
    /// What cannot be read of it.
    pub fn open(folder: &Path) -> Result<Option<Self>, FinetuneError> {
        Ok(FORMAT.open(folder)?.map(Self))
    }

    /// Epochs and steps that were done.
    pub fn done(&self) -> (u64, u64) {
        (self.0.rest.progress.epoch, self.0.rest.progress.step)
    }

    /// Goes on with the same data and networks, up to `epochs` epochs.
    ///
    /// # Errors
    /// [`FinetuneError::OtherTraining`] when it was begun with something else; when a tensor is missing or mis-shaped.
    pub fn resume(
        self,
        (settings, origin): (FinetuneSettings, &str),
        material: Material,
        learner: Learner,
    ) -> Result<Finetuning, FinetuneError> {
        let begun =
            FinetuneSettings { epochs: settings.epochs, patience: settings.patience, ..self.0.rest.settings.clone() };
        if self.0.rest.origin != origin || begun != settings {
            return Err(FinetuneError::OtherTraining { path: self.0.path });
        }
        let names: Vec<String> = learner.variables().map(|(name, _)| name.to_owned()).collect();
        let device = learner.device().clone();
        let group = |group: &str| -> Result<Vec<Tensor>, FinetuneError> {
            names.iter().map(|name| Ok(self.0.tensors.read(&format!("{group}.{name}"), &device)?)).collect()
        };
        let [values, first, second] = GROUPS;
        let (values, moments) = (group(values)?, [group(first)?, group(second)?]);
        let mut training = Finetuning::new(settings, material, learner, self.0.rest.progress)?;
        training.learner_mut().resume(&values, self.0.rest.adam_steps, moments)?;
        Ok(training)
    }
}
