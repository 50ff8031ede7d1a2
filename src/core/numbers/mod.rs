//! What the model gives to everything else, as plain numbers: a feature and an action, finite by construction.

mod action;
mod error;
mod feature;

pub use action::Action;
pub use error::{NumbersError, finite};
pub use feature::Feature;
