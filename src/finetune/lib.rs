//! A supervised checkpoint from frames with known good parameters.
//!
//! | step | file | what comes out |
//! | --- | --- | --- |
//! | the networks begin | [`SupervisedHeads`], `LoraLayers` of the model | random numbers, or a checkpoint's |
//! | they see an example | [`Learner::add_example`] | a loss, and a gradient for everything that learns |
//! | and step | [`Learner::step`] | other numbers |

mod error;
mod heads;
mod learner;

pub use error::FinetuneError;
pub use heads::{NewHeads, SupervisedHeads};
pub use learner::{Example, Learner, Learns, Step, StepSettings, past_pixels};
