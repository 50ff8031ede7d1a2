//! How patient, and how insistent, the setting of parameters is.

use std::time::Duration;

/// What to do when somebody else changed a parameter of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Leave theirs until the operator enables again or the planner restarts.
    Yield,
    /// Set ours again.
    Insist,
    /// Set nothing any more.
    Stop,
}

/// Limits on calls to one node.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplierLimits {
    /// How long a call may take.
    pub call_timeout: Duration,
    /// Sets a second at most: each runs the planner's callbacks beside its control loop.
    pub apply_rate: f64,
    /// A change smaller than this fraction of the parameter's range is not set.
    pub hysteresis: f64,
    /// Time between two read-backs. Half of the second within which parameters are set again after a respawn.
    pub poll_interval: Duration,
    /// What to do about others' changes.
    pub on_conflict: OnConflict,
    /// A planner that goes away this soon after a set is taken to have died of it.
    pub death_window: Duration,
    /// This many deaths within [`Self::deaths_within`] end the setting.
    pub deaths: usize,
    /// See [`Self::deaths`].
    pub deaths_within: Duration,
}

impl Default for ApplierLimits {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_millis(300),
            apply_rate: 2.0,
            hysteresis: 0.02,
            poll_interval: Duration::from_millis(500),
            on_conflict: OnConflict::Yield,
            death_window: Duration::from_secs(2),
            deaths: 2,
            deaths_within: Duration::from_secs(60),
        }
    }
}

/// A limit that cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field} is {found}, expected {expected}")]
pub struct ApplierLimitsError {
    /// The limit.
    pub field: &'static str,
    /// What was given.
    pub found: String,
    /// What would do.
    pub expected: &'static str,
}

impl ApplierLimits {
    /// Checks the limits as a whole.
    ///
    /// # Errors
    /// [`ApplierLimitsError`] naming the first limit that cannot be.
    pub fn check(&self) -> Result<(), ApplierLimitsError> {
        let seconds = |duration: Duration| format!("{} s", duration.as_secs_f64());
        let second = Duration::from_millis(10)..=Duration::from_secs(1);
        let minutes = Duration::from_millis(10)..=Duration::from_secs(3600);
        let problem = if !second.contains(&self.call_timeout) {
            ("call_timeout", seconds(self.call_timeout), "0.01 to 1 s")
        } else if !second.contains(&self.poll_interval) {
            ("poll_interval", seconds(self.poll_interval), "0.01 to 1 s")
        } else if !(0.01..=20.0).contains(&self.apply_rate) {
            ("apply_rate", self.apply_rate.to_string(), "0.01 to 20 Hz")
        } else if !(0.0..=0.5).contains(&self.hysteresis) {
            ("hysteresis", self.hysteresis.to_string(), "a fraction of the range from 0 to 0.5")
        } else if !minutes.contains(&self.death_window) {
            ("death_window", seconds(self.death_window), "0.01 to 3600 s")
        } else if !minutes.contains(&self.deaths_within) {
            ("deaths_within", seconds(self.deaths_within), "0.01 to 3600 s")
        } else if self.deaths == 0 {
            ("deaths", self.deaths.to_string(), "at least 1")
        } else {
            return Ok(());
        };
        let (field, found, expected) = problem;
        Err(ApplierLimitsError { field, found, expected })
    }
}
