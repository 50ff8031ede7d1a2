//! ROS time.

use std::sync::{Arc, Mutex, PoisonError};

use r2r::builtin_interfaces::msg::Time;

use vlm_planner_tuner::frame::Stamp;

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
