//! The guard's time-outs.

use std::time::Duration;

/// The guard's limits. The defaults are what a robot's owner is promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardLimits {
    /// Oldest frame that inference may start on.
    pub max_frame_age: Duration,
    /// Longest time without a valid decision before the safe defaults are set. Also the longest useful inference.
    pub hold_timeout: Duration,
    /// How long the image may stay the same while the robot moves.
    pub frozen_after: Duration,
    /// How far a stamp may lie ahead of ROS time.
    pub future_tolerance: Duration,
    /// Oldest velocity, against the image it is used for.
    pub velocity_max_age: Duration,
    /// Inference longer than this is worth a warning.
    pub latency_budget: Duration,
    /// Valid decisions in a row before the guard is Nominal again.
    pub good_frames: u32,
    /// Takes the robot to stand still where no velocity is known. Off: no decision without a velocity.
    pub assume_stationary: bool,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self {
            max_frame_age: Duration::from_millis(500),
            hold_timeout: Duration::from_secs(2),
            frozen_after: Duration::from_secs(5),
            future_tolerance: Duration::from_millis(200),
            velocity_max_age: Duration::from_millis(200),
            latency_budget: Duration::from_millis(500),
            good_frames: 3,
            assume_stationary: false,
        }
    }
}

/// A limit that cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field} is {found}, expected {expected}")]
pub struct GuardLimitsError {
    /// The limit.
    pub field: &'static str,
    /// What was given.
    pub found: String,
    /// What would do.
    pub expected: &'static str,
}

impl GuardLimits {
    /// Checks the limits as a whole.
    ///
    /// # Errors
    /// [`GuardLimitsError`] naming the first limit that cannot be.
    pub fn check(&self) -> Result<(), GuardLimitsError> {
        let hour = Duration::from_secs(3600);
        let spans = [
            ("max_frame_age", self.max_frame_age),
            ("hold_timeout", self.hold_timeout),
            ("frozen_after", self.frozen_after),
            ("latency_budget", self.latency_budget),
            ("velocity_max_age", self.velocity_max_age),
        ];
        let refuse = |field, found, expected| Err(GuardLimitsError { field, found, expected });
        if let Some((field, span)) = spans.into_iter().find(|(_, span)| span.is_zero() || *span > hour) {
            return refuse(field, format!("{} s", span.as_secs_f64()), "more than 0 s and at most 3600 s");
        }
        if self.hold_timeout < self.max_frame_age {
            let found = format!("{} s", self.hold_timeout.as_secs_f64());
            return refuse("hold_timeout", found, "at least max_frame_age");
        }
        if self.future_tolerance > hour {
            let found = format!("{} s", self.future_tolerance.as_secs_f64());
            return refuse("future_tolerance", found, "at most 3600 s");
        }
        if !(1..=100).contains(&self.good_frames) {
            return refuse("good_frames", self.good_frames.to_string(), "1 to 100");
        }
        Ok(())
    }
}
