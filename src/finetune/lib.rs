//! A supervised checkpoint from frames with known good parameters.
//!
//! | step | file | what comes out |
//! | --- | --- | --- |
//! | frames with labels are read | [`Dataset`], [`EpisodeFilter`] | examples of folders, tables and logs, split by whole runs |
//! | outputs get a scale | [`TargetScale`] | mean and deviation of each |
//! | the networks begin | [`SupervisedHeads`], `LoraLayers` of the model | random numbers, or a checkpoint's |
//! | they see an example | [`Learner::add_example`] | a loss, and a gradient for everything that learns |
//! | and step | [`Learner::step`] | other numbers |
//! | epoch after epoch | [`Finetuning`], [`Schedule`] | curves, and when to stop |
//! | what is left of it | [`Finetuning::checkpoint`], [`Finetuning::save`] | a supervised checkpoint; a state to go on from |
//! | and then | [`Finetuning::first_policy`] | a policy for reinforcement learning to begin with |
//!
//! Nothing here knows a command line, a clock or ROS.

mod data;
mod episode_filter;
mod error;
mod first_policy;
mod heads;
mod known_examples;
mod learner;
mod report;
mod saved;
mod schedule;
mod target_scale;
mod training;

pub use data::{DataCounts, DataOptions, Dataset, OutputName, Split, Validation};
pub use episode_filter::EpisodeFilter;
pub use error::FinetuneError;
pub use heads::{NewHeads, SupervisedHeads};
pub use learner::{Example, Learned, Learner, Learns, Step, StepSettings, View, past_pixels};
pub use report::{OutputReport, Report};
pub use saved::SavedFinetuning;
pub use schedule::Schedule;
pub use target_scale::TargetScale;
pub use training::{EpochPoint, Event, FinetuneSettings, Finetuning, Material, Stop};
