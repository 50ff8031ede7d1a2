//! A decision on its way to a step.

use std::sync::Arc;

use super::{ChosenController, Exploration, ParameterOutcome, SentParameter};
use planner_tuner_core::frame::{BodyVelocity, Frame, Stamp, StampedFrame};
use planner_tuner_core::numbers::{Action, Feature, NumbersError};
use planner_tuner_core::planner::{Choice, PlannerError, PlannerParameters};

/// A decision, with what is known when it is made.
#[derive(Debug, Clone)]
pub struct MadeDecision {
    /// Of the frame.
    pub stamp: Stamp,
    /// The frame.
    pub frame: Arc<Frame>,
    /// What the robot drove.
    pub velocity: BodyVelocity,
    /// What the actor saw.
    pub feature: Feature,
    /// What it said.
    pub action: Action,
    /// The exploration noise; zeros without exploration.
    pub noise: Vec<f32>,
    /// The action after noise, cut to [-1, 1].
    pub explored: Action,
    /// What is sent to the planner.
    pub parameters: Vec<SentParameter>,
    /// The controller that was chosen from a bank, if one is used; known a moment later.
    pub controller: Option<ChosenController>,
}

/// Why a decision cannot be logged. In practice it can: its numbers are finite and in range by construction.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// An action is not one.
    #[error(transparent)]
    Action(#[from] NumbersError),
    /// An action does not fit the planner.
    #[error(transparent)]
    Planner(#[from] PlannerError),
}

impl MadeDecision {
    /// What was chosen for a frame, explored further by this noise. Where the regression decided, the action is the
    /// one that leads to its parameters.
    ///
    /// # Errors
    /// [`DecisionError`], in theory.
    pub fn new(
        frame: &StampedFrame,
        velocity: BodyVelocity,
        choice: Choice<'_>,
        exploration: &mut Exploration,
    ) -> Result<Self, DecisionError> {
        let action = match choice.action {
            Some(action) => action.clone(),
            None => action_for(choice.parameters)?,
        };
        let (noise, explored) = exploration.explore(&action)?;
        let parameters = if explored == action {
            choice.parameters.clone()
        } else {
            choice.parameters.spec().from_action(explored.values())?
        };
        let sent = parameters.iter().map(|(parameter, value)| SentParameter {
            name: parameter.name().to_owned(),
            value,
            outcome: ParameterOutcome::NotSet,
        });
        Ok(Self {
            stamp: frame.stamp,
            frame: Arc::clone(&frame.frame),
            velocity,
            feature: choice.feature.clone(),
            action,
            noise,
            explored,
            parameters: sent.collect(),
            controller: None,
        })
    }
}

/// The action that leads to these values.
fn action_for(parameters: &PlannerParameters) -> Result<Action, NumbersError> {
    let values = parameters.iter().map(|(parameter, value)| {
        let (min, max) = (parameter.min(), parameter.max());
        ((value - (max + min) / 2.0) / ((max - min) / 2.0)).clamp(-1.0, 1.0) as f32
    });
    Action::from_values(values.collect())
}
