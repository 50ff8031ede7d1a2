//! What the sink wants done and what it is told.

use super::{LifecycleState, RosValue};

/// Numbers a call, so that an answer that comes too late is known as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(super) u64);

/// How several parameters are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetService {
    /// `set_parameters_atomically`: all or none, one answer, one run of the node's callbacks.
    Atomically,
    /// `set_parameters`: one by one, an answer for each. Used when a refusal does not say what it is about.
    Each,
}

/// What to do for one node.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Set parameters; answer with [`Event::SetResult`].
    Set {
        /// To be repeated in the answer.
        call: CallId,
        /// The service to call.
        service: SetService,
        /// ROS parameters and their values.
        values: Vec<(String, RosValue)>,
    },
    /// Call `get_parameters`; answer with [`Event::GetResult`].
    Get {
        /// To be repeated in the answer.
        call: CallId,
        /// ROS parameters.
        names: Vec<String>,
    },
}

/// What happened at one node.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Whether the node's parameter services are there.
    Available(bool),
    /// The node's endpoints are gone from the graph.
    Left,
    /// The node is in this state now (`get_state`, `transition_event`).
    Lifecycle(LifecycleState),
    /// The node tells that parameters have another value now (`/parameter_events`): by whose doing it does not tell. `None`
    /// for what is not a number.
    Changed(Vec<(String, Option<RosValue>)>),
    /// Another process of the same name has been seen. It may have been talked to already: discovery is told of it by
    /// several ways at once.
    Replaced,
    /// The answer to [`Command::Set`]: one for [`SetService::Atomically`], one a parameter for [`SetService::Each`].
    SetResult {
        /// From the command.
        call: CallId,
        /// As received.
        results: Vec<SetOutcome>,
    },
    /// The answer to [`Command::Get`].
    GetResult {
        /// From the command.
        call: CallId,
        /// As received, which is empty when one of the names is not declared. `None` for a parameter that is not set or
        /// neither double nor integer.
        values: Vec<Option<RosValue>>,
    },
    /// The call could not be made.
    CallFailed {
        /// From the command.
        call: CallId,
    },
    /// Time passed.
    Tick,
}

/// `rcl_interfaces/msg/SetParametersResult`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetOutcome {
    /// Whether the value was accepted.
    pub successful: bool,
    /// The server's words.
    pub reason: String,
}
