//! Sees parameters through to one node: one call in flight, time-outs, read-back, respawns, conflicts.

use std::collections::VecDeque;

use super::apply_rules::Occasion;
use super::slot::{Backoff, Slot};
use super::{
    ApplierLimits, ApplyRules, Batch, CallId, Command, Event, LifecycleState, NodeName, Notice, RosValue, SetService,
    Target, TargetStatus,
};
use crate::planner::guard::Moment;

/// Unanswered calls of one kind in a row after which it is said.
const UNANSWERED: u32 = 3;

/// The state machine for one node. Feed it with events, carry out the command that it answers with.
#[derive(Debug, Clone)]
pub struct Applier {
    pub(super) node: NodeName,
    pub(super) limits: ApplierLimits,
    pub(super) rules: ApplyRules,
    pub(super) slots: Vec<Slot>,
    pub(super) phase: Phase,
    pub(super) notices: Vec<Notice>,
    pub(super) halted: Option<String>,
    pub(super) available: bool,
    /// A call was not answered, or the services were gone, since the last answer to a read.
    pub(super) away: bool,
    /// The node was gone, or a read was not answered, since the last answer to a read: it may have been restarted.
    pub(super) may_be_new: bool,
    /// It went away right after a set.
    pub(super) suspect: bool,
    pub(super) deaths: VecDeque<Moment>,
    pub(super) last_set: Option<Moment>,
    /// The last set that the apply rate counts.
    pub(super) last_batch: Option<Moment>,
    pub(super) poll_at: Moment,
    pub(super) set_backoff: Backoff,
    /// The next set belongs to the one before and need not wait for the apply rate.
    pub(super) follow_up: bool,
    /// Slots to be set one by one, because a refusal did not name a parameter.
    pub(super) one_by_one: Vec<usize>,
    pub(super) pending: Option<Pending>,
    pub(super) next_call: u64,
    unanswered_sets: u32,
    unanswered_gets: u32,
    /// Between two reads of a node that has never answered: it is there, and not configured.
    read_backoff: Backoff,
    /// When the node answered last; `None` before the first answer of this process.
    pub(super) answered: Option<Moment>,
    reminder: Backoff,
    /// The state that the node told of.
    pub(super) lifecycle: Option<LifecycleState>,
    /// It was configured since the last read.
    pub(super) has_configured: bool,
    /// It was deactivated or shut down, or went as one goes that is not killed.
    pub(super) said_goodbye: bool,
    pub(super) occasion: Occasion,
    /// What is wanted now must not wait.
    pub(super) urgent: bool,
    /// A set would be sent now if no call were in flight.
    pub(super) about_to_set: bool,
    pub(super) counts: Counts,
}

/// What happened at a node since the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Calls that set parameters.
    pub sets: u64,
    /// Times that somebody else set one of them.
    pub conflicts: u64,
    /// The last of those: what, and what was done about it.
    pub last_conflict: Option<String>,
    /// Times that it went away right after a set, with no goodbye.
    pub deaths: u64,
}

/// How much is known of the node's own values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    /// Nothing.
    Unread,
    /// One of the names is not declared: they are asked for one at a time.
    Naming(VecDeque<usize>),
    /// The start values are known.
    Ready,
}

#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) call: CallId,
    pub(super) deadline: Moment,
    pub(super) kind: Kind,
}

/// What a call is about, by slot.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Set(SetService, Vec<(usize, RosValue)>),
    ReadAll(Vec<usize>),
    ReadOne(usize),
    Poll(Vec<usize>),
}

impl Applier {
    /// An applier for the targets of one node. The limits have been checked.
    pub(super) fn new(
        node: NodeName,
        targets: impl IntoIterator<Item = Target>,
        limits: ApplierLimits,
        rules: ApplyRules,
    ) -> Self {
        Self {
            node,
            limits,
            rules,
            slots: targets.into_iter().map(Slot::new).collect(),
            phase: Phase::Unread,
            notices: Vec::new(),
            halted: None,
            available: false,
            away: false,
            may_be_new: false,
            suspect: false,
            deaths: VecDeque::new(),
            last_set: None,
            last_batch: None,
            poll_at: Moment::default(),
            set_backoff: Backoff::default(),
            follow_up: false,
            one_by_one: Vec::new(),
            pending: None,
            next_call: 0,
            unanswered_sets: 0,
            unanswered_gets: 0,
            read_backoff: Backoff::default(),
            answered: None,
            reminder: Backoff::default(),
            lifecycle: None,
            has_configured: false,
            said_goodbye: false,
            occasion: Occasion::default(),
            urgent: false,
            about_to_set: false,
            counts: Counts::default(),
        }
    }

