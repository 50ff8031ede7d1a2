//! ROS time, and what it does other than pass.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use r2r::builtin_interfaces::msg::Time;

use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::planner::guard::{ClockEvent, Moment};

/// A step of this much beyond the time that passed is a jump, not jitter or a fast simulation.
const FORWARD_JUMP: Duration = Duration::from_secs(1);
const BACKWARD_JUMP: Duration = Duration::from_millis(100);

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

/// Compares ROS time with monotonic time, reading by reading.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    last: Option<(Moment, Stamp)>,
    waiting: bool,
}

impl ClockWatch {
    /// Takes a reading. Bags and simulations may run at ten times the speed and more without a jump.
    pub(super) fn read(&mut self, now: Moment, ros: Stamp) -> Option<ClockEvent> {
        if ros.nanos() <= 0 {
            self.last = None;
            return (!std::mem::replace(&mut self.waiting, true)).then_some(ClockEvent::Waiting);
        }
        let started = std::mem::take(&mut self.waiting).then_some(ClockEvent::Running);
        let Some((then, before)) = self.last.replace((now, ros)) else { return started };
        let nanos = ros.nanos().saturating_sub(before.nanos());
        let Ok(forward) = u64::try_from(nanos).map(Duration::from_nanos) else {
            let back = Duration::from_nanos(nanos.unsigned_abs());
            return if back > BACKWARD_JUMP { Some(ClockEvent::JumpedBack) } else { started };
        };
        let jump = forward.saturating_sub(now.since(then) * 20);
        if jump > FORWARD_JUMP { Some(ClockEvent::JumpedForward(jump)) } else { started }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_are_told_from_running() {
        let mut watch = ClockWatch::default();
        let mut read = |at_ms, ros_ms: i64| {
            watch.read(Moment::from_start(Duration::from_millis(at_ms)), Stamp::from_nanos(ros_ms * 1_000_000))
        };
        assert_eq!(read(0, 0), Some(ClockEvent::Waiting));
        assert_eq!(read(50, 0), None, "said once");
        assert_eq!(read(100, 5_000), Some(ClockEvent::Running));
        assert_eq!(read(150, 5_050), None);
        assert_eq!(read(200, 5_550), None, "ten times as fast");
        assert_eq!(read(250, 8_550), Some(ClockEvent::JumpedForward(Duration::from_secs(2))));
        assert_eq!(read(300, 8_500), None, "slewed");
        assert_eq!(read(350, 1_000), Some(ClockEvent::JumpedBack));
    }

    #[test]
    fn stamps_survive_messages() {
        let moment = Stamp::from_nanos(1_700_000_000_123_456_789);
        assert_eq!(stamp(&time(moment)), moment);
        assert_eq!(stamp(&Time { sec: 0, nanosec: 0 }).nanos(), 0);
        assert_eq!(time(Stamp::from_nanos(-5)).sec, 0);
    }
}
