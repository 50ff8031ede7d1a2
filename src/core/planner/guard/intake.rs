//! What comes in: frames, velocities, and the clock that both are measured by.

use std::time::Duration;

use super::frame_watch::FrameWatch;
use super::velocity_watch::{VelocityWatch, span};
use super::{FrameArrival, FrameVerdict, GuardLimits, Moment, Reason};
use crate::frame::{BodyVelocity, Stamp};

/// Watches over the inputs of a decision.
#[derive(Debug, Clone, Default)]
pub(super) struct Intake {
    frames: FrameWatch,
    velocities: VelocityWatch,
    newest_image: Option<u64>,
    clock_waiting: bool,
    assumed_stationary: bool,
}

impl Intake {
    /// Whether ROS time has been set back since the last frame.
    pub(super) fn clock_went_back(&self, ros_now: Stamp) -> bool {
        self.frames.clock_went_back(ros_now)
    }

    /// Judges a frame.
    pub(super) fn frame(&mut self, now: Moment, arrival: FrameArrival, limits: &GuardLimits) -> FrameVerdict {
        let is_moving = self.velocities.is_moving();
        let verdict = self.frames.take(now, arrival, is_moving, limits);
        if matches!(verdict, FrameVerdict::Use { .. }) {
            self.newest_image = Some(arrival.image_hash);
        }
        verdict
    }

    /// Frames came that were not looked at.
    pub(super) fn frames_keep_coming(&mut self, now: Moment) {
        self.frames.keep_coming(now);
    }

    /// Something came that was to become a frame.
    pub(super) fn came(&mut self, now: Moment) {
        self.frames.came(now);
    }

    /// Odometry came.
    pub(super) fn velocity(&mut self, linear: f64, angular: f64, stamp: Stamp) {
        self.velocities.take(linear, angular, stamp);
    }

    /// Age and velocity of a frame that inference could start on.
    pub(super) fn check(
        &mut self,
        stamp: Stamp,
        ros_now: Stamp,
        limits: &GuardLimits,
    ) -> Result<(Duration, BodyVelocity), Reason> {
        if self.clock_waiting {
            return Err(Reason::WaitingForClock);
        }
        let ahead = span(ros_now, stamp);
        if ahead > limits.future_tolerance {
            return Err(Reason::StampInFuture(ahead));
        }
        let age = span(stamp, ros_now);
        if age > limits.max_frame_age {
            return Err(Reason::FrameStale(age));
        }
        let found = self.velocities.at(stamp, limits);
        let absent = matches!(found, Err(Reason::VelocityMissing | Reason::VelocityStale(_)));
        self.assumed_stationary = absent && limits.assume_stationary;
        let standing = || BodyVelocity::new(0.0, 0.0).map_err(|_| Reason::VelocityMissing);
        let velocity = if self.assumed_stationary { standing()? } else { found? };
        Ok((age, velocity))
    }

    /// Whether ROS time has not begun.
    pub(super) fn wait_for_clock(&mut self, waiting: bool) {
        self.clock_waiting = waiting;
    }

    pub(super) fn clock_waiting(&self) -> bool {
        self.clock_waiting
    }

    /// Stamps restart: the clock was set back.
    pub(super) fn restart(&mut self) {
        self.frames.restart();
        self.velocities.clear();
    }

    /// Whether a frame ever came.
    pub(super) fn any_frame(&self) -> bool {
        self.frames.any()
    }

    /// Time since a frame came.
    pub(super) fn silence(&self, now: Moment) -> Option<Duration> {
        self.frames.silence(now)
    }

    /// The hash of the newest frame that was used.
    pub(super) fn newest_image(&self) -> Option<u64> {
        self.newest_image
    }

    /// What is odd about frames that are used all the same.
    pub(super) fn frame_warnings(&self, now: Moment, limits: &GuardLimits) -> impl Iterator<Item = Reason> {
        self.frames.warnings(now, limits)
    }

    /// Whether the robot is taken to stand still.
    pub(super) fn velocity_warning(&self) -> Option<Reason> {
        self.assumed_stationary.then_some(Reason::AssumedStationary)
    }
}
