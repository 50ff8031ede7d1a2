//! ROS time, and the other clocks that the node goes by.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use r2r::builtin_interfaces::msg::Time;

use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::live::{ClockWatch, DrivingTime};
use vlm_planner_tuner::planner::guard::{ClockEvent, Moment};

/// The node's clock: the system's, or /clock with `use_sim_time`. Shared by the threads.
#[derive(Clone)]
pub(super) struct RosTime(Arc<Mutex<r2r::Clock>>);

impl RosTime {
    pub(super) fn of(node: &r2r::Node) -> Self {
        Self(node.get_ros_clock())
    }

    /// Now; zero before the first /clock.
    pub(super) fn now(&self) -> Stamp {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_now().unwrap_or_default();
        Stamp::from_nanos(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// The clocks that control goes by.
pub(super) struct Clocks {
    start: Instant,
    driving: DrivingTime,
    ros: RosTime,
    watch: ClockWatch,
}

impl Clocks {
    pub(super) fn new(node: &r2r::Node, use_sim_time: bool) -> Self {
        let (driving, ros) = (DrivingTime::new(use_sim_time), RosTime::of(node));
        Self { start: Instant::now(), driving, ros, watch: ClockWatch::default() }
    }

    /// For what has to do with images and decisions: as the robot lives time, see [`DrivingTime`].
    pub(super) fn now(&self) -> Moment {
        self.driving.now(|| (self.monotonic(), self.ros.now()))
    }

    /// For calls to the planner, whose processes wait for no simulation.
    pub(super) fn monotonic(&self) -> Moment {
        Moment::from_start(self.start.elapsed())
    }

    /// ROS time; zero before the first /clock.
    pub(super) fn ros(&self) -> Stamp {
        self.ros.now()
    }

    /// Whether ROS time has jumped, or begun to run, since it was last asked.
    pub(super) fn event(&mut self) -> Option<ClockEvent> {
        self.watch.read(self.monotonic(), self.ros.now())
    }
}

/// A stamp as messages carry it.
pub(super) fn time(stamp: Stamp) -> Time {
    let nanos = stamp.nanos().max(0);
    Time { sec: i32::try_from(nanos / 1_000_000_000).unwrap_or(i32::MAX), nanosec: (nanos % 1_000_000_000) as u32 }
}

/// The stamp of a message; zero where the publisher left it so.
pub(super) fn stamp(time: &Time) -> Stamp {
    Stamp::from_nanos(i64::from(time.sec) * 1_000_000_000 + i64::from(time.nanosec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_survive_messages() {
        let moment = Stamp::from_nanos(1_700_000_000_123_456_789);
        assert_eq!(stamp(&time(moment)), moment);
        assert_eq!(stamp(&Time { sec: 0, nanosec: 0 }).nanos(), 0);
        assert_eq!(time(Stamp::from_nanos(-5)).sec, 0);
    }
}
