//! One ROS parameter of one node: what is wanted, what the server took, what became of it.

use std::collections::VecDeque;
use std::time::Duration;

use super::{LifecycleState, RosValue, Target};
use crate::planner::guard::Moment;

/// What became of a ROS parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetStatus {
    /// On its way, or accepted and not read back yet.
    Pending,
    /// Accepted, read back, and in use.
    Applied,
    /// Accepted and read back, but the node does not use it while it runs.
    Stored {
        /// What to do about it.
        remedy: String,
    },
    /// The node does not use its parameters now.
    NotInUse {
        /// The state that it is in.
        state: LifecycleState,
    },
    /// The controller that has this value is asked for, it is there, and somebody listens.
    Selected,
    /// The controller that has this value is asked for, and nothing says that it drives.
    NotSelected {
        /// Why not.
        why: String,
    },
    /// The server refused it.
    Refused {
        /// Its own words.
        words: String,
    },
    /// The node is not there or does not answer.
    Unreachable,
    /// Somebody else set another value, which is left alone.
    Yielded {
        /// Their value; `None` for something that is not a number.
        theirs: Option<RosValue>,
    },
    /// Nothing is set on this node any more.
    Stopped {
        /// Why.
        why: String,
    },
    /// Published only, as the mapping says.
    Published,
}

impl TargetStatus {
    /// A stable name for programs.
    pub fn name(&self) -> &'static str {
        match self {
            TargetStatus::Pending => "pending",
            TargetStatus::Applied => "applied",
            TargetStatus::Stored { .. } => "stored",
            TargetStatus::NotInUse { .. } => "not_in_use",
            TargetStatus::Selected => "selected",
            TargetStatus::NotSelected { .. } => "not_selected",
            TargetStatus::Refused { .. } => "refused",
            TargetStatus::Unreachable => "unreachable",
            TargetStatus::Yielded { .. } => "yielded",
            TargetStatus::Stopped { .. } => "stopped",
            TargetStatus::Published => "published",
        }
    }
}

/// Waits of 1, 2, 4, 8, 10, 10 .. s.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Backoff {
    tries: u32,
    until: Moment,
}

impl Backoff {
    const LONGEST: Duration = Duration::from_secs(10);

    /// Another failure: waits longer.
    pub(super) fn fail(&mut self, now: Moment) -> Duration {
        let wait = Duration::from_secs(1 << self.tries.min(4)).min(Self::LONGEST);
        self.tries = self.tries.saturating_add(1);
        self.until = now + wait;
        wait
    }

    /// A success: the next try may follow at once.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_over(&self, now: Moment) -> bool {
        now >= self.until
    }

    pub(super) fn has_failed(&self) -> bool {
        self.tries > 0
    }
}

/// A refusal, and when to ask again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) words: String,
    pub(super) backoff: Backoff,
}

/// The state of one ROS parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slot {
    pub(super) target: Target,
    pub(super) wanted: Option<RosValue>,
    /// What the server said it took.
    pub(super) accepted: Option<RosValue>,
    /// What was sent and not answered: the server may have it or not.
    pub(super) in_doubt: Option<RosValue>,
    /// The accepted value has been read back.
    pub(super) verified: bool,
    /// What the planner had before it was touched.
    pub(super) start: Option<RosValue>,
    /// The node knows the parameter: it can be read.
    pub(super) declared: bool,
    pub(super) refusal: Option<Refusal>,
    /// Somebody else's value.
    pub(super) yielded: Option<Option<RosValue>>,
    /// Somebody else's value that a set of ours has overwritten: it was on its way already.
    pub(super) give_back: Option<RosValue>,
    /// What was sent, and when, until the node tells of it.
    echoes: VecDeque<(Moment, RosValue)>,
    /// When a read found somebody else's value, of which the node may tell only later.
    pub(super) conflict_read_at: Option<Moment>,
    /// What the node had when it was configured last, if that was seen: a parameter that is not live is in use with this
    /// value.
    pub(super) in_use: Option<RosValue>,
    /// What it took before it was cleaned up.
    pub(super) before_cleanup: Option<RosValue>,
}

/// How long a node may take to tell of a set.
const ECHO_TAKES: Duration = Duration::from_secs(5);

impl Slot {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            wanted: None,
            accepted: None,
            in_doubt: None,
            verified: false,
            start: None,
            declared: false,
            refusal: None,
            yielded: None,
            give_back: None,
            echoes: VecDeque::new(),
            conflict_read_at: None,
            in_use: None,
            before_cleanup: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.target.ros_parameter
    }

    /// The value to set, and how far it is from what the server has, as a share of the range: infinitely far where that is
    /// not known. `None` when the server has it.
    pub(super) fn change(&self) -> Option<(RosValue, f64)> {
        if let Some(theirs) = self.give_back {
            return Some((theirs, f64::INFINITY));
        }
        let wanted = self.wanted.filter(|_| self.yielded.is_none())?;
        let Some(accepted) = self.accepted.filter(|_| self.in_doubt.is_none()) else {
            return Some((wanted, f64::INFINITY));
        };
        // Rounding must not turn a change of exactly the least one into one below it.
        let share = (wanted.as_f64() - accepted.as_f64()).abs() / self.target.range * (1.0 + 1e-9);
        (wanted != accepted).then_some((wanted, share))
    }

    /// The value is on its way.
    pub(super) fn sent(&mut self, now: Moment, value: RosValue) {
        self.echoes.push_back((now, value));
    }

    /// Whether this value, of which the node tells, was sent from here. What was sent before it is told of no more.
    pub(super) fn is_echo(&mut self, now: Moment, value: Option<RosValue>) -> bool {
        self.echoes.retain(|(at, _)| now.since(*at) <= ECHO_TAKES);
        let found = self.echoes.iter().position(|(_, sent)| Some(*sent) == value);
        found.map(|position| self.echoes.drain(..=position)).is_some()
    }

    /// The server says it took the value. A refusal before is forgotten when the value has been read back: a server that
    /// accepts and forgets must not be asked again without a pause.
    pub(super) fn accept(&mut self, value: RosValue) {
        (self.accepted, self.in_doubt, self.verified, self.declared) = (Some(value), None, false, true);
        self.give_back = self.give_back.filter(|theirs| *theirs != value);
    }

    /// The server has the value.
    pub(super) fn confirm(&mut self, value: RosValue) {
        self.accept(value);
        (self.verified, self.refusal) = (true, None);
    }

    pub(super) fn refuse(&mut self, now: Moment, words: &str) {
        let mut backoff = self.refusal.take().map(|refusal| refusal.backoff).unwrap_or_default();
        backoff.fail(now);
        (self.in_doubt, self.give_back) = (None, None);
        self.echoes.clear();
        self.refusal = Some(Refusal { words: words.to_owned(), backoff });
    }

    /// Nothing is known of what the server has.
    pub(super) fn forget(&mut self) {
        (self.accepted, self.in_doubt, self.verified, self.refusal, self.yielded) = (None, None, false, None, None);
        (self.give_back, self.conflict_read_at) = (None, None);
        self.echoes.clear();
    }
}
