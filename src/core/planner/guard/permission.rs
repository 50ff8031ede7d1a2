//! What may be done to the planner: the operator's word, and a planner that fails.

use super::Mode;

/// Who allows what.
#[derive(Debug, Clone)]
pub(super) struct Permission {
    mode: Mode,
    operator_holds: bool,
    /// The planner must be left alone until the operator enables again.
    planner_failing: bool,
}

impl Permission {
    pub(super) fn new(mode: Mode) -> Self {
        Self { mode, operator_holds: false, planner_failing: false }
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether nothing is decided.
    pub(super) fn is_disabled(&self) -> bool {
        self.mode == Mode::Disabled
    }

    /// Whether parameters are set.
    pub(super) fn sets(&self) -> bool {
        self.mode == Mode::Active && !self.planner_failing
    }

    pub(super) fn operator_holds(&self) -> bool {
        self.operator_holds
    }

    pub(super) fn planner_failing(&self) -> bool {
        self.planner_failing
    }

    /// The operator holds, or no longer; whether that is new.
    pub(super) fn hold(&mut self, hold: bool) -> bool {
        std::mem::replace(&mut self.operator_holds, hold) != hold
    }

    /// The planner fails; whether that is new.
    pub(super) fn give_up_on_planner(&mut self) -> bool {
        !std::mem::replace(&mut self.planner_failing, true)
    }

    /// The operator changes the mode; whether that is new. Active forgives a planner that failed.
    pub(super) fn change_mode(&mut self, mode: Mode) -> bool {
        if mode == Mode::Active {
            self.planner_failing = false;
        }
        std::mem::replace(&mut self.mode, mode) != mode
    }
}
