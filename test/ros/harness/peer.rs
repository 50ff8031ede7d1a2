//! What a test asks of peer.py, and what it hears of the tuner through it.

use std::time::Duration;

use serde_json::Value;

use super::PATIENCE;
use super::process::Process;

/// A [`Process`] of peer.py.
pub struct Peer(pub Process);

impl Peer {
    pub fn tell(&mut self, command: Value) {
        self.0.tell(command);
    }

    /// Waits until the tuner is in a state, and returns its status.
    pub fn state(&mut self, state: &str, patience: Duration) -> Value {
        self.0.wait_for(&format!("state {state}"), patience, |line| {
            line["event"] == "status" && line["values"]["state"] == state
        })
    }

    /// As [`Self::state`] for what lies below Shadow and Disabled.
    pub fn health(&mut self, health: &str, patience: Duration) -> Value {
        self.0.wait_for(&format!("health {health}"), patience, |line| {
            line["event"] == "status" && line["values"]["health"] == health
        })
    }

    pub fn reason(&mut self, reason: &str, patience: Duration) -> Value {
        self.0.wait_for(&format!("reason {reason}"), patience, |line| {
            line["event"] == "status" && line["values"]["reason"] == reason
        })
    }

    pub fn decision(&mut self, patience: Duration) -> Value {
        self.0.event("decision", patience)
    }

    pub fn answer(&mut self, service: &str) -> Value {
        self.0.wait_for(&format!("answer of {service}"), PATIENCE, |line| {
            line["event"] == "answer" && line["service"].as_str().is_some_and(|name| name.ends_with(service))
        })
    }

    /// The decision of which every parameter has a status that fits.
    pub fn decision_with(&mut self, what: &str, patience: Duration, fits: impl Fn(&Value) -> bool) -> Value {
        self.0.wait_for(what, patience, |line| line["event"] == "decision" && fits(line))
    }
}

/// The status of one parameter in a decision.
pub fn status_of(decision: &Value, parameter: &str) -> String {
    let lines = decision["parameters"].as_array().unwrap();
    let name = format!("planner_tuner: {parameter}");
    lines
        .iter()
        .find(|line| line["name"] == *name)
        .map_or("absent".into(), |line| line["status"].as_str().unwrap().into())
}
