//! An action: what the policy makes of the feature.

mod action;
mod actor;

pub use action::Action;
pub use actor::Actor;
