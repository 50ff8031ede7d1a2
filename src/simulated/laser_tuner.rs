//! The laser policy of APPLR in the loop.

use super::{SimulatedError, tuning_of};
use crate::planner::PlannerSpec;
use crate::policy::LaserNetwork;
use crate::random::Random;
use crate::simulation::drive::{Decision, Moment, Tuner};
use crate::simulation::trajectory_planner::PlanPose;

/// The local goal is the plan's first pose that is farther away than this, m.
const LOCAL_GOAL_M: f64 = 1.0;
/// Half of the window that the plan is smoothed in, poses.
const SMOOTHING: usize = 9;

/// Decides by the newest scan and the bearing of the plan.
pub struct LaserTuner<'a> {
    network: &'a LaserNetwork,
    planner: PlannerSpec,
    /// Standard deviation of what is added to actions, as during the collection of training data.
    noise: f64,
    random: Random,
}

impl<'a> LaserTuner<'a> {
    /// A tuner for one drive; the seed is for its noise.
    pub fn new(network: &'a LaserNetwork, planner: PlannerSpec, noise: f64, seed: u64) -> Self {
        Self { network, planner, noise, random: Random::new(seed) }
    }
}

impl Tuner for LaserTuner<'_> {
    type Error = SimulatedError;

    fn decide(&mut self, moment: &Moment<'_>) -> Result<Option<Decision>, SimulatedError> {
        let action = self.network.act(&moment.scan.ranges, bearing(moment))?;
        let mut values = action.values().to_vec();
        if self.noise > 0.0 {
            values.iter_mut().for_each(|value| *value += self.noise as f32 * self.random.normal());
        }
        let values: Vec<f32> = values.into_iter().map(|value| value.clamp(-1.0, 1.0)).collect();
        let tuning = tuning_of(&self.planner.from_action(&values)?)?;
        Ok(Some(Decision { tuning, latency_s: 0.0 }))
    }
}

/// The bearing of the local goal from the robot, rad; 0 without a plan.
fn bearing(moment: &Moment<'_>) -> f64 {
    let robot = moment.pose.position;
    let is_far = |[x, y]: &[f64; 2]| (x - robot.x).hypot(y - robot.y) > LOCAL_GOAL_M;
    let smooth = smoothed(moment.plan);
    let Some([x, y]) = smooth.iter().find(|pose| is_far(pose)).or(smooth.last()) else { return 0.0 };
    let (sin, cos) = moment.pose.yaw.sin_cos();
    let (dx, dy) = (x - robot.x, y - robot.y);
    (dy * cos - dx * sin).atan2(dx * cos + dy * sin)
}

/// A plan, smoothed as by `scipy.signal.savgol_filter(…, 19, 3)`; the nine poses at each end, which the robot has reached or
/// will not look at, stay as they are.
fn smoothed(plan: &[PlanPose]) -> Vec<[f64; 2]> {
    let raw = || plan.iter().map(|pose| [pose.x, pose.y]);
    if plan.len() <= 2 * SMOOTHING {
        return raw().collect();
    }
    let m = SMOOTHING as f64;
    let scale = 3.0 / ((2.0 * m - 1.0) * (2.0 * m + 1.0) * (2.0 * m + 3.0));
    let weights: Vec<f64> = (0..=2 * SMOOTHING)
        .map(|place| {
            let k = place as f64 - m;
            scale * (3.0 * m * m + 3.0 * m - 1.0 - 5.0 * k * k)
        })
        .collect();
    let middle = plan.windows(weights.len()).map(|window| {
        let weighted = window.iter().zip(&weights).map(|(pose, weight)| [pose.x * weight, pose.y * weight]);
        weighted.fold([0.0, 0.0], |[x, y], [dx, dy]| [x + dx, y + dy])
    });
    let tail = raw().skip(plan.len() - SMOOTHING);
    raw().take(SMOOTHING).chain(middle).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn plan(y: impl Fn(f64) -> f64, count: u32) -> Vec<PlanPose> {
        (0..count).map(|step| f64::from(step) * 0.05).map(|x| PlanPose { x, y: y(x), yaw: 0.0 }).collect()
    }

    #[test]
    fn a_cubic_is_smooth_already_and_noise_is_less_afterwards() {
        let cubic = plan(|x| x * x * x - 2.0 * x, 60);
        for ([_, y], pose) in smoothed(&cubic).iter().zip(&cubic) {
            assert!((y - pose.y).abs() < 1e-12);
        }
        let zigzag = plan(|x| if (x * 20.0).round() as i64 % 2 == 0 { 0.1 } else { -0.1 }, 60);
        assert!(smoothed(&zigzag)[9..51].iter().all(|[_, y]| y.abs() < 0.02));
        assert_eq!(smoothed(&zigzag[..5]).len(), 5);
    }
}
