//! What the operator sees.

use std::fmt;
use std::time::Duration;

use super::{Level, Reason};

/// The guard's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// No valid decision yet.
    Starting,
    /// Decisions are applied.
    Nominal,
    /// Something went wrong; the planner keeps the last good parameters until things are well again.
    Holding,
    /// Nothing valid for too long; the planner has its safe defaults.
    Safe,
    /// Decisions are made and published, nothing is set.
    Shadow,
    /// The operator switched deciding off.
    Disabled,
}

impl State {
    /// Name in messages and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Starting => "Starting",
            State::Nominal => "Nominal",
            State::Holding => "Holding",
            State::Safe => "Safe",
            State::Shadow => "Shadow",
            State::Disabled => "Disabled",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Decide and publish, set nothing.
    Shadow,
    /// Decide, publish and set.
    Active,
    /// Do not decide.
    Disabled,
}

impl Mode {
    /// Its name as a parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Shadow => "shadow",
            Mode::Active => "active",
            Mode::Disabled => "disabled",
        }
    }
}

/// The guard's state with everything an operator needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// What the operator sees: Shadow and Disabled cover what is below.
    pub state: State,
    /// How well the inputs and decisions do, whatever the mode: Starting, Nominal, Holding or Safe.
    pub health: State,
    /// The worst of state, reason and warnings.
    pub level: Level,
    /// Why the state is what it is.
    pub reason: Reason,
    /// What else is not as it should be.
    pub warnings: Vec<Reason>,
    /// Counted since the start.
    pub counts: Counts,
    /// Time since the last valid decision; `None` before the first.
    pub since_valid: Option<Duration>,
}

/// Events counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Frames that could be used.
    pub frames: u64,
    /// Frames that were refused: undecodable, or with an impossible stamp.
    pub frames_refused: u64,
    /// Frames that came twice.
    pub frames_repeated: u64,
    /// Frames that were too old when inference could have started, or had no velocity.
    pub not_admitted: u64,
    /// Valid decisions.
    pub decisions: u64,
    /// Decisions that failed or came too late to be used.
    pub decisions_failed: u64,
    /// Decisions dropped because the clock or the episode changed under them.
    pub decisions_dropped: u64,
    /// Times the safe defaults were called for.
    pub safe_defaults: u64,
}
