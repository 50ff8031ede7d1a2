//! The guard without a model, a clock or ROS: what it lets through, and what it does when nothing comes.
//! `cargo run --release --example guard_alone`
#![allow(clippy::print_stdout)]

use std::time::Duration;

use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::planner::envelope::{Envelope, EnvelopeLimits};
use vlm_planner_tuner::planner::guard::{FrameArrival, Guard, GuardLimits, Mode, Moment};

fn main() -> anyhow::Result<()> {
    let planner = PlannerSpec::builtin("dwa")?;
    let envelope = Envelope::new(planner.clone(), EnvelopeLimits::default())?;
    let mut guard = Guard::new(envelope, GuardLimits::default(), Mode::Active, Moment::default())?;

    let at = |ms: u64| (Moment::from_start(Duration::from_millis(ms)), Stamp::from_nanos(ms as i64 * 1_000_000 + 1));
    let (now, stamp) = at(100);
    guard.velocity(0.5, 0.0, stamp);
    guard.frame(now, FrameArrival { stamp, ros_now: stamp, image_hash: 1, odd: None });
    if let Ok(ticket) = guard.admit(now, stamp, stamp) {
        // Here a model would look at the picture.
        let action = [0.5; 7];
        let reaction = guard.decided(at(200).0, ticket, &planner.from_action(&action)?, Some(&action));
        println!("a decision: {:?}", reaction.transition);
    }
    // No picture comes any more: the parameters are held, then the safe defaults are set.
    for ms in (250..10_000).step_by(50) {
        if let Some(change) = guard.tick(at(ms).0).transition {
            println!("{:>5} ms: {:?} -> {:?}: {:?}", ms, change.from, change.to, change.reason);
        }
    }
    Ok(())
}
