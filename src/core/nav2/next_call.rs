//! What is called next at one node.

use std::time::Duration;

use super::applier::{Applier, Kind, Pending, Phase};
use super::slot::Slot;
use super::{CallId, Command, LifecycleState, RosValue, SetService};
use crate::planner::guard::Moment;

impl Applier {
    /// The next call, if there is anything to do and nothing in flight.
    pub(super) fn next(&mut self, now: Moment) -> Option<Command> {
        self.about_to_set = false;
        let wanted = self.slots.iter().any(|slot| slot.wanted.is_some());
        let takes_parameters = self.lifecycle.is_none_or(LifecycleState::takes_parameters);
        if !wanted || !self.available || self.halted.is_some() || !takes_parameters {
            return None;
        }
        if self.pending.is_some() {
            self.about_to_set = self.phase == Phase::Ready && self.is_set_due(now);
            return None;
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

    /// Time between two sets, by the limits and by the mapping.
    fn interval(&self) -> Duration {
        let rate = self.rules.apply_rate.unwrap_or(f64::INFINITY).min(self.limits.apply_rate);
        Duration::from_secs_f64(1.0 / rate)
    }

    /// Changes that are too small for the mapping count no less than this: below it nothing is ever set.
    fn least(&self) -> f64 {
        self.limits.hysteresis
    }

    fn min_change_of(&self, slot: &Slot) -> f64 {
        slot.target.min_change.unwrap_or(self.rules.min_change).max(self.least())
    }

    fn is_set_due(&self, now: Moment) -> bool {
        let hurries = self.follow_up || self.urgent;
        let too_soon = self.last_batch.is_some_and(|last| now.since(last) < self.interval()) && !hurries;
        !too_soon && self.set_backoff.is_over(now) && self.is_worth_a_set()
    }

    /// Whether what differs is worth the price of a set.
    fn is_worth_a_set(&self) -> bool {
        let well = self.slots.iter().filter(|slot| slot.refusal.is_none() && slot.declared);
        let changes: Vec<(f64, f64)> =
            well.filter_map(|slot| Some((slot.change()?.1, self.min_change_of(slot)))).collect();
        if self.urgent || self.rules.takes_small_changes(self.occasion) {
            return changes.iter().any(|(change, _)| *change >= self.least());
        }
        let sum: f64 = changes.iter().map(|(change, _)| change).sum();
        changes.iter().any(|(change, least)| change >= least) && sum >= self.rules.accumulated
    }

    fn next_set(&mut self, now: Moment) -> Option<Command> {
        let hurries = self.follow_up || self.urgent;
        let too_soon = self.last_batch.is_some_and(|last| now.since(last) < self.interval()) && !hurries;
        if !self.set_backoff.is_over(now) {
            return None;
        }
        let least = self.least();
        let due = |slot: &Slot| slot.change().filter(|(_, change)| *change >= least).map(|(value, _)| value);
        let each = std::mem::take(&mut self.one_by_one);
        let one_by_one: Vec<_> = each.into_iter().filter_map(|i| Some((i, due(self.slots.get(i)?)?))).collect();
        if !one_by_one.is_empty() {
            return Some(self.set(now, SetService::Each, one_by_one));
        }
        let with = |wanted: fn(&Slot, Moment) -> bool| -> Vec<(usize, RosValue)> {
            let slots = self.slots.iter().enumerate().filter(|(_, slot)| wanted(slot, now));
            slots.filter_map(|(index, slot)| Some((index, due(slot)?))).collect()
        };
        // Speeds and samples belong together: when one change is worth a set, the batch carries all that differs.
        let well = with(|slot, _| slot.refusal.is_none() && slot.declared);
        if !well.is_empty() && !too_soon && self.is_worth_a_set() {
            self.last_batch = Some(now);
            return Some(self.set(now, SetService::Atomically, well));
        }
        // What was refused, or is not declared, must not keep the rest waiting, nor wait for it: it goes on its own, at the
        // pace of its refusals.
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
        (self.last_set, self.follow_up, self.urgent) = (Some(now), false, false);
        self.occasion.new_goal = false;
        self.counts.sets += 1;
        for (index, value) in &sent {
            if let Some(slot) = self.slots.get_mut(*index) {
                slot.sent(now, *value);
            }
        }
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
