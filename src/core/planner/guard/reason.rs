//! Why the guard is in the state it is in, in words for an operator.

use std::fmt;
use std::time::Duration;

use crate::frame::OddAppearance;

/// How bad it is, as in `diagnostic_msgs/DiagnosticStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Nothing to do.
    Ok = 0,
    /// Worth a look.
    Warn = 1,
    /// The tuner does not do its work.
    Error = 2,
}

/// Why. [`fmt::Display`] is the sentence for the operator, [`Reason::name`] the word for programs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// Decisions are valid.
    Valid,
    /// Nothing has come yet, and it is too early to worry.
    StartingUp,
    /// No frame has ever come.
    NoFrame(Duration),
    /// `use_sim_time` without /clock.
    WaitingForClock,
    /// Frames came, and stopped.
    FramesStopped(Duration),
    /// The newest frame was too old to start inference on.
    FrameStale(Duration),
    /// A stamp ahead of ROS time.
    StampInFuture(Duration),
    /// A stamp before the one that came last, though the clock did not jump.
    StampBackwards(Duration),
    /// Stamps went back again and again: two publishers.
    StampsInterleave,
    /// Stamps are zero; the time of receipt stands in.
    StampZero,
    /// A frame came twice.
    FrameRepeated,
    /// A message was no usable frame.
    FrameRefused(String),
    /// The sensor that images are drawn from sees nothing: its picture would look like free space.
    SensorBlind(String),
    /// The image has not changed for this long while the robot moved.
    ImageFrozen(Duration),
    /// The image does not look like what the model was trained on, and why.
    ImageOdd(OddAppearance),
    /// No velocity, or none near the frame.
    VelocityMissing,
    /// Odometry is NaN, infinite or absurd.
    VelocityInvalid,
    /// The newest velocity is this much older than the frame.
    VelocityStale(Duration),
    /// No velocity is known; the robot is taken to stand still, as configured.
    AssumedStationary,
    /// NaN or an infinity in the model, and where.
    NotFinite(&'static str),
    /// The decision failed: stage and error.
    DecisionFailed(&'static str, String),
    /// There is no model at the moment.
    ModelLost(String),
    /// Inference took this long.
    InferenceSlow(Duration),
    /// No valid decision within the hold time-out, and what was wrong last.
    NoValidDecision(Duration, Option<Box<Reason>>),
    /// Valid decisions in a row, and how many it takes.
    Recovering(u32, u32),
    /// Most outputs of the policy have been at their limits for this many decisions.
    PolicySaturated(u32),
    /// The policy has given the same action for this many different images.
    PolicyConstant(u32),
    /// The clock was set back.
    ClockJumpedBack,
    /// The clock was set forward by this much.
    ClockJumpedForward(Duration),
    /// A new goal or episode, or the operator asked.
    HistoryReset,
    /// The operator holds the parameters.
    OperatorHold,
    /// The operator switched deciding off.
    OperatorDisabled,
    /// The operator changed the mode.
    OperatorRequest,
    /// Setting parameters seems to kill the planner, or was stopped for another cause that the sink names.
    PlannerFailing(String),
}

impl Reason {
    /// How bad it is by itself. A state may make it worse.
    pub const fn level(&self) -> Level {
        match self {
            Reason::Valid
            | Reason::StartingUp
            | Reason::FrameRepeated
            | Reason::HistoryReset
            | Reason::ClockJumpedBack
            | Reason::OperatorRequest => Level::Ok,
            Reason::NoFrame(_)
            | Reason::WaitingForClock
            | Reason::SensorBlind(_)
            | Reason::ModelLost(_)
            | Reason::NoValidDecision(..)
            | Reason::StampsInterleave
            | Reason::PlannerFailing(_) => Level::Error,
            _ => Level::Warn,
        }
    }

    /// A stable name for programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Reason::Valid => "valid",
            Reason::StartingUp => "starting_up",
            Reason::NoFrame(_) => "no_frame",
            Reason::WaitingForClock => "waiting_for_clock",
            Reason::FramesStopped(_) => "frames_stopped",
            Reason::FrameStale(_) => "frame_stale",
            Reason::StampInFuture(_) => "stamp_in_future",
            Reason::StampBackwards(_) => "stamp_backwards",
            Reason::StampsInterleave => "stamps_interleave",
            Reason::StampZero => "stamp_zero",
            Reason::FrameRepeated => "frame_repeated",
            Reason::FrameRefused(_) => "frame_refused",
            Reason::SensorBlind(_) => "sensor_blind",
            Reason::ImageFrozen(_) => "image_frozen",
            Reason::ImageOdd(_) => "image_odd",
            Reason::VelocityMissing => "velocity_missing",
            Reason::VelocityInvalid => "velocity_invalid",
            Reason::VelocityStale(_) => "velocity_stale",
            Reason::AssumedStationary => "assumed_stationary",
            Reason::NotFinite(_) => "not_finite",
            Reason::DecisionFailed(..) => "decision_failed",
            Reason::ModelLost(_) => "model_lost",
            Reason::InferenceSlow(_) => "inference_slow",
            Reason::NoValidDecision(..) => "no_valid_decision",
            Reason::Recovering(..) => "recovering",
            Reason::PolicySaturated(_) => "policy_saturated",
            Reason::PolicyConstant(_) => "policy_constant",
            Reason::ClockJumpedBack => "clock_jumped_back",
            Reason::ClockJumpedForward(_) => "clock_jumped_forward",
            Reason::HistoryReset => "history_reset",
            Reason::OperatorHold => "operator_hold",
            Reason::OperatorDisabled => "operator_disabled",
            Reason::OperatorRequest => "operator_request",
            Reason::PlannerFailing(_) => "planner_failing",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |duration: &Duration| format!("{:.2} s", duration.as_secs_f64());
        match self {
            Reason::Valid => f.write_str("decisions are valid"),
            Reason::StartingUp => f.write_str("waiting for the first valid decision"),
            Reason::NoFrame(time) => write!(f, "no image received in {}; check topic name, type and QoS", s(time)),
            Reason::WaitingForClock => f.write_str("waiting for /clock: use_sim_time is set and nobody publishes it"),
            Reason::FramesStopped(time) => write!(f, "no image for {}; has its publisher died?", s(time)),
            Reason::FrameStale(age) => {
                // Nothing is that busy, and frames that come late come: it is the clocks.
                let clocks =
                    if age.as_secs() >= 5 { ", or do the two clocks disagree (chrony, use_sim_time)" } else { "" };
                write!(f, "the newest image is stamped {} before ROS time", s(age))?;
                write!(f, "; is its publisher or the CPU busy{clocks}?")
            }
            Reason::StampInFuture(ahead) => {
                write!(f, "an image is stamped {} ahead of ROS time; are the clocks synchronised?", s(ahead))
            }
            Reason::StampBackwards(by) => write!(f, "an image is stamped {} before the one that came last", s(by)),
            Reason::StampsInterleave => {
                f.write_str("image stamps go back again and again; do two nodes publish on the image topic?")
            }
            Reason::StampZero => f.write_str("image stamps are zero, the time of receipt is used; set header.stamp"),
            Reason::FrameRepeated => f.write_str("an image came twice"),
            Reason::FrameRefused(problem) => write!(f, "an image was refused: {problem}"),
            Reason::SensorBlind(problem) => write!(f, "the sensor is blind, no image is drawn: {problem}"),
            Reason::ImageFrozen(time) => {
                write!(f, "the image has not changed for {} while the robot moves; is its publisher stuck?", s(time))
            }
            Reason::ImageOdd(why) => {
                write!(
                    f,
                    "the image does not look like a Jackal costmap: {why}; check the image topic and its encoding"
                )
            }
            Reason::VelocityMissing => {
                f.write_str("no velocity near the image; check the odometry topic, and that one clock stamps both")
            }
            Reason::VelocityInvalid => f.write_str(
                "odometry is not finite, absurd, or in its own frame without an orientation; no decision without a velocity",
            ),
            Reason::VelocityStale(age) => write!(f, "odometry is {} older than the image", s(age)),
            Reason::AssumedStationary => {
                f.write_str("no velocity near the image, 0 m/s is assumed because assume_stationary is set")
            }
            Reason::NotFinite(stage) => {
                write!(f, "the model gave NaN or an infinity ({stage}); the decision is refused")
            }
            Reason::DecisionFailed(stage, message) => write!(f, "the decision failed ({stage}): {message}"),
            Reason::ModelLost(message) => write!(f, "no model at the moment: {message}"),
            Reason::InferenceSlow(time) => {
                write!(f, "inference took {}; use a faster device or a lower rate, or raise the limit", s(time))
            }
            Reason::NoValidDecision(time, last) => {
                write!(f, "no valid decision for {}, safe defaults", s(time))?;
                last.iter().try_for_each(|last| write!(f, "; last problem: {last}"))
            }
            Reason::Recovering(good, needed) => write!(f, "{good} of {needed} good frames in a row"),
            Reason::PolicySaturated(steps) => {
                write!(f, "most outputs at their limits for {steps} decisions; has the policy collapsed?")
            }
            Reason::PolicyConstant(steps) => {
                write!(f, "the same action for {steps} different images; has the policy collapsed?")
            }
            Reason::ClockJumpedBack => f.write_str("ROS time was set back; past frames are forgotten"),
            Reason::ClockJumpedForward(by) => write!(f, "ROS time was set forward by {}", s(by)),
            Reason::HistoryReset => f.write_str("a new goal or episode; past frames are forgotten"),
            Reason::OperatorHold => f.write_str("the operator holds the parameters"),
            Reason::OperatorDisabled => f.write_str("the operator switched the tuner off"),
            Reason::OperatorRequest => f.write_str("the operator changed the mode"),
            Reason::PlannerFailing(why) => {
                write!(f, "nothing is set any more: {why}; enable again when the planner is well")
            }
        }
    }
}
