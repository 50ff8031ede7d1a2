//! A planner that obeys: what to set on which ROS node, and what became of it.
//!
//! A [`Mapping`] (`config/nav2/*.yaml`) says where a planner's parameters live among the ROS parameters of Nav2's nodes
//! and which of them take effect while driving. [`plan`] turns [`crate::planner::PlannerParameters`] into one batch for
//! each node; [`PlannerSink`] sees each batch through: one call in flight, time-outs, refusals, respawns, conflicts.
//! [`ControllerBank`] chooses among controllers that differ in what cannot be set while driving.
//!
//! Nothing here knows ROS or reads a clock. The sink emits [`Command`]s and is told [`Event`]s, with the time of each;
//! whoever owns the ROS clients carries them out.

mod answers;
mod applier;
mod applier_limits;
mod apply_rules;
mod bank_check;
mod bank_design;
mod bank_file;
mod call;
mod controller_bank;
mod costmap_sight;
mod error;
mod foreign_set;
mod lifecycle;
mod mapping;
mod mapping_file;
mod next_call;
mod notice;
mod plan;
mod presence;
mod process_watch;
mod sink;
mod slot;
mod speed_limit;
mod target;
mod topic_name;
mod use_after_free;

pub use applier::{Applier, Counts};
pub use applier_limits::{ApplierLimits, ApplierLimitsError, OnConflict};
pub use apply_rules::ApplyRules;
pub use bank_design::{ControllerValues, QuantisationLoss, design, quantisation_loss};
pub use bank_file::{BankFileError, banked_parameters, mapping_with_bank, nav2_parameters};
pub use call::{CallId, Command, Event, SetOutcome, SetService};
pub use controller_bank::{BankedController, ControllerBank, ControllerChoice};
pub use costmap_sight::{Blindness, CostmapWatch, ObservationSource, RollingGrid, ScanReturns, Sight, sight};
pub use error::{InvalidMapping, MappingError};
pub use lifecycle::LifecycleState;
pub use mapping::{Mapping, MappingKind};
pub use notice::Notice;
pub use plan::{Batch, PlannedValue, plan, plan_under};
pub use process_watch::ProcessWatch;
pub use sink::{NodeReport, ParameterStatus, PlannerSink};
pub use slot::TargetStatus;
pub use speed_limit::{SpeedLimit, SpeedLimitRule};
pub use target::{NodeName, RosType, RosValue, Target};
pub use topic_name::{observation_topics, resolved_topic};
pub use use_after_free::use_after_free;
