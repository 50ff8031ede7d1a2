//! What an [`Applier`] makes of a server's answers.

use super::applier::{Applier, Kind, Phase};
use super::{Notice, RosValue, SetOutcome, SetService};
use crate::planner::guard::Moment;

impl Applier {
    pub(super) fn set_answered(
        &mut self,
        now: Moment,
        service: SetService,
        sent: &[(usize, RosValue)],
        results: &[SetOutcome],
    ) {
        self.set_backoff.reset();
        self.poll_at = now;
        if service == SetService::Each {
            for (position, (index, value)) in sent.iter().enumerate() {
                match results.get(position) {
                    Some(outcome) if outcome.successful => self.accept(*index, *value),
                    Some(outcome) => self.refuse(now, *index, &outcome.reason),
                    None => self.refuse(now, *index, "the server gave no answer for it"),
                }
            }
            return;
        }
        let outcome = results.first();
        if outcome.is_some_and(|outcome| outcome.successful) {
            sent.iter().for_each(|(index, value)| self.accept(*index, *value));
            return;
        }
        let words = outcome.map_or("the server's answer was empty", |outcome| outcome.reason.as_str());
        let named = |index: usize| self.slots.get(index).is_some_and(|slot| mentions(words, slot.name()));
        let mut guilty: Vec<usize> = sent.iter().map(|(index, _)| *index).filter(|index| named(*index)).collect();
        if let [(only, _)] = sent {
            guilty = vec![*only];
        }
        if guilty.is_empty() {
            self.one_by_one = sent.iter().map(|(index, _)| *index).collect();
        }
        guilty.into_iter().for_each(|index| self.refuse(now, index, words));
        self.follow_up = true;
    }

