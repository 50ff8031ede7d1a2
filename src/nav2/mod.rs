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
mod call;
mod controller_bank;
mod error;
mod mapping;
mod mapping_file;
mod next_call;
mod notice;
mod plan;
mod presence;
mod process_watch;
mod sink;
mod slot;
mod target;

pub use applier::Applier;
pub use applier_limits::{ApplierLimits, ApplierLimitsError, OnConflict};
pub use call::{CallId, Command, Event, SetOutcome, SetService};
pub use controller_bank::{BankedController, ControllerBank, ControllerChoice};
pub use error::{InvalidMapping, MappingError};
pub use mapping::{Mapping, MappingKind};
pub use notice::Notice;
pub use plan::{Batch, PlannedValue, plan};
pub use process_watch::ProcessWatch;
pub use sink::{ParameterStatus, PlannerSink};
pub use slot::TargetStatus;
pub use target::{NodeName, RosType, RosValue, Target};
