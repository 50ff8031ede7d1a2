//! Whether a node uses its parameters: the states of managed nodes, and what they mean for what was set.

use std::fmt;

use super::applier::{Applier, Phase};
use super::{Notice, RosValue};
use crate::planner::guard::Moment;

/// State of a managed node, as in `lifecycle_msgs/State`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleState {
    /// Started, or cleaned up.
    Unconfigured,
    /// On its way to [`Self::Inactive`]: it reads its parameters.
    Configuring,
    /// Configured, not working.
    Inactive,
    /// Working, or about to.
    Active,
    /// On its way from active to inactive, to unconfigured, or out.
    Leaving,
    /// About to end.
    Finalized,
}

impl LifecycleState {
    /// From the number in `lifecycle_msgs/State`; `None` for unknown ones.
    pub fn from_id(id: u8) -> Option<Self> {
        Some(match id {
            1 => Self::Unconfigured,
            2 => Self::Inactive,
            3 | 13 => Self::Active,
            4 => Self::Finalized,
            10 => Self::Configuring,
            // Cleaning up, shutting down, deactivating, processing an error.
            11 | 12 | 14 | 15 => Self::Leaving,
            _ => return None,
        })
    }

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unconfigured => "unconfigured",
            Self::Configuring => "configuring",
            Self::Inactive => "inactive",
            Self::Active => "active",
            Self::Leaving => "being deactivated or shut down",
            Self::Finalized => "finalized",
        }
    }

    /// Whether parameters can be read and set: before that the services of a costmap are there and nobody answers, and a
    /// controller server knows no parameter of its plugins.
    pub(super) fn takes_parameters(self) -> bool {
        matches!(self, Self::Inactive | Self::Active)
    }
}

impl fmt::Display for LifecycleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Applier {
    /// The node is in this state now.
    pub(super) fn entered(&mut self, now: Moment, state: LifecycleState) {
        let before = self.lifecycle.replace(state);
        if before == Some(state) {
            return;
        }
        // A node that is deactivated or shut down says goodbye: what becomes of its process is no death by a set.
        self.said_goodbye = state != LifecycleState::Active && (before.is_some() || !state.takes_parameters());
        if self.said_goodbye {
            self.suspect = false;
        }
        match state {
            // What the node has from now on is not in use, and nobody answers: nothing is known until it is set again.
            LifecycleState::Unconfigured | LifecycleState::Finalized => {
                self.abandon();
                self.slots.iter_mut().for_each(|slot| {
                    slot.before_cleanup = slot.accepted.or(slot.before_cleanup);
                    slot.forget();
                    slot.in_use = None;
                });
                (self.phase, self.away) = (Phase::Unread, false);
            }
            // It reads its parameters, those that were only stored among them.
            LifecycleState::Inactive | LifecycleState::Active => {
                let has_configured = matches!(before, Some(LifecycleState::Unconfigured | LifecycleState::Configuring));
                if has_configured {
                    self.abandon();
                    self.slots.iter_mut().for_each(super::slot::Slot::forget);
                    (self.phase, self.has_configured) = (Phase::Unread, true);
                    self.follow_up = true;
                }
                self.poll_soon(now);
            }
            LifecycleState::Configuring | LifecycleState::Leaving => {}
        }
    }

    /// The first values read after the node was configured: they are in use, whatever was stored before.
    pub(super) fn in_use_from_now(&mut self, index: usize, value: Option<RosValue>) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.in_use = value;
        let was_stored = slot.before_cleanup.take().is_some_and(|stored| Some(stored) == value);
        if was_stored && !slot.target.is_live() {
            let ros_parameter = slot.name().to_owned();
            self.notices.push(Notice::InUse { node: self.node.clone(), ros_parameter, value });
        }
    }
}
