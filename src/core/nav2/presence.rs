//! Whether a node is there, whether it is a new one, and whether setting parameters killed the old.

use std::time::Duration;

use super::applier::Applier;
use super::{LifecycleState, Notice};
use crate::planner::guard::Moment;

/// A process that ends says goodbye to the ROS graph, and its services are gone at once. One that is killed, or crashes,
/// stays in the graph until its DDS lease ends, 20 s unless somebody set less.
const GOODBYE: Duration = Duration::from_secs(5);

impl Applier {
    pub(super) fn availability(&mut self, now: Moment, there: bool) {
        if there == self.available {
            return;
        }
        self.available = there;
        if there {
            self.poll_soon(now);
            self.set_backoff.reset();
            return;
        }
        self.left(now);
        self.abandon();
        self.note_absence(now);
        self.may_be_new = true;
        self.died(now);
        self.forget_process();
    }

    /// The node has gone from the graph: so soon after it answered only one goes that ends in order.
    pub(super) fn left(&mut self, now: Moment) {
        if self.answered.is_some_and(|answered| now.since(answered) <= GOODBYE) {
            (self.said_goodbye, self.suspect) = (true, false);
        }
    }

    /// Reads at once what the new process has. Only if our values are gone is it one that was not known of: then it is a
    /// respawn, and perhaps the death of the one before.
    pub(super) fn replaced(&mut self, now: Moment) {
        self.abandon();
        self.may_be_new = true;
        if !self.away {
            self.suspect = self.is_right_after_a_set(now);
        }
        self.forget_process();
        self.poll_soon(now);
    }

    /// The first sign that the node may be gone: was it right after a set?
    pub(super) fn note_absence(&mut self, now: Moment) {
        if !self.away {
            self.away = true;
            self.suspect = self.is_right_after_a_set(now);
        }
    }

    fn is_right_after_a_set(&self, now: Moment) -> bool {
        !self.said_goodbye && self.last_set.is_some_and(|last| now.since(last) <= self.limits.death_window)
    }

    /// The node is another process than before: nothing that was set is there.
    pub(super) fn respawned(&mut self, now: Moment) {
        self.died(now);
        let had_ours = self.slots.iter().any(|slot| slot.accepted.is_some() || slot.in_doubt.is_some());
        for slot in &mut self.slots {
            slot.forget();
            (slot.in_use, slot.before_cleanup) = (None, None);
        }
        self.set_backoff.reset();
        self.follow_up = true;
        if had_ours && self.halted.is_none() {
            self.notices.push(Notice::Respawned { node: self.node.clone() });
        }
    }

    /// The node answered a read: it is there.
    pub(super) fn came_back(&mut self, now: Moment) {
        if self.away && self.may_be_new {
            self.notices.push(Notice::Back { node: self.node.clone() });
            // A node that was away is tried at once. One that answers reads and swallows sets is not.
            self.set_backoff.reset();
            self.poll_at = now + self.limits.poll_interval;
        }
        (self.away, self.may_be_new, self.suspect) = (false, false, false);
        self.said_goodbye = self.lifecycle.is_some_and(|state| state != LifecycleState::Active);
    }

    /// Counts a death where the node went away right after a set, once for each absence.
    fn died(&mut self, now: Moment) {
        if !std::mem::take(&mut self.suspect) {
            return;
        }
        self.counts.deaths += 1;
        self.notices.push(Notice::Died { node: self.node.clone() });
        self.deaths.push_back(now);
        while self.deaths.front().is_some_and(|first| now.since(*first) > self.limits.deaths_within) {
            self.deaths.pop_front();
        }
        if self.deaths.len() >= self.limits.deaths {
            let (deaths, seconds) = (self.deaths.len(), self.limits.deaths_within.as_secs());
            self.halt(format!(
                "it went away {deaths} times within {seconds} s, each time right after a set and with no goodbye"
            ));
        }
    }

    pub(super) fn halt(&mut self, why: String) {
        self.abandon();
        self.notices.push(Notice::Halted { node: self.node.clone(), why: why.clone() });
        self.halted = Some(why);
    }
}
