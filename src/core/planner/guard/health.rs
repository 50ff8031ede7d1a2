//! How well inputs and decisions do, and since when.

use std::time::Duration;

use super::{Moment, Reason, State};

/// Starting, Nominal, Holding or Safe, with what led there.
#[derive(Debug, Clone)]
pub(super) struct Health {
    state: State,
    reason: Reason,
    /// The last valid decision, or when waiting for it began.
    valid_at: Moment,
    any_valid: bool,
    good_in_a_row: u32,
    not_finite_in_a_row: u32,
    last_problem: Option<Reason>,
}

impl Health {
    /// Waits for the first decision from now on.
    pub(super) fn starting(now: Moment) -> Self {
        Self {
            state: State::Starting,
            reason: Reason::StartingUp,
            valid_at: now,
            any_valid: false,
            good_in_a_row: 0,
            not_finite_in_a_row: 0,
            last_problem: None,
        }
    }

    /// Waits for a decision as at the start. That there were valid ones is not forgotten.
    pub(super) fn start_again(&mut self, now: Moment) {
        *self = Self { any_valid: self.any_valid, ..Self::starting(now) };
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn reason(&self) -> &Reason {
        &self.reason
    }

    /// Time since the last valid decision; `None` before the first.
    pub(super) fn since_valid(&self, now: Moment) -> Option<Duration> {
        self.any_valid.then(|| self.waited(now))
    }

    /// Time since the last valid decision, or since waiting for it began.
    pub(super) fn waited(&self, now: Moment) -> Duration {
        now.since(self.valid_at)
    }

    /// What last went wrong since the last valid decision.
    pub(super) fn last_problem(&self) -> Option<&Reason> {
        self.last_problem.as_ref()
    }

    /// Another reason for the same state.
    pub(super) fn explain(&mut self, reason: Reason) {
        self.reason = reason;
    }

    /// Something is wrong that changes no state.
    pub(super) fn note(&mut self, problem: Reason) {
        self.last_problem = Some(problem);
    }

    /// A valid decision came. How many have come in a row.
    pub(super) fn valid(&mut self, now: Moment) -> u32 {
        (self.valid_at, self.any_valid) = (now, true);
        (self.not_finite_in_a_row, self.last_problem) = (0, None);
        self.good_in_a_row = self.good_in_a_row.saturating_add(1);
        self.good_in_a_row
    }

    /// Something went wrong: valid decisions are counted from the beginning.
    pub(super) fn problem(&mut self, problem: Reason) {
        self.good_in_a_row = 0;
        self.last_problem = Some(problem);
    }

    /// A decision failed; whether for numbers that are not finite. How many of these there have been in a row.
    pub(super) fn failed(&mut self, is_not_finite: bool) -> u32 {
        self.not_finite_in_a_row = if is_not_finite { self.not_finite_in_a_row + 1 } else { 0 };
        self.not_finite_in_a_row
    }

    /// Another state, and why.
    pub(super) fn enter(&mut self, state: State, reason: Reason) {
        (self.state, self.reason) = (state, reason);
    }

    /// As [`Self::enter`]; valid decisions are counted from the beginning.
    pub(super) fn fall(&mut self, state: State, reason: Reason) {
        self.good_in_a_row = 0;
        self.enter(state, reason);
    }

    /// Valid decisions are counted from the beginning.
    pub(super) fn recount(&mut self) {
        self.good_in_a_row = 0;
    }
}