    /// Takes the values that the node should have from now on; at once if they are urgent, else by the rules.
    pub fn want(&mut self, now: Moment, batch: &Batch, urgent: bool) -> Option<Command> {
        for planned in &batch.values {
            if let Some(slot) = self.slots.iter_mut().find(|slot| slot.name() == planned.ros_parameter) {
                slot.wanted = Some(planned.value);
            }
        }
        self.urgent = urgent;
        self.next(now)
    }

    /// Wants nothing any more: the node may keep or change its values. A call in flight is given up.
    pub fn release(&mut self) {
        for slot in &mut self.slots {
            slot.forget();
            slot.wanted = None;
        }
        (self.pending, self.phase) = (None, Phase::Unread);
        (self.follow_up, self.urgent) = (false, false);
        self.one_by_one.clear();
    }

    /// The operator enabled again: others' values, refusals and deaths are forgotten.
    pub fn resume(&mut self) {
        self.slots.iter_mut().for_each(Slot::forget);
        self.halted = None;
        self.deaths.clear();
        self.phase = Phase::Unread;
        self.set_backoff.reset();
    }

    /// Something happened at the node, or time passed.
    pub fn handle(&mut self, now: Moment, event: Event) -> Option<Command> {
        match event {
            Event::Available(there) => self.availability(now, there),
            Event::Left => self.left(now),
            Event::Replaced => self.replaced(now),
            Event::Lifecycle(state) => self.entered(now, state),
            Event::Changed(values) => self.changed(now, &values),
            Event::CallFailed { call } => {
                if let Some(pending) = self.take_pending(call) {
                    self.unanswered(now, pending);
                }
            }
            Event::Tick => {
                if let Some(late) = self.pending.take_if(|pending| now >= pending.deadline) {
                    self.unanswered(now, late);
                }
                self.remind(now);
            }
            Event::SetResult { call, results } => match self.take_pending(call) {
                Some(Pending { kind: Kind::Set(service, sent), .. }) => {
                    self.unanswered_sets = 0;
                    self.answered = Some(now);
                    self.set_answered(now, service, &sent, &results);
                }
                Some(other) => self.unanswered(now, other),
                None => {}
            },
            Event::GetResult { call, values } => match self.take_pending(call) {
                Some(pending @ Pending { kind: Kind::Set(..), .. }) => self.unanswered(now, pending),
                Some(Pending { kind, .. }) => {
                    (self.unanswered_gets, self.answered) = (0, Some(now));
                    self.read_backoff.reset();
                    self.read_answered(now, kind, &values);
                }
                None => {}
            },
        }
        self.next(now)
    }

    /// What became of each of the node's parameters, with the value that the server took and the one that it should have.
    pub fn status(&self) -> impl Iterator<Item = (&Target, Option<RosValue>, Option<RosValue>, TargetStatus)> {
        self.slots.iter().map(|slot| (&slot.target, slot.accepted, slot.wanted, self.status_of(slot)))
    }

