//! What the guard is told.

use std::time::Duration;

use super::Moment;
use crate::frame::{BodyVelocity, OddAppearance, Stamp};

/// A frame that has been decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameArrival {
    /// The message's `header.stamp`, zero included.
    pub stamp: Stamp,
    /// ROS time when it was received.
    pub ros_now: Stamp,
    /// [`super::image_hash`] of the frame.
    pub image_hash: u64,
    /// Why the frame does not look like what the model was trained on ([`crate::frame::odd_appearance`]).
    pub odd: Option<OddAppearance>,
}

/// Leave to start inference on a frame. Goes with the job and comes back with its result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ticket {
    epoch: u64,
    stamp: Stamp,
    age: Duration,
    velocity: BodyVelocity,
    started: Moment,
}

impl Ticket {
    /// Leave for a frame of this stamp, of this age and with this velocity, given now.
    pub(super) fn new(epoch: u64, stamp: Stamp, (age, velocity): (Duration, BodyVelocity), started: Moment) -> Self {
        Self { epoch, stamp, age, velocity, started }
    }

    /// Raised since, the decision is void.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How long inference took.
    pub(super) fn took(&self, now: Moment) -> Duration {
        now.since(self.started)
    }

    /// The frame's stamp.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The frame's age when inference started.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// The velocity to decide with.
    pub fn velocity(&self) -> BodyVelocity {
        self.velocity
    }
}

/// Why a decision failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// NaN or an infinity in hidden states, feature or action.
    NotFinite {
        /// Where it was found.
        stage: &'static str,
    },
    /// Anything else that the model can go on from.
    Failed {
        /// Where it happened.
        stage: &'static str,
        /// The error's text.
        message: String,
    },
    /// The inference task panicked or its device is gone: there is no model until it is restarted.
    ModelLost {
        /// The panic's or the error's text.
        message: String,
    },
}

/// What ROS time did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockEvent {
    /// `use_sim_time` is set and no /clock has come yet.
    Waiting,
    /// Time runs.
    Running,
    /// Time was set back: a bag that loops, a simulation that was reset, an NTP step.
    JumpedBack,
    /// Time was set forward by this much. Old frames are now stale and refused as such.
    JumpedForward(Duration),
}

/// What the operator asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Decide and set. Also ends the Safe state that a failing planner was put in.
    Enable,
    /// Decide and publish, set nothing.
    Shadow,
    /// Do not decide. The planner keeps what it has.
    Disable,
    /// Hold the current parameters while true.
    Hold(bool),
    /// Forget the past frames: a new goal, a new episode.
    ResetHistory,
}
