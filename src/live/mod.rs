//! A tuner that runs: what the ROS node is made of, without ROS.
//!
//! [`LatestSlot`] lets only the newest image wait, [`inference`] is the thread that owns model, history and policy,
//! [`PolicyFollower`] loads the policies that training leaves in a folder, [`Settings`] are the node's parameters. What may leave is decided by [`crate::planner::guard`].

mod clock_watch;
mod decider;
mod follower;
mod graph_report;
mod heard;
pub mod inference;
mod intake;
mod latencies;
mod limits;
mod measured;
mod names;
mod setting_value;
mod settings;
mod takeover;
mod transition_log;

pub use clock_watch::ClockWatch;
pub use decider::{Decider, LoadError};
pub use follower::{POLL_INTERVAL, PolicyFollower, Refusal, policy_at_start};
pub use graph_report::{
    FoundParameter, GraphReport, PlannerParameterReport, PlannerReport, PublishedTopic, Publisher, TopicProblem,
    TopicReport,
};
pub use heard::{Delivery, Heard, HeardTopic};
pub use intake::{ArrivalCounts, Arrived, LatestSlot};
pub use latencies::Latencies;
pub use measured::{Expected, Measured, MessageProblem};
pub use names::Names;
pub use setting_value::{Accepted, Change, Declaration, SettingError, SettingValue};
pub use settings::Settings;
pub use takeover::{Following, Kept, Takeover, take_over};
pub use transition_log::{NodeLog, needs_attention as log_needs_attention};
