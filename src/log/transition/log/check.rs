//! What a step must be to be written, and to be read.

use super::step_fault::StepFault;
use crate::transition::{LogHead, Session, Step};

/// Why a record was not taken. The names are stable: summaries and scripts count by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StepRefusal {
    /// Not a step in the log's form.
    Unreadable,
    /// A number of the action, or of the action after noise, lies outside [-1, 1], or there are too few or too many.
    Action,
    /// The noise is not finite, or there is too little or too much of it.
    Noise,
    /// The reward is not finite or beyond the bound that the log declares.
    Reward,
    /// A term of the reward is not finite.
    Terms,
    /// The feature is not finite or not of the session's length.
    Feature,
    /// The parameters are not the session's, or not in its order, or one is not finite.
    Parameters,
    /// Pose or goal is not finite.
    Pose,
    /// Of another episode, policy or extractor than the file says.
    Session,
    /// A stamp before the clock's zero.
    Stamp,
    /// Not behind the steps before it.
    Order,
}

impl StepRefusal {
    /// The stable name, in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Action => "action_out_of_range",
            Self::Noise => "noise_out_of_range",
            Self::Reward => "reward_out_of_range",
            Self::Terms => "terms_not_finite",
            Self::Feature => "feature_length",
            Self::Parameters => "unknown_parameters",
            Self::Pose => "pose_not_finite",
            Self::Session => "other_session",
            Self::Stamp => "stamp",
            Self::Order => "order",
        }
    }
}

impl std::fmt::Display for StepRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a step fits its log.
pub(super) fn check(step: &Step, head: &LogHead) -> Result<(), StepFault> {
    let Session { parameters, feature_length, .. } = &head.session;
    if step.stamp.nanos() < 0 {
        return Err(StepFault::Stamp { nanos: step.stamp.nanos() });
    }
    for (name, length) in [("action", step.action.values().len()), ("explored", step.explored.values().len())] {
        if length != parameters.len() {
            return Err(StepFault::ActionLength { field: name, found: length, expected: parameters.len() });
        }
    }
    if step.noise.len() != parameters.len() || step.noise.iter().any(|noise| !noise.is_finite()) {
        return Err(StepFault::Noise { found: step.noise.clone(), expected: parameters.len() });
    }
    for (name, feature) in [("feature", Some(&step.feature)), ("next_feature", step.next_feature.as_ref())] {
        if let Some(length) = feature.map(|feature| feature.values().len()).filter(|length| length != feature_length) {
            return Err(StepFault::FeatureLength { field: name, found: length, expected: *feature_length });
        }
    }
    let names = step.parameters.iter().map(|parameter| &parameter.name);
    if !names.clone().eq(parameters) {
        let found = names.map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(StepFault::ParameterNames { found, expected: parameters.join(", ") });
    }
    if let Some(wrong) = step.parameters.iter().find(|parameter| !parameter.value.is_finite()) {
        return Err(StepFault::ParameterValue { name: wrong.name.clone(), value: wrong.value });
    }
    let pose = step.pose.map(|pose| [pose.position.x, pose.position.y, pose.yaw]);
    let goal = step.goal.map(|goal| [goal.x, goal.y]);
    if pose.iter().flatten().chain(goal.iter().flatten()).any(|number| !number.is_finite()) {
        return Err(StepFault::Pose { pose, goal });
    }
    let terms = [step.terms.progress_m, step.terms.nearest_laser_m];
    if terms.into_iter().flatten().any(|number| !number.is_finite()) {
        return Err(StepFault::Terms(terms));
    }
    let bound = head.weights.bound();
    if !(-bound..=bound).contains(&f64::from(step.reward)) {
        return Err(StepFault::Reward { reward: step.reward, bound });
    }
    Ok(())
}
