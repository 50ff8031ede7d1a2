//! What a model chose for one frame, as plain numbers.

use super::PlannerParameters;
use crate::numbers::{Action, Feature};

/// The numbers behind one decision: what was seen, what an actor made of it, what the planner is to get.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// What the head saw.
    pub feature: &'a Feature,
    /// The actor's output; `None` where the regression decided.
    pub action: Option<&'a Action>,
    /// The parameters, in range.
    pub parameters: &'a PlannerParameters,
}
