//! What an operator can ask for.

use vlm_planner_tuner::live::PolicyRefusal;

/// A request of the operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// Set parameters on the planner; switched off, decide nothing.
    Enable(bool),
    /// Hold the current parameters.
    Hold(bool),
    /// Forget the past frames.
    ResetHistory,
    /// Take the policy files as they are now.
    ReloadPolicy,
}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDone {
    /// A costmap sees nothing.
    #[error("{costmap}; nothing is set until it sees")]
    Blind {
        /// Which one, and why.
        costmap: String,
    },
    /// There is no policy to reload.
    #[error("no policy is in use; set the parameter policy and restart")]
    NoPolicy,
    /// One thing after the other.
    #[error("a model or policy is being loaded; try again")]
    Loading,
    /// The policy that was found is not taken.
    #[error("the policy in use stays: {0}")]
    Refused(#[from] PolicyRefusal),
}

/// What was done about a request, in words.
pub(super) type Outcome = Result<String, NotDone>;
