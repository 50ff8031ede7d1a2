//! Who tunes in a simulated drive: fixed parameters, the laser policy of APPLR, or the model, on the road that a robot's
//! frames take.
//!
//! | file | what it is |
//! | --- | --- |
//! | `drive_log` | a drive as an episode of a transition log |
//! | `parameters` | a planner's parameters as the simulated planner's, and back |
//! | `laser_tuner` | [`crate::policy::LaserNetwork`] in the loop |
//! | `vision_tuner` | scene, renderer, model, envelope and guard in the loop |

mod drive_log;
mod laser_tuner;
mod parameters;
mod vision_tuner;

pub use drive_log::DriveLog;
pub use laser_tuner::LaserTuner;
pub use parameters::{OtherPlanner, parameters_of, tuning_of, tuning_with, value_of};
pub use vision_tuner::{Latency, VisionTuner};

use crate::frame::FrameError;
use crate::planner::PlannerError;
use crate::planner::envelope::EnvelopeError;
use crate::planner::guard::GuardLimitsError;
use crate::policy::LaserNetworkError;
use crate::transition::{DecisionError, TransitionError};

/// Why a tuner cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SimulatedError {
    /// It decides for another planner.
    #[error(transparent)]
    OtherPlanner(#[from] OtherPlanner),
    /// The laser policy failed.
    #[error(transparent)]
    Network(#[from] LaserNetworkError),
    /// An action is none of this planner's.
    #[error(transparent)]
    Planner(#[from] PlannerError),
    /// The model's history names no past frames.
    #[error(transparent)]
    History(#[from] FrameError),
    /// The envelope does not fit the planner.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// A decision cannot be logged.
    #[error(transparent)]
    Decision(#[from] DecisionError),
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] TransitionError),
    /// A limit of the guard cannot be.
    #[error(transparent)]
    Guard(#[from] GuardLimitsError),
}
