//! What ROS time does other than pass.

use std::time::Duration;

use crate::frame::Stamp;
use crate::planner::guard::{ClockEvent, Moment};

/// A step of this much beyond the time that passed is a jump, not jitter or a fast simulation.
const FORWARD_JUMP: Duration = Duration::from_secs(1);
/// Simulations and recordings run at this many times the speed at most.
const FASTEST: u32 = 20;
const BACKWARD_JUMP: Duration = Duration::from_millis(100);

/// Compares ROS time with monotonic time, reading by reading.
#[derive(Debug, Default)]
pub struct ClockWatch {
    last: Option<(Moment, Stamp)>,
    waiting: bool,
}

impl ClockWatch {
    /// Takes a reading. Bags and simulations may run at ten times the speed and more without a jump.
    pub fn read(&mut self, now: Moment, ros: Stamp) -> Option<ClockEvent> {
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
        let elapsed = now.since(then);
        let jump = forward.saturating_sub(elapsed * FASTEST);
        if is_jump(forward, elapsed) { Some(ClockEvent::JumpedForward(jump)) } else { started }
    }
}

/// Whether ROS time went further ahead than any simulation or recording would in the time that passed.
pub(super) fn is_jump(forward: Duration, elapsed: Duration) -> bool {
    forward.saturating_sub(elapsed * FASTEST) > FORWARD_JUMP
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
}
