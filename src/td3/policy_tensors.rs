//! Between a policy's files and the layer that is trained.

use candle_core::{DType, Device, Tensor};

use super::heads::LearningHeads;
use super::{ActorChange, ActorOn, Learns, LogSummary, Mlp, TrainError, Training};
use planner_tuner_core::planner::{ParameterSpec, PlannerSpec};
use planner_tuner_model::checkpoint::{PolicyOrigin, PolicySet, StateDict, VlmInfo};

/// Name of the actor's layer in a policy.
const FC: &str = "fc";

/// The actor's layer of a policy.
///
/// # Errors
/// [`TrainError::Actor`] when it is missing or not that of this planner.
pub fn actor_of(policy: &StateDict, planner: &PlannerSpec) -> Result<Mlp, TrainError> {
    let wrong = |problem: String| TrainError::Actor { problem };
    let dims = policy.get("fc.weight").map(Tensor::dims).unwrap_or_default();
    let &[actions, feature] = dims else {
        return Err(wrong(format!("fc.weight has shape {dims:?}, expected [parameters, feature]")));
    };
    let parameters = planner.parameters().len();
    if actions != parameters {
        return Err(wrong(format!("it gives {actions} numbers, {} has {parameters} parameters", planner.name())));
    }
    Mlp::load(&[feature, actions], FC, |name, shape| {
        let tensor = policy.get(name).filter(|tensor| tensor.dims() == shape);
        let tensor = tensor.ok_or_else(|| wrong(format!("there is no {name} of shape {shape:?}")))?;
        let values: Vec<f32> = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        if values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            Err(wrong(format!("{name} holds non-finite values")))
        }
    })
}

/// The policy that a training began with, all that learns replaced by what it is now: the actor's layer, the heads and the
/// adapter where they learn. All other tensors stay bit for bit. After heads have learned, the features are another extractor's,
/// whose id the caller has to fill in.
///
/// # Errors
/// [`TrainError::Checkpoint`], [`TrainError::Tensor`].
pub fn trained_policy(
    start: &PolicySet,
    training: &Training,
    planner: &PlannerSpec,
    logs: &LogSummary,
) -> Result<PolicySet, TrainError> {
    let mut learned = training.learner().actor().named(FC);
    learned.extend(training.heads().into_iter().flat_map(LearningHeads::named));
    let replaced = |(name, tensor): (&str, &Tensor)| {
        let trained = learned.iter().find(|trained| trained.name == name);
        let tensor = match trained {
            Some(trained) => Tensor::from_slice(trained.values, trained.shape.as_slice(), &Device::Cpu)?,
            None => tensor.clone(),
        };
        Ok((name.to_owned(), tensor))
    };
    let tensors = start.actor.iter().map(replaced).collect::<candle_core::Result<Vec<_>>>()?;
    let one = |names: &std::collections::BTreeSet<String>| names.iter().next().filter(|_| names.len() == 1).cloned();
    let mut summary = serde_json::Map::new();
    summary.insert("train".to_owned(), training.learns().name().into());
    summary.insert("updates".to_owned(), training.iteration().into());
    summary.insert("skipped_updates".to_owned(), training.skipped().into());
    summary.insert("reward_scale".to_owned(), training.reward_scale().into());
    summary.insert("config".to_owned(), serde_json::to_value(training.config()).unwrap_or_default());
    summary.insert("log_steps".to_owned(), logs.steps.into());
    summary.insert("logs_sha256".to_owned(), logs.digest.clone().into());
    let policies: Vec<_> = logs.policies.iter().cloned().collect();
    summary.insert("logged_policies".to_owned(), policies.into());
    Ok(PolicySet {
        actor: StateDict::new(tensors)?,
        noise: Some(training.exploration_noise()),
        vlm_info: start
            .vlm_info
            .clone()
            .map(|info| VlmInfo { vlm_trainable: info.vlm_trainable || training.learns() == Learns::Lora, ..info }),
        step: Some(training.iteration()),
        origin: PolicyOrigin {
            planner: Some(planner.name().to_owned()),
            parameters: planner
                .parameters()
                .iter()
                .map(|parameter| ParameterSpec::name(parameter).to_owned())
                .collect(),
            extractor: one(&logs.extractors),
            summary,
        },
        lora_adapter: match training.view() {
            Some(view) => Some(view.adapter()?),
            None => start.lora_adapter.clone(),
        },
    })
}

/// What a training changed on what was logged: on all features, or, where heads have learned, on the features of evenly
/// spread steps under the old heads and under the new.
///
/// # Errors
/// [`TrainError::Tensor`]; when an observation cannot be seen.
pub fn changes_of(training: &mut Training) -> Result<Changes, TrainError> {
    let seen = training.old_and_new_features()?;
    let learner = training.learner();
    let logged = training.sampler().buffer().features();
    let width = learner.actor().inputs().max(1);
    let (old, new) = seen.as_ref().map_or((logged, logged), |[old, new]| (old, new));
    let old = ActorOn { actor: training.start_actor(), features: old };
    let new = ActorOn { actor: learner.actor(), features: new };
    Ok(Changes { steps: old.features.len() / width, parameters: super::compare_actors(learner.space(), old, new)? })
}

/// The old actor beside the new one.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// Logged steps that were looked at.
    pub steps: usize,
    /// What changed, parameter by parameter.
    pub parameters: Vec<ActorChange>,
}
