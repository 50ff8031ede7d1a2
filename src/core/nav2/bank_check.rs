//! Whether the controllers of a bank are there, with the values that the bank says they have.

use super::{CallId, Command, ControllerBank, Event, LifecycleState, NodeName, RosValue};
use crate::planner::guard::Moment;
use std::time::Duration;

/// The numbers of these calls are beyond those of any [`super::Applier`].
const FIRST_CALL: u64 = 1 << 63;
/// Between two looks while some controller has not been looked at yet.
const EVERY: Duration = Duration::from_millis(100);
/// And afterwards.
const LATER: Duration = Duration::from_millis(500);
/// A look that is not answered for so long is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of a controller.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    /// Nothing.
    Unknown,
    /// It is not declared.
    Missing,
    /// A parameter has another value than the bank says.
    Differs { ros_parameter: String, expected: RosValue, found: Option<RosValue> },
    /// It is there, as the bank says.
    There,
}

/// Looks at one controller after the other.
#[derive(Debug, Clone)]
pub(super) struct BankCheck {
    node: NodeName,
    bank: ControllerBank,
    found: Vec<Found>,
    looked_at: usize,
    pending: Option<(CallId, usize, Moment)>,
    next_at: Moment,
    calls: u64,
    available: bool,
    pub(super) lifecycle: Option<LifecycleState>,
}

impl BankCheck {
    /// `None` for a bank whose controllers have no parameters of their own.
    pub(super) fn new(bank: &ControllerBank) -> Option<Self> {
        Some(Self {
            node: bank.node()?.clone(),
            found: vec![Found::Unknown; bank.controllers().len()],
            bank: bank.clone(),
            looked_at: 0,
            pending: None,
            next_at: Moment::default(),
            calls: FIRST_CALL,
            available: false,
            lifecycle: None,
        })
    }

    pub(super) fn node(&self) -> &NodeName {
        &self.node
    }

    /// What is known of the controller of this id.
    pub(super) fn found(&self, id: &str) -> &Found {
        let position = self.bank.controllers().iter().position(|controller| controller.id() == id);
        position.and_then(|position| self.found.get(position)).unwrap_or(&Found::Unknown)
    }

    /// Something happened at the node.
    pub(super) fn handle(&mut self, now: Moment, event: &Event) -> Option<Command> {
        match event {
            Event::Available(there) => {
                if !*there {
                    self.forget();
                }
                self.available = *there;
            }
            Event::Replaced | Event::Left => {
                self.forget();
                self.lifecycle = None;
            }
            Event::Lifecycle(state) => {
                if !state.takes_parameters() {
                    self.forget();
                }
                self.lifecycle = Some(*state);
            }
            Event::GetResult { call, values } => {
                if let Some((_, index, _)) = self.pending.take_if(|(pending, ..)| pending == call) {
                    self.take(index, values);
                }
            }
            Event::CallFailed { call } => drop(self.pending.take_if(|(pending, ..)| pending == call)),
            Event::Tick | Event::SetResult { .. } | Event::Changed(_) => {}
        }
        self.next(now)
    }

    fn forget(&mut self) {
        self.found.fill(Found::Unknown);
        self.pending = None;
    }

    fn take(&mut self, index: usize, values: &[Option<RosValue>]) {
        let Some(controller) = self.bank.controllers().get(index) else { return };
        let expected = controller.expected();
        let found = if values.len() == expected.len() {
            let differing = expected.iter().zip(values).find(|((.., value), found)| **found != Some(*value));
            match differing {
                None => Found::There,
                Some(((_, ros_parameter, expected), found)) => {
                    let ros_parameter = ros_parameter.clone();
                    Found::Differs { ros_parameter, expected: *expected, found: *found }
                }
            }
        } else {
            Found::Missing
        };
        if let Some(slot) = self.found.get_mut(index) {
            *slot = found;
        }
    }

    fn next(&mut self, now: Moment) -> Option<Command> {
        self.pending.take_if(|(.., since)| now.since(*since) > PATIENCE);
        let takes_parameters = self.lifecycle.is_none_or(LifecycleState::takes_parameters);
        if self.pending.is_some() || now < self.next_at || !self.available || !takes_parameters {
            return None;
        }
        self.looked_at = (self.looked_at + 1) % self.found.len().max(1);
        let names = self.bank.controllers().get(self.looked_at)?.expected().iter().map(|(_, name, _)| name.clone());
        let names = names.collect();
        self.calls += 1;
        let call = CallId(self.calls);
        self.pending = Some((call, self.looked_at, now));
        self.next_at = now + if self.found.contains(&Found::Unknown) { EVERY } else { LATER };
        Some(Command::Get { call, names })
    }
}

/// Whether a call is one of these.
pub(super) fn is_ours(call: CallId) -> bool {
    call.0 > FIRST_CALL
}
