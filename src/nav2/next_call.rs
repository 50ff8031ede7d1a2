//! What is called next at one node.

use std::time::Duration;

use super::applier::{Applier, Kind, Pending, Phase};
use super::slot::Slot;
use super::{CallId, Command, RosValue, SetService};
use crate::planner::guard::Moment;

impl Applier {
    /// The next call, if there is anything to do and nothing in flight.
    pub(super) fn next(&mut self, now: Moment) -> Option<Command> {
        let wanted = self.slots.iter().any(|slot| slot.wanted.is_some());
        if !wanted || !self.available || self.halted.is_some() || self.pending.is_some() {
            return None;
        }
        if std::mem::take(&mut self.rebuild) {
            return Some(Command::RebuildClient);
        }
        match &mut self.phase {
            Phase::Unread if now >= self.poll_at => {
                let all = (0..self.slots.len()).collect();
                Some(self.get(now, Kind::ReadAll(all)))
            }
            Phase::Unread => None,
            Phase::Naming(names) => {
                let index = names.pop_front()?;
                Some(self.get(now, Kind::ReadOne(index)))
            }
            // Whether it is the same process as before must be known before anything is set.
            Phase::Ready if self.may_be_new => self.next_poll(now),
            Phase::Ready => self.next_set(now).or_else(|| self.next_poll(now)),
        }
    }

    fn next_set(&mut self, now: Moment) -> Option<Command> {
        let interval = Duration::from_secs_f64(1.0 / self.limits.apply_rate);
        let too_soon = self.last_set.is_some_and(|last| now.since(last) < interval) && !self.follow_up;
        if too_soon || !self.set_backoff.is_over(now) {
            return None;
        }
        let due = |slot: &Slot| slot.due(self.limits.hysteresis);
        let each = std::mem::take(&mut self.one_by_one);
        let one_by_one: Vec<_> = each.into_iter().filter_map(|i| Some((i, due(self.slots.get(i)?)?))).collect();
        if !one_by_one.is_empty() {
            return Some(self.set(now, SetService::Each, one_by_one));
        }
        let with = |wanted: fn(&Slot, Moment) -> bool| -> Vec<(usize, RosValue)> {
            let slots = self.slots.iter().enumerate().filter(|(_, slot)| wanted(slot, now));
            slots.filter_map(|(index, slot)| Some((index, due(slot)?))).collect()
        };
        let well = with(|slot, _| slot.refusal.is_none() && slot.declared);
        if !well.is_empty() {
            return Some(self.set(now, SetService::Atomically, well));
        }
        // What was refused, or is not declared, must not keep the rest waiting: it goes on its own.
        let again = with(|slot, now| match &slot.refusal {
            Some(refusal) => refusal.backoff.is_over(now),
            None => !slot.declared,
        });
        (!again.is_empty()).then(|| self.set(now, SetService::Each, again))
    }

    fn next_poll(&mut self, now: Moment) -> Option<Command> {
        let declared = self.slots.iter().enumerate().filter(|(_, slot)| slot.declared);
        let declared: Vec<usize> = declared.map(|(index, _)| index).collect();
        (now >= self.poll_at && !declared.is_empty()).then(|| self.get(now, Kind::Poll(declared)))
    }

    fn set(&mut self, now: Moment, service: SetService, sent: Vec<(usize, RosValue)>) -> Command {
        let named = |(index, value): &(usize, RosValue)| Some((self.slots.get(*index)?.name().to_owned(), *value));
        let values = sent.iter().filter_map(named).collect();
        (self.last_set, self.follow_up) = (Some(now), false);
        let call = self.in_flight(now, Kind::Set(service, sent));
        Command::Set { call, service, values }
    }

    fn get(&mut self, now: Moment, kind: Kind) -> Command {
        let indices = match &kind {
            Kind::ReadAll(indices) | Kind::Poll(indices) => indices.clone(),
            Kind::ReadOne(index) => vec![*index],
            Kind::Set(_, sent) => sent.iter().map(|(index, _)| *index).collect(),
        };
        let names = indices.into_iter().filter_map(|index| Some(self.slots.get(index)?.name().to_owned())).collect();
        self.poll_at = now + self.limits.poll_interval;
        Command::Get { call: self.in_flight(now, kind), names }
    }

    fn in_flight(&mut self, now: Moment, kind: Kind) -> CallId {
        self.next_call += 1;
        let call = CallId(self.next_call);
        self.pending = Some(Pending { call, deadline: now + self.limits.call_timeout, kind });
        call
    }
}
