//! A training on disk: what `--resume` takes up again, to the last bit.

use std::path::Path;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::heads::{HeadTraining, HeadsOrigin};
use super::{
    ActionSpace, CriticMoments, Learner, Learns, Mlp, Moments, NamedTensor, Optimizer, Progress, ReplayBuffer,
    TrainConfig, TrainError, Training, TwinCritic,
};
use planner_tuner_model::checkpoint::{CheckpointError, SavedState, StateDict, StateFormat};

const FORMAT: StateFormat = StateFormat { prefix: "training_state", format: "vlm_planner_tuner training 1" };

/// The file beside the tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rest {
    /// Updates so far; the policy of that moment is `policy_step_N`.
    step: u64,
    /// Steps of Adam: the actor's, the critic's.
    adam_steps: [u64; 2],
    /// Of the logs that were learned from.
    logs: String,
    config: TrainConfig,
    progress: Progress,
    /// Where heads learn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heads: Option<HeadsOrigin>,
    /// Whether a LoRA learns in front of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lora: bool,
}

/// A training as it was saved.
#[derive(Debug, Clone)]
pub struct SavedTraining(SavedState<Rest>);

impl Training {
    /// Writes everything that is needed to go on into a folder, at one instant. `logs` says what was learned from, so
    /// that going on with other logs is noticed.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] when it cannot be written; what was saved before is then still there.
    pub fn save(&self, folder: &Path, logs: &str) -> Result<(), TrainError> {
        let learner = self.learner();
        let rest = Rest {
            step: self.iteration(),
            adam_steps: [learner.actor_optimizer().steps(), learner.critic_optimizer().steps()],
            logs: logs.to_owned(),
            config: self.config().clone(),
            progress: self.progress().clone(),
            heads: self.head_training().map(|heads| heads.origin().clone()),
            lora: self.learns() == Learns::Lora,
        };
        let tensors = StateDict::new(tensors(learner, self.start_actor(), self.head_training())?)?;
        Ok(FORMAT.save(folder, &tensors, &rest)?)
    }
}

impl SavedTraining {
    /// Finds what was saved in a folder.
    ///
    /// # Errors
    /// [`TrainError::NothingToResume`] when there is nothing; what cannot be read of it.
    pub fn open(folder: &Path) -> Result<Self, TrainError> {
        let saved = FORMAT.open(folder)?;
        saved.map(Self).ok_or_else(|| TrainError::NothingToResume { folder: folder.to_owned() })
    }

    /// Updates that were done.
    pub fn step(&self) -> u64 {
        self.0.rest.step
    }

    /// The settings that it began with.
    pub fn config(&self) -> &TrainConfig {
        &self.0.rest.config
    }

    /// What it learned from.
    pub fn logs(&self) -> &str {
        &self.0.rest.logs
    }

    /// What learned.
    pub fn learns(&self) -> Learns {
        match (self.heads().is_some(), self.0.rest.lora) {
            (false, _) => Learns::Actor,
            (true, false) => Learns::Heads,
            (true, true) => Learns::Lora,
        }
    }

    /// What the heads were begun with, where they learn.
    pub fn heads(&self) -> Option<&HeadsOrigin> {
        self.0.rest.heads.as_ref()
    }

