//! Why the node does not run.

use vlm_planner_tuner::live::{LoadError, LogFolderError, ParameterFileError, SettingError};
use vlm_planner_tuner::nav2::{ApplierLimitsError, MappingError};
use vlm_planner_tuner::planner::PlannerError;
use vlm_planner_tuner::planner::envelope::EnvelopeError;
use vlm_planner_tuner::planner::guard::GuardLimitsError;

/// What ends the node with exit code 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Arguments after `--ros-args` that rcl refuses.
    #[error("ROS refuses the arguments after --ros-args: {0}")]
    Arguments(String),
    /// Arguments behind `--ros-args` that rcl does not know, and would ignore.
    #[error(
        "unknown ROS arguments: {0}; --params-file FILE, -p NAME:=VALUE, -r FROM:=TO and --log-level LEVEL are known, see \
         planner_tuner_node --help"
    )]
    UnknownArguments(String),
    /// Where ROS would log cannot be written.
    #[error("{0}")]
    LogFolder(#[from] LogFolderError),
    /// A file that is to configure logging.
    #[error("--log-config-file {0}: this ROS's logging (spdlog) takes no such file; leave the argument out")]
    LogConfigFile(String),
    /// ROS itself failed.
    #[error("ROS failed: {0}; is a ROS environment sourced, and ROS_DOMAIN_ID valid?")]
    Ros(#[from] r2r::Error),
    /// A parameter of the node.
    #[error("{0}; see the comments in config/*.yaml")]
    Parameters(#[from] ParameterFileError),
    /// A setting that names what is not there.
    #[error("{0}; see the comments in config/*.yaml")]
    Setting(#[from] SettingError),
    /// The planner that is to be tuned.
    #[error(transparent)]
    Planner(#[from] PlannerError),
    /// The mapping onto the planner's ROS parameters.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// The envelope's limits.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The guard's limits.
    #[error(transparent)]
    Guard(#[from] GuardLimitsError),
    /// The sink's limits.
    #[error(transparent)]
    Applier(#[from] ApplierLimitsError),
    /// The model.
    #[error("the model cannot be loaded: {0}")]
    Model(LoadError),
    /// A thread that could not be started.
    #[error("a thread cannot be started: {0}")]
    Thread(std::io::Error),
    /// Signal handlers that could not be installed.
    #[error("signals cannot be handled: {0}")]
    Signals(std::io::Error),
    /// What was found cannot be written.
    #[error("the survey cannot be written: {0}")]
    Output(std::io::Error),
    /// A thread that ended on its own.
    #[error("the {0} thread has ended unexpectedly; this is a bug, the log above says where")]
    ThreadEnded(&'static str),
}
