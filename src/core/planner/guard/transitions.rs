//! From state to state, and what that means for the planner.

use super::{Guard, Instruction, Level, Mode, Moment, Reaction, Reason, State, Status, Ticket, Transition};
use crate::planner::PlannerParameters;

impl Guard {
    /// What the operator sees at `now`.
    pub fn status(&self, now: Moment) -> Status {
        let state = self.state();
        let mut warnings: Vec<Reason> = self.frames.warnings(now, &self.limits).collect();
        warnings.extend(self.policy.warnings());
        warnings.extend(self.assumed_stationary.then_some(Reason::AssumedStationary));
        warnings.extend((self.latency > self.limits.latency_budget).then_some(Reason::InferenceSlow(self.latency)));
        let reason = if state == State::Disabled { Reason::OperatorDisabled } else { self.reason.clone() };
        let floor = match (state, self.health) {
            (State::Disabled, _) => Level::Warn,
            (_, State::Safe) => Level::Error,
            (_, State::Holding) => Level::Warn,
            _ => Level::Ok,
        };
        let level = warnings.iter().chain([&reason]).map(Reason::level).fold(floor, Level::max);
        let since_valid = self.any_valid.then(|| now.since(self.valid_at));
        Status { state, health: self.health, level, reason, warnings, counts: self.counts, since_valid }
    }

    /// The state the operator sees.
    pub fn state(&self) -> State {
        match self.mode {
            Mode::Disabled => State::Disabled,
            Mode::Shadow => State::Shadow,
            Mode::Active => self.health,
        }
    }

    pub(super) fn sets(&self) -> bool {
        self.mode == Mode::Active && !self.planner_failing
    }

    pub(super) fn is_void(&mut self, ticket: Ticket) -> bool {
        let void = ticket.epoch != self.epoch || self.mode == Mode::Disabled;
        self.counts.decisions_dropped += u64::from(void);
        void
    }

    pub(super) fn good(&mut self, now: Moment, proposed: &PlannerParameters) -> Reaction {
        let from = self.state();
        (self.valid_at, self.any_valid) = (now, true);
        (self.not_finite_in_a_row, self.last_problem) = (0, None);
        self.good_in_a_row = self.good_in_a_row.saturating_add(1);
        if self.planner_failing {
            return Reaction { instruction: Instruction::Hold, ..Reaction::default() };
        }
        let needed = if self.health == State::Starting && !self.safe_called { 1 } else { self.limits.good_frames };
        let recovered = self.health == State::Nominal || self.good_in_a_row >= needed;
        if self.operator_holds {
            self.health = if recovered { State::Holding } else { self.health };
            self.reason = Reason::OperatorHold;
            let transition = self.transition_from(from, Reason::OperatorHold);
            return Reaction { instruction: Instruction::Hold, transition, ..Reaction::default() };
        }
        if recovered {
            self.health = State::Nominal;
            self.reason = Reason::Valid;
        } else {
            self.reason = Reason::Recovering(self.good_in_a_row, needed);
            // From Holding, a valid decision is better than the older one that is held. From Safe, the planner must
            // not be thrown to and fro.
            if self.health != State::Holding {
                return Reaction { instruction: Instruction::Hold, ..Reaction::default() };
            }
        }
        let parameters = self.envelope.apply(proposed, self.last.as_ref(), now);
        self.last = Some(parameters.clone());
        self.safe_called = false;
        let instruction = Instruction::Decision { parameters, set: self.sets() };
        Reaction { instruction, transition: self.transition_from(from, self.reason.clone()), ..Reaction::default() }
    }

    /// Something went wrong: hold, and go to Safe when that has lasted too long.
    pub(super) fn bad(&mut self, now: Moment, reason: Reason) -> Reaction {
        let from = self.state();
        self.good_in_a_row = 0;
        self.last_problem = Some(reason.clone());
        if self.mode == Mode::Disabled {
            return Reaction::default();
        }
        match self.health {
            State::Nominal | State::Holding if !self.operator_holds => {
                self.health = State::Holding;
                self.reason = reason.clone();
            }
            State::Starting => self.reason = reason.clone(),
            _ => {}
        }
        let transition = self.transition_from(from, reason);
        let held = Reaction { instruction: Instruction::Hold, transition, ..Reaction::default() };
        let escalated = self.escalate(now);
        Self::merge(held, escalated)
    }

    /// Into Safe when there has been no valid decision for too long.
    pub(super) fn escalate(&mut self, now: Moment) -> Reaction {
        let waited = now.since(self.valid_at);
        if self.mode == Mode::Disabled || self.health == State::Safe || waited < self.limits.hold_timeout {
            return Reaction::default();
        }
        if self.health == State::Starting && (self.clock_waiting || !self.frames.any()) {
            // Nothing has gone wrong on the way to a decision: there is no way yet.
            self.reason = if self.clock_waiting { Reason::WaitingForClock } else { Reason::NoFrame(waited) };
            return Reaction { instruction: self.call_for_safe_defaults(now), ..Reaction::default() };
        }
        let last = self.last_problem.clone().map(Box::new);
        self.enter_safe(now, Reason::NoValidDecision(waited, last))
    }

    pub(super) fn enter_safe(&mut self, now: Moment, reason: Reason) -> Reaction {
        let from = self.state();
        if self.health == State::Safe || self.mode == Mode::Disabled {
            return Reaction::default();
        }
        self.health = State::Safe;
        self.good_in_a_row = 0;
        self.reason = reason.clone();
        let instruction = self.call_for_safe_defaults(now);
        Reaction { instruction, transition: self.transition_from(from, reason), ..Reaction::default() }
    }

    /// The safe defaults, unless they have been called for already.
    pub(super) fn call_for_safe_defaults(&mut self, now: Moment) -> Instruction {
        if self.safe_called {
            return Instruction::Nothing;
        }
        self.safe_called = true;
        self.counts.safe_defaults += 1;
        let parameters = self.envelope.safe_defaults(now);
        self.last = Some(parameters.clone());
        Instruction::SafeDefaults { parameters, set: self.sets() }
    }

    pub(super) fn transition_from(&self, from: State, reason: Reason) -> Option<Transition> {
        let to = self.state();
        (from != to).then_some(Transition { from, to, reason })
    }

    /// Two reactions to one event: the later instruction and transition count, unless there is none.
    pub(super) fn merge(first: Reaction, then: Reaction) -> Reaction {
        let from = first.transition.as_ref().map(|transition| transition.from);
        let transition =
            then.transition.or(first.transition).map(|later| Transition { from: from.unwrap_or(later.from), ..later });
        Reaction {
            instruction: if then.instruction == Instruction::Nothing { first.instruction } else { then.instruction },
            reset_history: then.reset_history.or(first.reset_history),
            transition,
        }
    }
}
