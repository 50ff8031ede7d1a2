//! The part of the global plan that the local planner follows (goal_functions.cpp).

/// A pose of a plan, m and rad.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanPose {
    /// Metres.
    pub x: f64,
    /// Metres.
    pub y: f64,
    /// Heading. Plans of navfn have 0 everywhere but at the goal.
    pub yaw: f64,
}

impl PlanPose {
    fn squared_distance(&self, x: f64, y: f64) -> f64 {
        let (dx, dy) = (x - self.x, y - self.y);
        dx * dx + dy * dy
    }
}

/// The plan that was set last, less what the robot has left behind.
#[derive(Debug, Clone, Default)]
pub(super) struct FollowedPlan {
    poses: Vec<PlanPose>,
    /// Poses before this one are behind the robot.
    begin: usize,
}

impl FollowedPlan {
    /// Follows another plan.
    pub(super) fn set(&mut self, poses: &[PlanPose]) {
        self.poses.clear();
        self.poses.extend_from_slice(poses);
        self.begin = 0;
    }

    /// What has not been left behind.
    pub(super) fn rest(&self) -> &[PlanPose] {
        self.poses.get(self.begin..).unwrap_or_default()
    }

    /// Puts what is within `reach` of the robot (`transformGlobalPlan`), and one pose more, into `window`, and then drops
    /// what the robot has passed from both (`prunePlan`): from the front of the plan as many as from the window's, even where
    /// the window begins later in the plan.
    pub(super) fn cut_window(&mut self, x: f64, y: f64, reach: f64, window: &mut Vec<PlanPose>) {
        window.clear();
        let reach = reach * reach;
        let near = self.rest().iter().skip_while(|pose| pose.squared_distance(x, y) > reach);
        for pose in near {
            window.push(*pose);
            // As in the original, where the distance that is asked is the one of the pose before.
            if pose.squared_distance(x, y) > reach {
                break;
            }
        }
        let passed = window.iter().take_while(|pose| pose.squared_distance(x, y) >= 1.0).count();
        window.drain(..passed);
        self.begin += passed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(count: u32) -> Vec<PlanPose> {
        (0..count).map(|step| PlanPose { x: f64::from(step), y: 0.0, yaw: 0.0 }).collect()
    }

    #[test]
    fn the_window_has_one_pose_beyond_its_reach() {
        let (mut plan, mut window) = (FollowedPlan::default(), Vec::new());
        plan.set(&line(20));
        plan.cut_window(0.5, 0.0, 4.0, &mut window);
        assert_eq!(window.last().map(|pose| pose.x), Some(5.0));
        assert_eq!((window.first().map(|pose| pose.x), plan.rest().len()), (Some(0.0), 20));
    }

    #[test]
    fn what_was_passed_is_dropped_from_both() {
        let (mut plan, mut window) = (FollowedPlan::default(), Vec::new());
        plan.set(&line(20));
        plan.cut_window(3.5, 0.0, 4.0, &mut window);
        assert_eq!(window.first().map(|pose| pose.x), Some(3.0));
        assert_eq!(plan.rest().first().map(|pose| pose.x), Some(3.0));
    }

    #[test]
    fn a_plan_that_is_a_metre_away_is_dropped_whole() {
        let (mut plan, mut window) = (FollowedPlan::default(), Vec::new());
        plan.set(&line(3));
        plan.cut_window(0.0, 1.5, 4.0, &mut window);
        assert!(window.is_empty() && plan.rest().is_empty());
        plan.cut_window(0.0, 0.0, 4.0, &mut window);
        assert!(window.is_empty());
    }
}
