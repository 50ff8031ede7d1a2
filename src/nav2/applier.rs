//! Sees parameters through to one node: one call in flight, time-outs, read-back, respawns, conflicts.

use std::collections::VecDeque;

use super::slot::{Backoff, Slot};
use super::{
    ApplierLimits, Batch, CallId, Command, Event, NodeName, Notice, RosValue, SetService, Target, TargetStatus,
};
use crate::planner::guard::Moment;

/// Unanswered calls of one kind in a row after which the clients are made anew.
const UNANSWERED: u32 = 3;

/// The state machine for one node. Feed it with events, carry out the command that it answers with.
#[derive(Debug, Clone)]
pub struct Applier {
    pub(super) node: NodeName,
    pub(super) limits: ApplierLimits,
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
    pub(super) rebuild: bool,
    reminder: Backoff,
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
    pub(super) fn new(node: NodeName, targets: impl IntoIterator<Item = Target>, limits: ApplierLimits) -> Self {
        Self {
            node,
            limits,
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
            poll_at: Moment::default(),
            set_backoff: Backoff::default(),
            follow_up: false,
            one_by_one: Vec::new(),
            pending: None,
            next_call: 0,
            unanswered_sets: 0,
            unanswered_gets: 0,
            rebuild: false,
            reminder: Backoff::default(),
        }
    }

    /// Takes the values that the node should have from now on.
    pub fn want(&mut self, now: Moment, batch: &Batch) -> Option<Command> {
        for planned in &batch.values {
            if let Some(slot) = self.slots.iter_mut().find(|slot| slot.name() == planned.ros_parameter) {
                slot.wanted = Some(planned.value);
            }
        }
        self.next(now)
    }

    /// Wants nothing any more: the node may keep or change its values. A call in flight is given up.
    pub fn release(&mut self) {
        for slot in &mut self.slots {
            slot.forget();
            slot.wanted = None;
        }
        (self.pending, self.phase) = (None, Phase::Unread);
        (self.follow_up, self.rebuild) = (false, false);
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
            Event::Replaced => self.replaced(now),
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
                    self.set_answered(now, service, &sent, &results);
                }
                Some(other) => self.unanswered(now, other),
                None => {}
            },
            Event::GetResult { call, values } => match self.take_pending(call) {
                Some(pending @ Pending { kind: Kind::Set(..), .. }) => self.unanswered(now, pending),
                Some(Pending { kind, .. }) => {
                    self.unanswered_gets = 0;
                    self.read_answered(now, kind, &values);
                }
                None => {}
            },
        }
        self.next(now)
    }

    /// What became of each of the node's parameters, with the value that the server took.
    pub fn status(&self) -> impl Iterator<Item = (&Target, Option<RosValue>, TargetStatus)> {
        self.slots.iter().map(|slot| (&slot.target, slot.accepted, self.status_of(slot)))
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
        if !self.available || self.away || (slot.in_doubt.is_some() && self.set_backoff.has_failed()) {
            return TargetStatus::Unreachable;
        }
        if let Some(refusal) = &slot.refusal {
            return TargetStatus::Refused { words: refusal.words.clone() };
        }
        let settled = slot.verified && slot.due(self.limits.hysteresis).is_none();
        match (settled, &slot.target.remedy) {
            (false, _) => TargetStatus::Pending,
            (true, None) => TargetStatus::Applied,
            (true, Some(remedy)) => TargetStatus::Stored { remedy: remedy.clone() },
        }
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
        *in_a_row += 1;
        if *in_a_row >= UNANSWERED {
            *in_a_row = 0;
            self.rebuild = true;
            self.notices.push(Notice::NotAnswering { node: self.node.clone() });
        }
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

    /// Says now and then that the node is not there.
    fn remind(&mut self, now: Moment) {
        let wanted = self.slots.iter().any(|slot| slot.wanted.is_some());
        if (self.available && !self.away) || !wanted || self.halted.is_some() {
            self.reminder.reset();
        } else if self.reminder.is_over(now) {
            let again_in = self.reminder.fail(now);
            self.notices.push(Notice::Unreachable { node: self.node.clone(), again_in });
        }
    }
}