    fn status_of(&self, slot: &Slot) -> TargetStatus {
        if let Some(why) = &self.halted {
            return TargetStatus::Stopped { why: why.clone() };
        }
        if let Some(theirs) = slot.yielded {
            return TargetStatus::Yielded { theirs };
        }
        if slot.wanted.is_none() {
            return TargetStatus::Pending;
        }
        if let Some(state) = self.lifecycle.filter(|state| *state != LifecycleState::Active) {
            return TargetStatus::NotInUse { state };
        }
        if !self.available || self.away || (slot.in_doubt.is_some() && self.set_backoff.has_failed()) {
            return TargetStatus::Unreachable;
        }
        if let Some(refusal) = &slot.refusal {
            return TargetStatus::Refused { words: refusal.words.clone() };
        }
        let is_on_its_way = match &self.pending {
            Some(Pending { kind: Kind::Set(_, sent), .. }) => sent.iter().any(|(i, _)| self.is_slot(*i, slot)),
            _ => false,
        };
        // What is not worth a set yet, or waits for its turn, leaves the value in use that was set last.
        let waits = is_on_its_way || (self.about_to_set && slot.change().is_some());
        let settled = slot.verified && slot.accepted.is_some() && slot.in_doubt.is_none() && !waits;
        match (settled, &slot.target.remedy) {
            (false, _) => TargetStatus::Pending,
            (true, Some(remedy)) if slot.in_use != slot.accepted => TargetStatus::Stored { remedy: remedy.clone() },
            (true, _) => TargetStatus::Applied,
        }
    }

    fn is_slot(&self, index: usize, slot: &Slot) -> bool {
        self.slots.get(index).is_some_and(|other| std::ptr::eq(other, slot))
    }

    /// A call got no answer in time.
    fn unanswered(&mut self, now: Moment, unanswered: Pending) {
        self.note_absence(now);
        let in_a_row = match unanswered.kind {
            Kind::Set(_, sent) => {
                self.put_in_doubt(&sent);
                self.set_backoff.fail(now);
                &mut self.unanswered_sets
            }
            Kind::ReadAll(_) | Kind::ReadOne(_) | Kind::Poll(_) => {
                self.may_be_new = true;
                // Whoever comes back is found soon; a call that fails at once is not repeated at once.
                self.poll_at = self.poll_at.min(unanswered.deadline);
                if let Phase::Naming(_) = self.phase {
                    self.phase = Phase::Unread;
                }
                &mut self.unanswered_gets
            }
        };
        *in_a_row = in_a_row.saturating_add(1);
        let (in_a_row, has_answered) = (*in_a_row, self.answered.is_some());
        if in_a_row == UNANSWERED {
            self.notices.push(Notice::NotAnswering { node: self.node.clone(), has_answered });
        }
        // One that has answered and does not any more may be back any moment; one that never has is not configured.
        if !has_answered && in_a_row >= UNANSWERED {
            self.poll_at = now + self.read_backoff.fail(now);
        }
    }

    /// Reads again at the next opportunity.
    pub(super) fn poll_soon(&mut self, now: Moment) {
        (self.poll_at, self.unanswered_gets) = (now, 0);
        self.read_backoff.reset();
    }

    /// Another process, or none: nothing of what the last one said counts.
    pub(super) fn forget_process(&mut self) {
        (self.answered, self.lifecycle) = (None, None);
        (self.unanswered_gets, self.unanswered_sets) = (0, 0);
        self.read_backoff.reset();
    }

    fn put_in_doubt(&mut self, sent: &[(usize, RosValue)]) {
        for (index, value) in sent {
            if let Some(slot) = self.slots.get_mut(*index) {
                slot.in_doubt = Some(*value);
            }
        }
    }

    /// Gives up the call in flight, if any.
    pub(super) fn abandon(&mut self) {
        if let Some(Pending { kind: Kind::Set(_, sent), .. }) = self.pending.take() {
            self.put_in_doubt(&sent);
        }
        if let Phase::Naming(_) = self.phase {
            self.phase = Phase::Unread;
        }
    }

    fn take_pending(&mut self, call: CallId) -> Option<Pending> {
        self.pending.take_if(|pending| pending.call == call)
    }

    /// Says now and then that the node is not there. One that is there, and does not answer yet, or not for the moment,
    /// is told of otherwise.
    fn remind(&mut self, now: Moment) {
        let wanted = self.slots.iter().any(|slot| slot.wanted.is_some());
        if self.available || !wanted || self.halted.is_some() {
            self.reminder.reset();
        } else if self.reminder.is_over(now) {
            let again_in = self.reminder.fail(now);
            self.notices.push(Notice::Unreachable { node: self.node.clone(), again_in });
        }
    }
}
