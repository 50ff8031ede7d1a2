//! What all steps of a log have in common. Steps of different sessions are not mixed by accident.

use planner_tuner_core::identity::{ExtractorId, PolicyId};

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