    fn accept(&mut self, index: usize, value: RosValue) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.accept(value);
        }
    }

    fn refuse(&mut self, now: Moment, index: usize, words: &str) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let known = slot.refusal.as_ref().is_some_and(|refusal| refusal.words == words);
        slot.refuse(now, words);
        if !known {
            let (ros_parameter, words) = (slot.name().to_owned(), words.to_owned());
            self.notices.push(Notice::Refused { node: self.node.clone(), ros_parameter, words });
        }
    }

    pub(super) fn read_answered(&mut self, now: Moment, kind: Kind, values: &[Option<RosValue>]) {
        match kind {
            Kind::ReadAll(indices) if values.len() == indices.len() => {
                indices.iter().zip(values).for_each(|(index, value)| self.found_at_start(*index, *value));
                self.has_configured = false;
                self.ready(now);
            }
            Kind::ReadAll(indices) => self.phase = Phase::Naming(indices.into()),
            Kind::ReadOne(index) => {
                if let [value] = values {
                    self.found_at_start(index, *value);
                }
                if matches!(&self.phase, Phase::Naming(names) if names.is_empty()) {
                    self.named(now);
                }
            }
            Kind::Poll(indices) if values.len() == indices.len() => self.polled(now, &indices, values),
            // Declared before and not any more: a new process that is not configured yet.
            Kind::Poll(_) => {
                self.note_absence(now);
                self.may_be_new = true;
                self.respawned(now);
                self.slots.iter_mut().for_each(|slot| (slot.start, slot.declared) = (None, false));
                self.phase = Phase::Unread;
                self.poll_at = now + self.limits.poll_interval;
            }
            Kind::Set(..) => {}
        }
    }

    /// A value that the planner has of itself. The first one read is what is given back on exit.
    fn found_at_start(&mut self, index: usize, value: Option<RosValue>) {
        if self.has_configured {
            self.in_use_from_now(index, value);
        }
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.start = slot.start.or(value);
        slot.declared = true;
        if slot.refusal.as_ref().is_some_and(|refusal| refusal.words == NOT_DECLARED) {
            slot.refusal = None;
        }
        // An offset may round the last digit otherwise than whoever wrote the planner's file.
        let nearly = |wanted: RosValue, found: RosValue| {
            std::mem::discriminant(&wanted) == std::mem::discriminant(&found)
                && (wanted.as_f64() - found.as_f64()).abs() <= 1e-9 * slot.target.range
        };
        if let Some(value) = value.filter(|value| slot.wanted.is_some_and(|wanted| nearly(wanted, *value))) {
            slot.confirm(value);
        }
    }

    /// Every name has been asked for on its own.
    fn named(&mut self, now: Moment) {
        self.has_configured = false;
        if self.slots.iter().any(|slot| slot.declared) {
            self.ready(now);
        } else {
            self.phase = Phase::Unread;
            (self.away, self.may_be_new) = (false, false);
            (0..self.slots.len()).for_each(|index| self.refuse(now, index, NOT_DECLARED));
        }
    }

    fn ready(&mut self, now: Moment) {
        self.phase = Phase::Ready;
        self.came_back(now);
    }

    /// Compares what the server has with what it took.
    fn polled(&mut self, now: Moment, indices: &[usize], values: &[Option<RosValue>]) {
        let mut differing: Vec<(usize, Option<RosValue>)> = Vec::new();
        let (mut lost, mut back_at_start) = (false, true);
        for (&index, &value) in indices.iter().zip(values) {
            let Some(slot) = self.slots.get_mut(index).filter(|slot| slot.yielded.is_none()) else { continue };
            if let Some(value) = value.filter(|value| slot.in_doubt == Some(*value)) {
                slot.confirm(value);
            } else if slot.accepted.is_none() {
                lost |= self.may_be_new && slot.in_doubt.is_some();
            } else if value == slot.accepted {
                // What is in doubt did not arrive, or has not yet. What was refused is none the better for the old value
                // being there; only a value accepted since then is.
                slot.refusal = slot.refusal.take().filter(|_| slot.verified);
                slot.verified = true;
                back_at_start &= slot.start == slot.accepted;
            } else {
                back_at_start &= slot.verified && value == slot.start;
                differing.push((index, value));
            }
        }
        let differs = !differing.is_empty();
        if (differs || lost) && (self.may_be_new || (differs && back_at_start)) {
            for (&index, &value) in indices.iter().zip(values) {
                if let Some(slot) = self.slots.get_mut(index) {
                    slot.start = value.or(slot.start);
                }
            }
            self.respawned(now);
        } else {
            differing.into_iter().for_each(|(index, value)| self.differs(now, index, value));
        }
        self.came_back(now);
    }

    /// The server has a value that it was not given here.
    fn differs(&mut self, now: Moment, index: usize, theirs: Option<RosValue>) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(ours) = slot.accepted else { return };
        if !slot.verified {
            let ros_parameter = slot.name().to_owned();
            let found = theirs.map_or_else(|| "no number".to_owned(), |theirs| theirs.to_string());
            slot.accepted = None;
            return self.refuse(now, index, &format!("{ours} was accepted, but {ros_parameter} reads back {found}"));
        }
        slot.conflict_read_at = Some(now);
        self.conflict(index, theirs);
    }
}

const NOT_DECLARED: &str =
    "not declared; is the node configured, and is the controller's id in controller_plugins the one in the mapping?";

/// Whether a sentence names a ROS parameter, and not one whose name merely begins or ends like it.
fn mentions(sentence: &str, name: &str) -> bool {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    sentence.match_indices(name).any(|(at, _)| {
        let before = sentence.get(..at).and_then(|text| text.chars().next_back());
        let mut after = sentence.get(at + name.len()..).into_iter().flat_map(str::chars);
        let ends = match after.next() {
            // A full stop may end the sentence.
            Some('.') => !after.next().is_some_and(in_name),
            Some(c) => !in_name(c),
            None => true,
        };
        ends && !before.is_some_and(|c| in_name(c) || c == '.')
    })
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn a_name_is_mentioned_as_a_whole() {
        let name = "FollowPath.max_vel_x";
        assert!(mentions("Wrong parameter type, parameter {FollowPath.max_vel_x} is of type {double}", name));
        assert!(mentions("parameter 'FollowPath.max_vel_x' cannot be set", name));
        assert!(mentions("I do not like FollowPath.max_vel_x.", name));
        assert!(!mentions("FollowPath.max_vel_x_backwards is wrong", name));
        assert!(!mentions("FollowPath.max_vel_x.scale is wrong", name));
        assert!(!mentions("OtherFollowPath.max_vel_x or a.FollowPath.max_vel_x", name));
        assert!(!mentions("One or more parameters were not declared before setting", name));
    }
}
