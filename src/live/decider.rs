//! What the inference thread asks for decisions.

use std::path::Path;

use crate::device::GpuFault;
use crate::feature::FeatureError;
use crate::numbers::NumbersError;
use crate::planner::guard::Failure;
use crate::policy::PolicyChange;
use crate::tuner::{DecisionModel, PolicyLoader, StagedPolicy, Tuner, TunerError};

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
    fn examine(&mut self, policy: &mut StagedPolicy) -> Result<PolicyChange, TunerError> {
        let (policy, reason) = (policy.path().display().to_string(), "this model has no policy".into());
        Err(TunerError::PolicyMismatch { policy, reason })
    }

    /// Puts a policy that has been examined in place of the one in use.
    fn swap_policy(&mut self, _: StagedPolicy) {}

    /// Makes what the first decision would have to make.
    ///
    /// # Errors
    /// As [`Tuner::warm_up`].
    fn warm_up(&mut self) -> Result<(), TunerError> {
        Ok(())
    }
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

    fn examine(&mut self, policy: &mut StagedPolicy) -> Result<PolicyChange, TunerError> {
        Tuner::examine(self, policy)
    }

    fn swap_policy(&mut self, policy: StagedPolicy) {
        Tuner::swap_policy(self, policy);
    }

    fn warm_up(&mut self) -> Result<(), TunerError> {
        Tuner::warm_up(self)
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
        Self { message: error.to_string(), out_of_memory: error.is_out_of_memory() }
    }
}

/// What a failure of the GPU means for the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aftermath {
    /// It is as good as before.
    GoesOn,
    /// It is loaded again, which frees the memory first.
    LoadedAgain,
    /// This process can use it no more.
    NeedsRestart,
}

impl Aftermath {
    pub(super) fn of(error: &TunerError) -> Self {
        match error.gpu_fault() {
            Some(GpuFault::OutOfMemory) => Self::LoadedAgain,
            Some(GpuFault::ContextLost) => Self::NeedsRestart,
            Some(GpuFault::Refused) | None => Self::GoesOn,
        }
    }
}

/// What a failed decision means for the guard.
pub(crate) fn failure(error: &TunerError) -> Failure {
    let message = error.to_string();
    if let TunerError::Feature(FeatureError::Numbers(NumbersError::NotFinite { stage, .. })) = error {
        return Failure::NotFinite { stage: stage_name(stage) };
    }
    if Aftermath::of(error) != Aftermath::GoesOn {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cuda(text: &str) -> TunerError {
        candle_core::Error::Cuda(text.to_owned().into()).into()
    }

    #[test]
    fn only_a_full_memory_is_worth_loading_again() {
        for (text, aftermath) in [
            ("CUDA_ERROR_OUT_OF_MEMORY", Aftermath::LoadedAgain),
            ("CUDA_ERROR_ILLEGAL_ADDRESS", Aftermath::NeedsRestart),
            ("CUDA_ERROR_NOT_FOUND", Aftermath::GoesOn),
        ] {
            assert_eq!(Aftermath::of(&cuda(text)), aftermath, "{text}");
            let is_lost = matches!(failure(&cuda(text)), Failure::ModelLost { .. });
            assert_eq!(is_lost, aftermath != Aftermath::GoesOn, "{text}");
        }
        assert_eq!(Aftermath::of(&TunerError::NoPolicy), Aftermath::GoesOn);
        assert!(LoadError::from(cuda("CUDA_ERROR_OUT_OF_MEMORY")).out_of_memory);
    }
}
