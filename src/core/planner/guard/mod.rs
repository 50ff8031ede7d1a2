//! Whether a decision may leave, and what happens when none may.
//!
//! The guard is told everything that happens (frames, velocities, decisions, the clock, the operator, the passing of
//! time) and answers each with a [`Reaction`]. It has no clock and does no I/O: monotonic time comes in as [`Moment`],
//! ROS time as [`crate::frame::Stamp`], so that every fault can be replayed in a test.
//!
//! ```text
//! Starting --valid decision--> Nominal <--three good in a row-- Holding
//!     |                           '------anything wrong---------->'  |
//!     '----------------no valid decision for hold_timeout----> Safe <'   (back to Nominal after three good in a row)
//! ```
//!
//! While Holding, the planner keeps the last good parameters; on the way into Safe it gets the safe defaults, once.
//! [`Mode::Shadow`] runs the same machine and sets nothing, [`Mode::Disabled`] does not even decide.

mod frame_watch;
#[expect(clippy::module_inception, reason = "the folder is named after what it holds")]
mod guard;
mod health;
mod image_hash;
mod inputs;
mod intake;
mod limits;
mod machine;
mod moment;
mod outgoing;
mod permission;
mod policy_watch;
mod reaction;
mod reason;
mod status;
mod velocity_watch;

pub use frame_watch::FrameVerdict;
pub use guard::Guard;
pub use image_hash::image_hash;
pub use inputs::{ClockEvent, Failure, FrameArrival, Operator, Ticket};
pub use limits::{GuardLimits, GuardLimitsError};
pub use moment::Moment;
pub use reaction::{Instruction, Reaction, Transition};
pub use reason::{Level, Reason};
pub use status::{Counts, Mode, State, Status};
