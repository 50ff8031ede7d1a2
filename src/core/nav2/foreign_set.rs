//! Somebody else sets a parameter of ours.
//!
//! Nodes tell of every set on `/parameter_events`, in the order in which they came, and not by whose doing. What was sent
//! from here is known; everything else is somebody else's. A look at the values twice a second would find most of it too
//! late: the next set from here overwrites it unseen.

use std::time::Duration;

use super::applier::Applier;
use super::{Notice, OnConflict, RosValue};
use crate::planner::guard::Moment;

/// A read and the node's own word are about the same set if they come this soon after one another.
const SAME_SET: Duration = Duration::from_secs(2);

impl Applier {
    /// The node tells of new values.
    pub(super) fn changed(&mut self, now: Moment, values: &[(String, Option<RosValue>)]) {
        for (name, value) in values {
            let Some(index) = self.slots.iter().position(|slot| slot.name() == name) else { continue };
            let Some(slot) = self.slots.get_mut(index) else { continue };
            if slot.is_echo(now, *value) {
                // Ours came after theirs: it was on its way when theirs was told of.
                if let Some(Some(theirs)) = slot.yielded.filter(|theirs| theirs != value) {
                    slot.give_back = Some(theirs);
                    self.follow_up = true;
                }
                continue;
            }
            let is_known = slot.conflict_read_at.take().is_some_and(|read| now.since(read) <= SAME_SET)
                && slot.yielded == Some(*value);
            if slot.wanted.is_some() && self.halted.is_none() && !is_known {
                self.conflict(index, *value);
            }
        }
    }

    /// Says so, and does what the operator wants done about it.
    pub(super) fn conflict(&mut self, index: usize, theirs: Option<RosValue>) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let ros_parameter = slot.name().to_owned();
        let ours = slot.accepted.or(slot.wanted);
        let consequence = match self.limits.on_conflict {
            OnConflict::Yield => {
                (slot.yielded, slot.give_back) = (Some(theirs), None);
                "theirs is left until the tuner is enabled again or the planner restarts"
            }
            OnConflict::Insist => {
                (slot.accepted, slot.verified) = (None, false);
                "ours is set again"
            }
            OnConflict::Stop => "nothing is set any more",
        };
        let node = self.node.clone();
        let notice = Notice::Conflict { node, ros_parameter: ros_parameter.clone(), ours, theirs, consequence };
        self.counts.conflicts += 1;
        self.counts.last_conflict = Some(notice.to_string());
        self.notices.push(notice);
        if self.limits.on_conflict == OnConflict::Stop {
            self.halt(format!("somebody else changed {ros_parameter}, and on_conflict is stop"));
        }
    }
}
