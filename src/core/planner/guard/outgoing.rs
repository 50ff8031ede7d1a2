//! What goes out to the planner.

use super::Moment;
use crate::planner::PlannerParameters;
use crate::planner::envelope::{Envelope, Enveloped};

/// The envelope, and what went out last.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    envelope: Envelope,
    last: Option<Enveloped>,
    /// The safe defaults have been called for and nothing else since.
    safe_called: bool,
}

impl Outgoing {
    pub(super) fn new(envelope: Envelope) -> Self {
        Self { envelope, last: None, safe_called: false }
    }

    pub(super) fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Takes another envelope; what went out last stays.
    pub(super) fn set_envelope(&mut self, envelope: Envelope) {
        self.envelope = envelope;
    }

    pub(super) fn safe_called(&self) -> bool {
        self.safe_called
    }

    /// What a decision comes to within the envelope.
    pub(super) fn decision(&mut self, proposed: &PlannerParameters, now: Moment) -> Enveloped {
        let parameters = self.envelope.apply(proposed, self.last.as_ref(), now);
        self.safe_called = false;
        self.last.insert(parameters).clone()
    }

    /// The safe defaults, unless they have been called for already.
    pub(super) fn safe_defaults(&mut self, now: Moment) -> Option<Enveloped> {
        if std::mem::replace(&mut self.safe_called, true) {
            return None;
        }
        Some(self.last.insert(self.envelope.safe_defaults(now)).clone())
    }

    /// Whoever set parameters meanwhile, the safe defaults are not called for because of it.
    pub(super) fn leave_alone(&mut self) {
        self.safe_called = true;
    }

    /// What was set, if anything, is not known any more.
    pub(super) fn forget(&mut self) {
        (self.safe_called, self.last) = (false, None);
    }
}
