//! A tuner that runs: what the ROS node is made of, without ROS.
//!
//! [`LatestSlot`] lets only the newest image wait, [`inference`] is the thread that owns model, history and policy,
//! [`Settings`] are the node's parameters. What may leave is decided by [`crate::planner::guard`].

mod decider;
pub mod inference;
mod intake;
mod limits;
mod setting_value;
mod settings;
mod transition_log;

pub use decider::{Decider, LoadError};
pub use intake::{ArrivalCounts, Arrived, LatestSlot};
pub use setting_value::{Accepted, Change, Declaration, SettingError, SettingValue};
pub use settings::Settings;
pub use transition_log::{NodeLog, needs_attention as log_needs_attention};