    /// Goes on under the settings it began with (how long it lasts may be another), with steps that were read again.
    /// Where heads learned, they are passed in again, with what they look at, and take up their saved values.
    ///
    /// # Errors
    /// When a tensor is missing or of another shape; [`TrainError::NothingToLearn`]; [`TrainError::OtherMode`] and
    /// [`TrainError::OtherModel`] when the heads are not those of the training.
    pub fn resume(
        self,
        config: TrainConfig,
        space: ActionSpace,
        buffer: ReplayBuffer,
        mut heads: Option<HeadTraining>,
    ) -> Result<Training, TrainError> {
        let (begun, asked) = (self.learns(), heads.as_ref().map_or(Learns::Actor, HeadTraining::mode));
        if begun != asked {
            return Err(TrainError::OtherMode { begun: begun.name(), asked: asked.name() });
        }
        if let (Some(heads), Some(begun)) = (&mut heads, self.heads()) {
            if heads.origin().model != begun.model {
                let (begun, found) = (begun.model.clone(), heads.origin().model.clone());
                return Err(TrainError::OtherModel { begun, found });
            }
            heads.restore(|group, name, shape| self.values(&format!("{group}.{name}"), shape))?;
            let [actor_steps, _] = self.0.rest.adam_steps;
            heads.restore_lora(actor_steps, |name| Ok(self.0.tensors.read(name, &Device::Cpu)?))?;
        }
        let (feature, actions) = (buffer.feature_length(), space.len());
        let sizes = [feature, actions];
        let read = |prefix: &str, name: &str, shape: &[usize]| self.values(&format!("{prefix}.{name}"), shape);
        let actor = |prefix: &str| Mlp::load(&sizes, "fc", |name, shape| read(prefix, name, shape));
        let critic = |prefix: &str| TwinCritic::load(feature, actions, |name, shape| read(prefix, name, shape));
        let (actors, critics) =
            ([actor("actor")?, actor("actor_target")?], [critic("critic")?, critic("critic_target")?]);
        let [actor_steps, critic_steps] = self.0.rest.adam_steps;
        let [first, second] = [actor("actor_adam.first")?, actor("actor_adam.second")?].map(Mlp::into_values);
        let of_actor = Optimizer::after(actor_steps, Moments { first, second });
        let [first, second] =
            [critic("critic_adam.first")?, critic("critic_adam.second")?].map(TwinCritic::into_numbers);
        let of_critic = Optimizer::after(critic_steps, CriticMoments::new(first, second));
        let learner = Learner::from_networks(config.learner(), space, actors, critics).after(
            self.0.rest.step,
            of_actor,
            of_critic,
        );
        let start = actor("start")?;
        let training = Training::go_on(config, learner, start, self.0.rest.progress.clone(), buffer)?;
        Ok(training.with_heads(heads))
    }

    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, TrainError> {
        let tensor = self.0.tensors.read(name, &Device::Cpu)?;
        if tensor.dims() != shape {
            let what = format!("tensor '{name}' has shape {:?}, expected {shape:?}", tensor.dims());
            return Err(CheckpointError::malformed(&self.0.path, what).into());
        }
        Ok(tensor.flatten_all()?.to_vec1()?)
    }
}

/// All numbers of a learner and its heads under names that say what they are.
fn tensors(learner: &Learner, start: &Mlp, heads: Option<&HeadTraining>) -> Result<Vec<(String, Tensor)>, TrainError> {
    let (actor, critic) = (learner.actor(), learner.critic());
    let (of_actor, of_critic) = (learner.actor_optimizer().moments(), learner.critic_optimizer().moments());
    let groups: [(&str, Vec<NamedTensor<'_>>); 9] = [
        ("start", start.named("fc")),
        ("actor", actor.named("fc")),
        ("actor_target", learner.actor_target().named("fc")),
        ("critic", critic.named()),
        ("critic_target", learner.critic_target().named()),
        ("actor_adam.first", actor.split(&of_actor.first, "fc")),
        ("actor_adam.second", actor.split(&of_actor.second, "fc")),
        ("critic_adam.first", critic.split(of_critic.first())),
        ("critic_adam.second", critic.split(of_critic.second())),
    ];
    let mut all = Vec::new();
    for (group, tensors) in groups.into_iter().chain(heads.into_iter().flat_map(HeadTraining::state)) {
        for NamedTensor { name, shape, values } in tensors {
            all.push((format!("{group}.{name}"), Tensor::from_slice(values, shape, &Device::Cpu)?));
        }
    }
    for (name, tensor) in heads.into_iter().flat_map(HeadTraining::lora_state) {
        all.push((name, tensor.to_device(&Device::Cpu)?));
    }
    Ok(all)
}
