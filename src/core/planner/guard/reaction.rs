//! What the guard answers.

use super::{Reason, State};
use crate::planner::envelope::Enveloped;

/// The answer to an event.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reaction {
    /// What to do about the planner.
    pub instruction: Instruction,
    /// Empty the history ring, for this reason. A decision in flight is dropped by the guard when it comes back.
    pub reset_history: Option<Reason>,
    /// The state that was entered, to be logged.
    pub transition: Option<Transition>,
}

impl Reaction {
    /// Two reactions to one event: the later instruction and transition count, unless there is none.
    #[must_use]
    pub(super) fn then(self, then: Self) -> Self {
        let from = self.transition.as_ref().map(|transition| transition.from);
        let transition =
            then.transition.or(self.transition).map(|later| Transition { from: from.unwrap_or(later.from), ..later });
        Self {
            instruction: if then.instruction == Instruction::Nothing { self.instruction } else { then.instruction },
            reset_history: then.reset_history.or(self.reset_history),
            transition,
        }
    }
}

/// What to do about the planner.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Instruction {
    /// The event changed nothing about the parameters.
    #[default]
    Nothing,
    /// Something is wrong, or the operator said so: the planner keeps what it has.
    Hold,
    /// A valid decision.
    Decision {
        /// To publish.
        parameters: Enveloped,
        /// Whether to set them on the planner too.
        set: bool,
    },
    /// The safe defaults, once an excursion.
    SafeDefaults {
        /// To publish.
        parameters: Enveloped,
        /// Whether to set them on the planner too.
        set: bool,
    },
}

/// A change of state.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The state that was left.
    pub from: State,
    /// The state that was entered.
    pub to: State,
    /// Why.
    pub reason: Reason,
}
