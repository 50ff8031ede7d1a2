//! What an operator can ask for.

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

/// What became of a request, in words; `Err` when it was not done.
pub(super) type Outcome = Result<String, String>;
