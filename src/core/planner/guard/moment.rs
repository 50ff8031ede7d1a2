//! Time that never runs backwards.

use std::ops::Add;
use std::time::Duration;

/// A moment on the monotonic clock, counted from the start of the process.
///
/// All time-outs are measured between moments; ROS time, which may jump or stand still, comes as
/// [`crate::frame::Stamp`]. Nothing here reads a clock: the caller passes `Moment::from_start(start.elapsed())`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(Duration);

impl Moment {
    /// The moment `elapsed` after the start of the process.
    pub const fn from_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Time passed since `earlier`; zero when that is the later one.
    pub const fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(duration))
    }
}
