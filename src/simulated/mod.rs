//! Who tunes in a simulated drive: fixed parameters, rules, the laser policy of APPLR, or the model, on the road that a
//! robot's frames take.
//!
//! | file | what it is |
//! | --- | --- |
//! | `drive_log` | a drive as an episode of a transition log |
//! | `parameters` | a planner's parameters as the simulated planner's, and back |
//! | `outlook`, `expert` | what lies ahead in three numbers, and rules that tune by them |
//! | `labels` | pictures with the parameters that the rules would have chosen |
//! | `random_tuner` | parameters at random |
//! | `laser_tuner` | [`crate::policy::LaserNetwork`] in the loop |
//! | `view` | what the robot sees, as the scene of a picture |
//! | `watched` | who looks over the shoulder of whoever drives |
//! | `vision_tuner` | scene, renderer, model, envelope and guard in the loop |

mod drive_log;
mod expert;
mod labels;
mod laser_tuner;
mod outlook;
mod parameters;
mod random_tuner;
mod view;
mod vision_tuner;
mod watched;

pub use drive_log::DriveLog;
pub use expert::{ExpertError, ExpertRules, ExpertTuner, RecentSpeed};
pub use labels::{LabelledFrame, Labeller};
pub use laser_tuner::LaserTuner;
pub use outlook::Outlook;
pub use parameters::{OtherPlanner, parameters_of, tuning_of, tuning_with, value_of};
pub use random_tuner::RandomTuner;
pub use view::scene_of;
pub use vision_tuner::{Latency, VisionTuner};
pub use watched::Watched;

use crate::frame::render::RenderError;
use crate::frame::{EncodeError, FrameError};
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
    /// A scene cannot be drawn.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A picture cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A picture cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Whoever watches cannot be shown a moment.
    #[error("a moment cannot be shown: {0}")]
    Shown(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A limit of the guard cannot be.
    #[error(transparent)]
    Guard(#[from] GuardLimitsError),
}
