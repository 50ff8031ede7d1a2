//! When a change is worth a set. Each set costs a planner something: DWB frees what its control loop may be reading
//! (navigation2#5706), MPPI restarts its optimiser.

use super::InvalidMapping;
use super::mapping_file::ApplyEntry;

/// How often, and for how much, a mapping's parameters are set. Shares are of a parameter's range.
///
/// A batch is due when one parameter has changed by its least change since it was last set, and all together by
/// [`Self::accumulated`]; at a new goal, or while the robot stands, smaller changes will do if the mapping says so. It
/// carries everything that differs. What a node has never had, and the safe defaults, are due at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ApplyRules {
    pub(super) apply_rate: Option<f64>,
    pub(super) min_change: f64,
    pub(super) accumulated: f64,
    pub(super) at_new_goal: bool,
    pub(super) while_standing: bool,
}

impl Default for ApplyRules {
    /// No rule: the limits of the node alone count.
    fn default() -> Self {
        Self { apply_rate: None, min_change: 0.0, accumulated: 0.0, at_new_goal: false, while_standing: false }
    }
}

impl ApplyRules {
    /// Most sets a second on one node, if the mapping has a limit of its own.
    pub fn apply_rate(&self) -> Option<f64> {
        self.apply_rate
    }

    /// The least change of a parameter that has none of its own.
    pub fn min_change(&self) -> f64 {
        self.min_change
    }

    /// The least sum of all changes since the last set.
    pub fn accumulated(&self) -> f64 {
        self.accumulated
    }

    /// Whether a change that is too small otherwise is worth a set now.
    pub(super) fn takes_small_changes(&self, occasion: Occasion) -> bool {
        (self.at_new_goal && occasion.new_goal) || (self.while_standing && occasion.standing)
    }

    pub(super) fn checked(entry: &ApplyEntry) -> Result<Self, InvalidMapping> {
        let wrong = |field, found: f64, expected| {
            Err(InvalidMapping::Field { parameter: "apply".to_owned(), field, found: found.to_string(), expected })
        };
        if let Some(rate) = entry.apply_rate.filter(|rate| !(0.01..=20.0).contains(rate)) {
            return wrong("apply_rate", rate, "0.01 to 20 Hz");
        }
        if !(0.0..=0.5).contains(&entry.min_change) {
            return wrong("min_change", entry.min_change, "a share of the range from 0 to 0.5");
        }
        if !(0.0..=10.0).contains(&entry.accumulated_change) {
            return wrong("accumulated_change", entry.accumulated_change, "a sum of shares of the ranges from 0 to 10");
        }
        Ok(Self {
            apply_rate: entry.apply_rate,
            min_change: entry.min_change,
            accumulated: entry.accumulated_change,
            at_new_goal: entry.small_changes.at_new_goal,
            while_standing: entry.small_changes.while_standing,
        })
    }
}

/// What the robot is doing, as far as it makes a set cheap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Occasion {
    /// A goal has come since the last set.
    pub(super) new_goal: bool,
    /// It does not move.
    pub(super) standing: bool,
}
