//! A tuner that runs: what the ROS node is made of, without ROS.
//!
//! [`LatestSlot`] lets only the newest image wait, [`inference`] is the thread that owns model, history and policy,
//! [`PolicyFollower`] loads the policies that training leaves in a folder, [`Settings`] are the node's parameters. What may leave is decided by [`crate::planner::guard`].

mod claim;
mod clock_watch;
mod decider;
mod driving_time;
mod follower;
mod graph_report;
pub mod inference;
mod latencies;
mod latest_slot;
mod limits;
mod log_folder;
mod log_levels;
mod measured;
mod names;
mod parameter_files;
mod ros_arguments;
mod setting_value;
mod settings;
mod subscriptions;
mod takeover;
mod transition_log;

pub use claim::{Claim, ClaimAction, Claimant};
pub use clock_watch::ClockWatch;
pub(crate) use decider::failure;
pub use decider::{Decider, LoadError};
pub use driving_time::DrivingTime;
pub use follower::{POLL_INTERVAL, PolicyFollower, PolicyRefusal, policy_at_start};
pub use graph_report::{
    CostmapsReport, FoundParameter, GraphReport, PlannerParameterReport, PlannerReport, PublishedTopic, Publisher,
    TopicProblem, TopicReport,
};
pub use latencies::Latencies;
pub use latest_slot::{ArrivalCounts, Arrived, LatestSlot};
pub use log_folder::{LogFolderError, try_log_folder};
pub use log_levels::LogLevels;
pub use measured::{Expected, Measured, MessageProblem};
pub use names::Names;
pub use parameter_files::{NodeParameters, ParameterFileError, overrides, read_parameters};
pub use ros_arguments::{ParameterSource, RosArguments};
pub use setting_value::{Accepted, Change, Declaration, SettingError, SettingValue};
pub use settings::Settings;
pub use subscriptions::{Delivery, SubscribedTopic, Subscription};
pub use takeover::{Following, Kept, Takeover, take_over};
pub use transition_log::{NodeLog, needs_attention as log_needs_attention};
