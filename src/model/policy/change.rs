//! How far one policy's parameters lie from another's.

use std::fmt;

use planner_tuner_core::planner::PlannerParameters;

/// What a new policy would change, on frames that both have decided.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyChange {
    frames: usize,
    parameters: Vec<ParameterChange>,
}

/// The change of one parameter, as shares of its range.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterChange {
    /// The parameter.
    pub name: String,
    /// Mean over the frames.
    pub mean: f64,
    /// The largest of all frames.
    pub largest: f64,
}

impl PolicyChange {
    /// A change beyond this share of a parameter's range is large.
    pub const LARGE: f64 = 0.5;

    /// Compares what the old policy and the new one make of each frame.
    pub fn between(decisions: &[(PlannerParameters, PlannerParameters)]) -> Self {
        let mut parameters: Vec<ParameterChange> = Vec::new();
        for (old, new) in decisions {
            for (index, ((spec, old), (_, new))) in old.iter().zip(new.iter()).enumerate() {
                let share = (new - old).abs() / (spec.max() - spec.min());
                match parameters.get_mut(index) {
                    Some(change) => {
                        change.mean += share / decisions.len() as f64;
                        change.largest = change.largest.max(share);
                    }
                    None => {
                        let (name, mean) = (spec.name().to_owned(), share / decisions.len() as f64);
                        parameters.push(ParameterChange { name, mean, largest: share });
                    }
                }
            }
        }
        Self { frames: decisions.len(), parameters }
    }

    /// Frames that were compared; 0 before the first decision.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Every parameter in the planner file's order; none without a frame.
    pub fn parameters(&self) -> &[ParameterChange] {
        &self.parameters
    }

    /// The parameter that changes most.
    pub fn largest(&self) -> Option<&ParameterChange> {
        self.parameters.iter().max_by(|a, b| a.largest.total_cmp(&b.largest))
    }

    /// Whether a parameter jumps by more than [`Self::LARGE`].
    pub fn is_large(&self) -> bool {
        self.parameters.iter().any(|change| change.largest > Self::LARGE)
    }
}

impl fmt::Display for PolicyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.frames == 0 {
            return f.write_str("no decision to compare with yet");
        }
        let frames = if self.frames == 1 { "frame" } else { "frames" };
        write!(f, "changes on the last {} {frames} in % of each range:", self.frames)?;
        for (index, change) in self.parameters.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            let (largest, mean) = (change.largest * 100.0, change.mean * 100.0);
            write!(f, "{separator} {} {largest:.1} (mean {mean:.1})", change.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use planner_tuner_core::planner::PlannerSpec;

    fn decided(first: f32) -> PlannerParameters {
        PlannerSpec::builtin("dwa").unwrap().from_action(&[first, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).unwrap()
    }

    #[test]
    fn changes_are_shares_of_the_range() {
        let change = PolicyChange::between(&[(decided(0.0), decided(0.5)), (decided(0.5), decided(0.5))]);
        let largest = change.largest().unwrap();
        assert_eq!((largest.name.as_str(), change.frames()), ("max_vel_x", 2));
        assert!((largest.largest - 0.25).abs() < 1e-9 && (largest.mean - 0.125).abs() < 1e-9, "{largest:?}");
        assert!(change.parameters().iter().skip(1).all(|change| change.largest == 0.0));
        assert!(!change.is_large());
        assert!(
            change
                .to_string()
                .contains("last 2 frames in % of each range: max_vel_x 25.0 (mean 12.5), max_vel_theta 0.0")
        );
    }

    #[test]
    fn half_of_a_range_is_not_yet_large() {
        assert!(!PolicyChange::between(&[(decided(-0.5), decided(0.5))]).is_large());
        assert!(PolicyChange::between(&[(decided(-0.5), decided(0.52))]).is_large());
        assert!(!PolicyChange::between(&[]).is_large());
        assert_eq!(PolicyChange::between(&[]).to_string(), "no decision to compare with yet");
    }
}
