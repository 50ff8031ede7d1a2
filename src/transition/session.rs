//! What all steps of a log have in common. Steps of different sessions are not mixed by accident.

use std::fmt;

use serde::{Deserialize, Serialize};

/// SHA-256 of the actor's file, hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyId(pub String);

/// SHA-256 over all that a feature depends on: base model, adapter, DPT head, history encoder, prompt; hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExtractorId(pub String);

/// The head of a log: who decided, about what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Name of the episode: unique, sortable by time.
    pub episode: String,
    /// The planner file's name.
    pub planner: String,
    /// The planner's parameters in the action's order.
    pub parameters: Vec<String>,
    /// Length of a feature.
    pub feature_length: usize,
    /// Who acted.
    pub policy: PolicyId,
    /// Who looked.
    pub extractor: ExtractorId,
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ExtractorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
