//! Time as the robot lives it: that of the simulation or recording, where there is one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::clock_watch::is_jump;
use crate::frame::Stamp;
use crate::planner::guard::Moment;

/// A clock for time-outs about images and decisions. It never runs backwards.
///
/// With `use_sim_time` it passes as ROS time does: a simulation at a fifth of real time has five times as long, and while
/// it is paused no time passes. A jump of ROS time (a recording that begins again, a simulation that was reset) takes none
/// either: it is no silence of anybody's. Until the first `/clock`, and without `use_sim_time`, it is monotonic time.
/// Calls to other processes are timed by the monotonic clock, always: those processes do not wait for a simulation.
#[derive(Debug)]
pub struct DrivingTime {
    follows_ros: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: Moment,
    last: Option<Reading>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    monotonic: Moment,
    ros: Stamp,
}

impl DrivingTime {
    /// A clock that follows ROS time, or does not.
    pub fn new(follows_ros: bool) -> Self {
        Self { follows_ros, state: Mutex::default() }
    }

    /// The moment it is. `read` reads monotonic and ROS time; threads that ask at once do not overtake one another.
    pub fn now(&self, read: impl FnOnce() -> (Moment, Stamp)) -> Moment {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (monotonic, ros) = read();
        if !self.follows_ros {
            return monotonic;
        }
        let last = state.last.replace(Reading { monotonic, ros });
        let passed = match last {
            None => monotonic.since(Moment::default()),
            Some(last) => passed(last, Reading { monotonic, ros }),
        };
        state.now = state.now + passed;
        state.now
    }
}

fn passed(last: Reading, now: Reading) -> Duration {
    let elapsed = now.monotonic.since(last.monotonic);
    if last.ros.nanos() <= 0 {
        return elapsed;
    }
    let nanos = now.ros.nanos().saturating_sub(last.ros.nanos());
    let forward = u64::try_from(nanos).map_or(Duration::ZERO, Duration::from_nanos);
    if is_jump(forward, elapsed) { Duration::ZERO } else { forward }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a clock at monotonic and ROS milliseconds; answers in milliseconds.
    fn read(time: &DrivingTime, at_ms: u64, ros_ms: i64) -> u128 {
        let reading = (Moment::from_start(Duration::from_millis(at_ms)), Stamp::from_nanos(ros_ms * 1_000_000));
        time.now(|| reading).since(Moment::default()).as_millis()
    }

    #[test]
    fn r5_time_passes_as_in_the_simulation() {
        let time = DrivingTime::new(true);
        assert_eq!(read(&time, 500, 0), 500, "monotonic before the first /clock");
        assert_eq!(read(&time, 1_500, 0), 1_500);
        assert_eq!(read(&time, 1_600, 40_000), 1_600, "the first /clock");
        assert_eq!(read(&time, 2_600, 40_200), 1_800, "a fifth of real time");
        assert_eq!(read(&time, 12_600, 40_200), 1_800, "paused");
        assert_eq!(read(&time, 12_700, 40_220), 1_820, "goes on");
        assert_eq!(read(&time, 12_800, 41_220), 2_820, "ten times as fast");
        assert_eq!(read(&time, 12_900, 1_000), 2_820, "begins again");
        assert_eq!(read(&time, 13_000, 1_100), 2_920);
        assert_eq!(read(&time, 13_100, 90_000), 2_920, "skips ahead");
        assert_eq!(read(&time, 13_200, 90_100), 3_020);
    }

    #[test]
    fn without_simulation_time_ros_time_does_not_matter() {
        let time = DrivingTime::new(false);
        assert_eq!(read(&time, 500, 1_700_000_000_000), 500);
        assert_eq!(read(&time, 900, 1_600_000_000_000), 900);
        assert_eq!(read(&time, 1_900, 1_800_000_000_000), 1_900);
    }
}
