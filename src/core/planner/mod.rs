//! Planner parameters: named values, in range by construction.
//!
//! A planner is data: `config/planners/*.yaml` names its parameters, their units and their ranges. [`PlannerSpec`] reads
//! such a file, turns an action or a regression into numbers, and hands out [`PlannerParameters`], the only type that
//! leaves this folder towards a robot. On the way out they pass the [`envelope`] (how fast and how far they may change)
//! and the [`guard`] (whether they may leave at all, and what happens when they may not).

mod choice;
pub mod envelope;
mod error;
pub mod guard;
mod parameter_spec;
mod parameters;
mod scaling;
mod spec;

pub use choice::Choice;

pub use error::PlannerError;
pub use parameter_spec::{InvalidParameter, ParameterSpec, Prediction, Unit};
pub use parameters::PlannerParameters;
pub use scaling::{ClampedValue, Regression};
pub use spec::PlannerSpec;
pub use spec::did_you_mean;
pub use spec::nearest_quoted_key;
