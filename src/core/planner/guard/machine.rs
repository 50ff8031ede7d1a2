//! From state to state, and what that means for the planner.

use std::time::Duration;

use super::health::Health;
use super::outgoing::Outgoing;
use super::permission::Permission;
use super::{GuardLimits, Instruction, Level, Mode, Moment, Reaction, Reason, State, Transition};
use crate::planner::PlannerParameters;
use crate::planner::envelope::Envelope;

/// The states of the guard: who allows what, how well things do, and what goes out.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    permission: Permission,
    health: Health,
    outgoing: Outgoing,
    /// Raised when decisions in flight become void.
    epoch: u64,
    safe_defaults: u64,
}

/// What a change of state depends on besides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances<'a> {
    pub(super) now: Moment,
    pub(super) limits: &'a GuardLimits,
    /// ROS time has not begun.
    pub(super) clock_waiting: bool,
    /// A frame has come, ever.
    pub(super) any_frame: bool,
}

impl Machine {
    pub(super) fn new(envelope: Envelope, mode: Mode, now: Moment) -> Self {
        Self {
            permission: Permission::new(mode),
            health: Health::starting(now),
            outgoing: Outgoing::new(envelope),
            epoch: 0,
            safe_defaults: 0,
        }
    }

    pub(super) fn permission(&self) -> &Permission {
        &self.permission
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    pub(super) fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    pub(super) fn set_envelope(&mut self, envelope: Envelope) {
        self.outgoing.set_envelope(envelope);
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Times the safe defaults were called for.
    pub(super) fn safe_defaults_called(&self) -> u64 {
        self.safe_defaults
    }

    /// Makes decisions in flight void.
    pub(super) fn void_decisions(&mut self) {
        self.epoch += 1;
    }

    /// The state the operator sees.
    pub(super) fn state(&self) -> State {
        match self.permission.mode() {
            Mode::Disabled => State::Disabled,
            Mode::Shadow => State::Shadow,
            Mode::Active => self.health.state(),
        }
    }

    /// Why it is what it is.
    pub(super) fn reason(&self) -> Reason {
        if self.permission.is_disabled() { Reason::OperatorDisabled } else { self.health.reason().clone() }
    }

    /// How bad the state itself is.
    pub(super) fn level(&self) -> Level {
        match (self.state(), self.health.state()) {
            (State::Disabled, _) => Level::Warn,
            (_, State::Safe) => Level::Error,
            (_, State::Holding) => Level::Warn,
            _ => Level::Ok,
        }
    }

    /// Something is wrong that changes no state.
    pub(super) fn note(&mut self, problem: Reason) {
        self.health.note(problem);
    }

    /// A decision failed; how many in a row had numbers that are not finite.
    pub(super) fn decision_failed(&mut self, is_not_finite: bool) -> u32 {
        self.health.failed(is_not_finite)
    }

    /// A valid decision came.
    pub(super) fn good(&mut self, now: Moment, proposed: &PlannerParameters, limits: &GuardLimits) -> Reaction {
        let from = self.state();
        let good_in_a_row = self.health.valid(now);
        if self.permission.planner_failing() {
            return Reaction { instruction: Instruction::Hold, ..Reaction::default() };
        }
        let health = self.health.state();
        let is_first = health == State::Starting && !self.outgoing.safe_called();
        let needed = if is_first { 1 } else { limits.good_frames };
        let recovered = health == State::Nominal || good_in_a_row >= needed;
        if self.permission.operator_holds() {
            let to = if recovered { State::Holding } else { health };
            self.health.enter(to, Reason::OperatorHold);
            let transition = self.transition_from(from, Reason::OperatorHold);
            return Reaction { instruction: Instruction::Hold, transition, ..Reaction::default() };
        }
        if recovered {
            self.health.enter(State::Nominal, Reason::Valid);
        } else {
            self.health.explain(Reason::Recovering(good_in_a_row, needed));
            // From Holding, a valid decision is better than the older one that is held. From Safe, the planner must
            // not be thrown to and fro.
            if health != State::Holding {
                return Reaction { instruction: Instruction::Hold, ..Reaction::default() };
            }
        }
        let parameters = self.outgoing.decision(proposed, now);
        let instruction = Instruction::Decision { parameters, set: self.permission.sets() };
        let transition = self.transition_from(from, self.health.reason().clone());
        Reaction { instruction, transition, ..Reaction::default() }
    }

    /// Something went wrong: hold, and go to Safe when that has lasted too long.
    pub(super) fn bad(&mut self, reason: Reason, circumstances: Circumstances<'_>) -> Reaction {
        let from = self.state();
        self.health.problem(reason.clone());
        if self.permission.is_disabled() {
            return Reaction::default();
        }
        match self.health.state() {
            State::Nominal | State::Holding if !self.permission.operator_holds() => {
                self.health.enter(State::Holding, reason.clone());
            }
            State::Starting => self.health.explain(reason.clone()),
            _ => {}
        }
        let transition = self.transition_from(from, reason);
        let held = Reaction { instruction: Instruction::Hold, transition, ..Reaction::default() };
        held.then(self.escalate(circumstances))
    }

    /// Into Safe when there has been no valid decision for too long.
    pub(super) fn escalate(&mut self, circumstances: Circumstances<'_>) -> Reaction {
        let Circumstances { now, limits, clock_waiting, any_frame } = circumstances;
        let waited: Duration = self.health.waited(now);
        let is_due = self.health.state() != State::Safe && waited >= limits.hold_timeout;
        if self.permission.is_disabled() || !is_due {
            return Reaction::default();
        }
        if self.health.state() == State::Starting && (clock_waiting || !any_frame) {
            // Nothing has gone wrong on the way to a decision: there is no way yet.
            self.health.explain(if clock_waiting { Reason::WaitingForClock } else { Reason::NoFrame(waited) });
            return Reaction { instruction: self.call_for_safe_defaults(now), ..Reaction::default() };
        }
        let last = self.health.last_problem().cloned().map(Box::new);
        self.enter_safe(now, Reason::NoValidDecision(waited, last))
    }

    /// Into Safe at once.
    pub(super) fn enter_safe(&mut self, now: Moment, reason: Reason) -> Reaction {
        let from = self.state();
        if self.health.state() == State::Safe || self.permission.is_disabled() {
            return Reaction::default();
        }
        self.health.fall(State::Safe, reason.clone());
        let instruction = self.call_for_safe_defaults(now);
        Reaction { instruction, transition: self.transition_from(from, reason), ..Reaction::default() }
    }

    /// The operator allows something else.
    pub(super) fn change_mode(&mut self, now: Moment, mode: Mode) -> Reaction {
        let from = self.state();
        if self.permission.change_mode(mode) {
            // What was set by another mode, if anything, is not known: wait for a decision as at the start.
            self.void_decisions();
            self.health.start_again(now);
            self.outgoing.forget();
        }
        Reaction { transition: self.transition_from(from, Reason::OperatorRequest), ..Reaction::default() }
    }

    /// The operator holds what the planner has, or lets go.
    pub(super) fn hold(&mut self, hold: bool, limits: &GuardLimits) -> Reaction {
        let from = self.state();
        if !self.permission.hold(hold) {
            return Reaction::default();
        }
        self.health.recount();
        match (self.health.state(), hold) {
            (State::Nominal, true) => self.health.enter(State::Holding, Reason::OperatorHold),
            (_, true) => self.health.explain(Reason::OperatorHold),
            (State::Holding, false) => self.health.explain(Reason::Recovering(0, limits.good_frames)),
            _ => {}
        }
        let instruction = if hold { Instruction::Hold } else { Instruction::Nothing };
        Reaction { instruction, transition: self.transition_from(from, Reason::OperatorRequest), ..Reaction::default() }
    }

    /// The planner fails: Safe until the operator enables again, and nothing is set.
    pub(super) fn planner_failing(&mut self, why: &str) -> Reaction {
        let from = self.state();
        if !self.permission.give_up_on_planner() {
            return Reaction::default();
        }
        let reason = Reason::PlannerFailing(why.to_owned());
        self.health.fall(State::Safe, reason.clone());
        self.outgoing.leave_alone();
        let transition = self.transition_from(from, reason);
        Reaction { instruction: Instruction::Hold, transition, ..Reaction::default() }
    }

    /// The safe defaults, unless they have been called for already.
    fn call_for_safe_defaults(&mut self, now: Moment) -> Instruction {
        match self.outgoing.safe_defaults(now) {
            None => Instruction::Nothing,
            Some(parameters) => {
                self.safe_defaults += 1;
                Instruction::SafeDefaults { parameters, set: self.permission.sets() }
            }
        }
    }

    fn transition_from(&self, from: State, reason: Reason) -> Option<Transition> {
        let to = self.state();
        (from != to).then_some(Transition { from, to, reason })
    }
}
