//! What the inference thread asks for decisions.

use std::path::Path;

use crate::feature::FeatureError;
use crate::numbers::NumbersError;
use crate::planner::guard::Failure;
use crate::policy::PolicyChange;
use crate::tuner::{DecisionModel, PolicyLoader, StagedPolicy, Tuner, TunerError};
use crate::weights::WeightError;

/// What the inference thread asks for decisions, and whose policy it replaces. [`Tuner`] is the one that robots use.
pub trait Decider: DecisionModel {
    /// Puts another policy in place of the one in use, if it fits the model; otherwise that one stays.
    ///
    /// # Errors
    /// As [`Tuner::reload_policy`].
    fn reload_policy(&mut self, policy: &Path) -> Result<(), TunerError>;

    /// What loads policies for this model; `None` for one that cannot change its policy.
    fn policy_loader(&self) -> Option<PolicyLoader> {
        None
    }

    /// Tries a policy on frames, without taking it.
    ///
    /// # Errors
    /// As [`Tuner::examine`].
    fn examine(&self, policy: &StagedPolicy) -> Result<PolicyChange, TunerError> {
        let (policy, reason) = (policy.path().display().to_string(), "this model has no policy".into());
        Err(TunerError::PolicyMismatch { policy, reason })
    }

    /// Puts a policy that has been examined in place of the one in use.
    fn swap_policy(&mut self, _: StagedPolicy) {}
}

impl Decider for Tuner {
    fn reload_policy(&mut self, policy: &Path) -> Result<(), TunerError> {
        let change = Tuner::reload_policy(self, policy)?;
        log::info!("policy {}: {change}", policy.display());
        Ok(())
    }

    fn policy_loader(&self) -> Option<PolicyLoader> {
        Some(Tuner::policy_loader(self))
    }

    fn examine(&self, policy: &StagedPolicy) -> Result<PolicyChange, TunerError> {
        Tuner::examine(self, policy)
    }

    fn swap_policy(&mut self, policy: StagedPolicy) {
        Tuner::swap_policy(self, policy);
    }
}

/// Why there is no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LoadError {
    /// All that is wrong, in words.
    pub message: String,
    /// Whether the files are in order and the machine is too small: a robot is then kept safe, in place of left alone.
    pub out_of_memory: bool,
}

impl From<TunerError> for LoadError {
    fn from(error: TunerError) -> Self {
        use crate::vision_language::ModelError;
        let memory = |error: &WeightError| matches!(error, WeightError::Memory { .. });
        let out_of_memory = match &error {
            TunerError::Weights(error) | TunerError::Model(ModelError::Weights(error)) => memory(error),
            _ => false,
        };
        Self { message: error.to_string(), out_of_memory }
    }
}

/// What a failed decision means for the guard.
pub(super) fn failure(error: &TunerError) -> Failure {
    let message = error.to_string();
    if let TunerError::Feature(FeatureError::Numbers(NumbersError::NotFinite { stage, .. })) = error {
        return Failure::NotFinite { stage: stage_name(stage) };
    }
    if device_lost(error) {
        return Failure::ModelLost { message };
    }
    let stage = match error {
        TunerError::Processor(_) => "processor",
        TunerError::Model(_) => "model",
        TunerError::Feature(_) | TunerError::Normalization { .. } => "heads",
        TunerError::Planner(_) => "planner",
        _ => "tensor",
    };
    Failure::Failed { stage, message }
}

fn stage_name(stage: &str) -> &'static str {
    const KNOWN: [&str; 5] = ["hidden state", "history vector", "feature", "regression", "action"];
    KNOWN.into_iter().find(|known| stage.starts_with(known)).unwrap_or("model")
}

/// A GPU that is lost or full does not come back by asking again.
fn device_lost(error: &TunerError) -> bool {
    use crate::vision_language::ModelError;
    let tensor = match error {
        TunerError::Tensor(error)
        | TunerError::Model(ModelError::Tensor(error))
        | TunerError::Feature(FeatureError::Tensor(error)) => error,
        _ => return false,
    };
    let mut inner = tensor;
    loop {
        inner = match inner {
            candle_core::Error::Cuda(_) => return true,
            candle_core::Error::WithBacktrace { inner, .. }
            | candle_core::Error::WithPath { inner, .. }
            | candle_core::Error::Context { inner, .. } => inner,
            _ => return false,
        };
    }
}
