//! What the operator should be told about the planner's nodes.

use std::fmt;
use std::time::Duration;

use super::{NodeName, RosValue};
use crate::planner::guard::Level;

/// Something that happened while parameters were being set. [`fmt::Display`] is the sentence for the log.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// A parameter will be accepted and not used.
    NotLive {
        /// The node.
        node: NodeName,
        /// The ROS parameter.
        ros_parameter: String,
        /// What to do about it.
        remedy: String,
    },
    /// The node is not there; said again after 1, 2, 4 .. 10 s.
    Unreachable {
        /// The node.
        node: NodeName,
        /// When it is said again, or tried again.
        again_in: Duration,
    },
    /// Three calls in a row were not answered; said once, until one is.
    NotAnswering {
        /// The node.
        node: NodeName,
        /// It has answered before. One that never has is not configured yet, as a rule.
        has_answered: bool,
    },
    /// A value that was only stored is in use: the node was configured again.
    InUse {
        /// The node.
        node: NodeName,
        /// The ROS parameter.
        ros_parameter: String,
        /// The value.
        value: Option<RosValue>,
    },
    /// The node is there and answers, after it was not.
    Back {
        /// The node.
        node: NodeName,
    },
    /// The node was restarted; parameters are set again.
    Respawned {
        /// The node.
        node: NodeName,
    },
    /// The server refused a parameter.
    Refused {
        /// The node.
        node: NodeName,
        /// The ROS parameter.
        ros_parameter: String,
        /// The server's words.
        words: String,
    },
    /// Somebody else changed a parameter.
    Conflict {
        /// The node.
        node: NodeName,
        /// The ROS parameter.
        ros_parameter: String,
        /// What was set, or wanted.
        ours: Option<RosValue>,
        /// What it is now; `None` for something that is not a number.
        theirs: Option<RosValue>,
        /// What is done about it.
        consequence: &'static str,
    },
    /// The node went away right after a set, and not as one that is shut down.
    Died {
        /// The node.
        node: NodeName,
    },
    /// Nothing is set any more.
    Halted {
        /// The node.
        node: NodeName,
        /// Why.
        why: String,
    },
}

impl Notice {
    /// How bad it is.
    pub fn level(&self) -> Level {
        match self {
            Notice::Back { .. } | Notice::InUse { .. } => Level::Ok,
            Notice::NotAnswering { has_answered: true, .. } | Notice::Died { .. } | Notice::Halted { .. } => {
                Level::Error
            }
            _ => Level::Warn,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::NotLive { node, ros_parameter, remedy } => {
                write!(f, "{node} accepts {ros_parameter} and does not use it while it runs. {remedy}")
            }
            Notice::Unreachable { node, again_in } => {
                write!(f, "not applied: {node} is not there; next word in {} s", again_in.as_secs())
            }
            Notice::NotAnswering { node, has_answered: true } => {
                write!(f, "{node} left three calls unanswered; it is asked on until it answers")
            }
            Notice::NotAnswering { node, has_answered: false } => {
                write!(
                    f,
                    "{node} has its services there and answers none: as a rule it is not configured yet; asked again \
                     after 1, 2, 4 .. 10 s"
                )
            }
            Notice::InUse { node, ros_parameter, value } => {
                let value = value.map_or_else(|| "no number".to_owned(), |value| value.to_string());
                write!(f, "{node} was configured: {ros_parameter} {value}, which was only stored, is in use now")
            }
            Notice::Back { node } => write!(f, "{node} is there"),
            Notice::Respawned { node } => write!(f, "{node} was restarted and has its own values; ours are set again"),
            Notice::Refused { node, ros_parameter, words } => write!(f, "{node} refused {ros_parameter}: {words}"),
            Notice::Conflict { node, ros_parameter, ours, theirs, consequence } => {
                let word = |value: &Option<RosValue>| value.map_or_else(|| "no number".to_owned(), |v| v.to_string());
                let (ours, theirs) = (word(ours), word(theirs));
                write!(f, "somebody changed {ros_parameter} of {node} from {ours} to {theirs}; {consequence}")
            }
            Notice::Died { node } => {
                write!(f, "{node} went away right after its parameters were set, and with no goodbye")
            }
            Notice::Halted { node, why } => write!(f, "{node}: nothing is set any more: {why}"),
        }
    }
}
