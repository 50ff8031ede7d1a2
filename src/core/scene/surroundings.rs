//! The last of everything, and scenes of it.

use std::time::Duration;

use nalgebra::{Isometry2, Isometry3, Point2};

use super::message::on_ground;
use super::pose_track::{NoPoseAt, PoseAt, PoseTrack};
use super::transforms::{Patience, Transforms, plain};
use super::{
    Issue, IssueCounts, NoScene, NoTransform, OdometryMessage, PlanMessage, Refused, ScanMessage, SceneRules,
    TransformMessage,
};
use crate::frame::Stamp;
use crate::frame::render::Scene;

/// What is around the robot. See the [module](super).
#[derive(Debug, Default)]
pub struct Surroundings {
    rules: SceneRules,
    plan: Option<PlanMessage>,
    /// Plans that were made before this belong to a goal that is over.
    goal_over: Option<Stamp>,
    odometry: PoseTrack,
    odometry_frame: String,
    /// Empty where odometry does not name it.
    robot_frame: String,
    transforms: Transforms,
    counts: IssueCounts,
}

/// A scene, and what became of its inputs.
#[derive(Debug, Clone)]
pub struct ComposedScene {
    /// To be drawn.
    pub scene: Scene,
    /// Seconds from the nearest odometry to the scan.
    pub pose_age_s: f64,
    /// Whether there is a plan in it.
    pub plan: PlanLayer,
}

/// What became of the robot's goal. A plan is good until its goal is over, or the next one comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoalChange {
    /// A new goal was accepted at this time: plans that were made before it are over.
    Began(Stamp),
    /// The last goal has been reached, or was given up.
    Ended,
}

/// What became of the plan.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanLayer {
    /// It is in the scene.
    Drawn,
    /// None has come yet.
    None,
    /// Its goal has been reached, or was given up: there is nowhere to go.
    GoalOver,
    /// The last one has no points: there is nowhere to go.
    Empty,
    /// The last one is this old, seconds.
    Stale(f64),
    /// It is in a frame that nothing ties to the odometry's.
    WithoutTransform(NoTransform),
}

impl PlanLayer {
    /// The stable name, in snake case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Drawn => "drawn",
            Self::None => "none",
            Self::GoalOver => "goal_over",
            Self::Empty => "empty",
            Self::Stale(_) => "stale",
            Self::WithoutTransform(_) => "without_transform",
        }
    }
}

impl Surroundings {
    /// How long a scan should wait for the odometry behind it, see [`Self::has_pose_for`].
    pub const ODOMETRY_MAY_FOLLOW: Duration = Duration::from_millis(100);

    /// Nothing is known yet.
    pub fn new(rules: SceneRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Goes on with other rules.
    pub fn set_rules(&mut self, rules: SceneRules) {
        self.rules = rules;
    }

    /// What was wrong so far.
    pub fn counts(&self) -> &IssueCounts {
        &self.counts
    }

    /// Counts what others found wrong with a scene of this.
    pub fn count(&mut self, issue: Issue) {
        self.counts.add(issue);
    }

    /// The plan from now on.
    pub fn take_plan(&mut self, plan: PlanMessage) {
        self.plan = Some(plan);
    }

    /// A goal has begun, or the last one is over.
    pub fn take_goal(&mut self, change: GoalChange) {
        let over = match change {
            GoalChange::Began(accepted) if accepted.nanos() != 0 => {
                // By its stamp, as the plan of this goal may have come before the news of it.
                Some(Stamp::from_nanos(accepted.nanos().saturating_sub(1)))
            }
            GoalChange::Began(_) | GoalChange::Ended => {
                // Before the plan has come, odometry tells what time it is: a plan that comes late is older.
                self.plan.as_ref().map(|plan| plan.stamp).or_else(|| self.odometry.newest())
            }
        };
        self.goal_over = self.goal_over.max(over);
    }

    /// Where the robot was.
    ///
    /// # Errors
    /// [`Refused`] for an invalid pose.
    pub fn take_odometry(&mut self, message: &OdometryMessage) -> Result<(), Refused> {
        let pose = message.pose.isometry().inspect_err(|_| self.counts.add(Issue::InvalidPose))?;
        let names_robot = plain(&message.child_frame) != plain(&message.frame);
        let robot_frame = if names_robot { message.child_frame.as_str() } else { "" };
        if self.odometry_frame != message.frame || self.robot_frame != robot_frame {
            self.odometry = PoseTrack::default();
            self.odometry_frame.clone_from(&message.frame);
            robot_frame.clone_into(&mut self.robot_frame);
        }
        if self.odometry.push(message.stamp, pose).is_err() {
            self.clock_was_set_back(message.stamp);
            // Into an empty track: nothing to be set back from.
            self.odometry.push(message.stamp, pose).ok();
        }
        Ok(())
    }

    /// How two frames lie to each other.
    ///
    /// # Errors
    /// [`Refused`] for an invalid transform, or one frame too many.
    pub fn take_transform(&mut self, message: &TransformMessage) -> Result<(), Refused> {
        let taken = self.transforms.take(message).inspect_err(|_| self.counts.add(Issue::InvalidTransform))?;
        if taken.is_err() {
            self.clock_was_set_back(message.stamp);
            self.transforms.take(message)?.ok();
        }
        Ok(())
    }

    /// Forgets what was known of a time that has not come yet: the clock was set back to `now`. It is noticed here, too,
    /// where stamps fall by a second or more.
    pub fn clock_was_set_back(&mut self, now: Stamp) {
        self.counts.add(Issue::ClockSetBack);
        self.odometry = PoseTrack::default();
        self.transforms.forget_moving();
        // One that came a moment before the first odometry of the new time is kept.
        self.plan.take_if(|plan| plan.stamp.seconds_since(now) > 1.0);
        self.goal_over.take_if(|over| over.seconds_since(now) > 1.0);
    }

    /// Whether taking this would show that the clock was set back.
    pub fn is_set_back_by(&self, transform: &TransformMessage) -> bool {
        self.transforms.is_set_back_by(transform)
    }

    /// Forgets the transforms that move, or those that are static: from now on another topic tells of them.
    pub fn forget_transforms(&mut self, are_static: bool) {
        if are_static {
            self.transforms.forget_static();
        } else {
            self.transforms.forget_moving();
        }
    }

    /// Whether odometry has come that is as new as this stamp: a scene composed now is final.
    pub fn has_pose_for(&self, stamp: Stamp) -> bool {
        self.odometry.reaches(stamp)
    }

    /// Whether a transform that comes later could still tell how the plan lies at this stamp, or the laser.
    pub fn awaits_transforms(&self, stamp: Stamp, laser: &str) -> bool {
        let awaits =
            |to: &str, from: &str| !self.transforms.connects(to, from) || self.transforms.may_change(to, from, stamp);
        let plan = self
            .plan_to_draw(stamp)
            .is_ok_and(|plan| !self.shares_frame(plan) && awaits(&plan.frame, &self.odometry_frame));
        plan || self.rules.apply_laser_mount && !self.robot_frame.is_empty() && awaits(&self.robot_frame, laser)
    }

    /// The scene at the scan's stamp.
    ///
    /// # Errors
    /// [`NoScene`] for a scan that sees nothing, without a pose of the robot, without a mount of the laser where it is asked for, and for a scan or
    /// plan that cannot be drawn.
    pub fn compose(&mut self, scan: ScanMessage) -> Result<ComposedScene, NoScene> {
        self.try_compose(scan).inspect_err(|no| self.counts.add(no.issue())).inspect(|composed| match composed.plan {
            PlanLayer::Stale(_) => self.counts.add(Issue::StalePlan),
            PlanLayer::WithoutTransform(_) => self.counts.add(Issue::PlanWithoutTransform),
            _ => {}
        })
    }

    fn try_compose(&self, message: ScanMessage) -> Result<ComposedScene, NoScene> {
        message.check()?;
        let ScanMessage { stamp, frame, scan, .. } = message;
        let PoseAt { pose, age_s: pose_age_s } =
            self.odometry.at(stamp, self.rules.max_pose_age).map_err(|no| match no {
                NoPoseAt::Empty => NoScene::NoPose,
                NoPoseAt::Stale(age_s) => NoScene::StalePose { age_s, limit_s: self.rules.max_pose_age.as_secs_f64() },
            })?;
        let laser_mount = if self.rules.apply_laser_mount { Some(self.laser_mount(&frame, stamp)?) } else { None };
        let (robot, path, plan) = self.plan_around(&pose, stamp);
        let scene = Scene { scan, laser_mount, robot, path };
        scene.check()?;
        Ok(ComposedScene { scene, pose_age_s, plan })
    }

    fn patience(&self) -> Patience {
        Patience { behind: self.rules.max_transform_age, before: self.rules.max_pose_age }
    }

    fn laser_mount(&self, laser: &str, stamp: Stamp) -> Result<Isometry3<f64>, NoScene> {
        if plain(&self.robot_frame).is_empty() {
            return Err(NoScene::NoLaserMount(NoTransform::NoRobotFrame));
        }
        let mount = self.transforms.between(&self.robot_frame, laser, stamp, self.patience());
        mount.map_err(NoScene::NoLaserMount)
    }

    /// The robot and the plan in one frame.
    fn plan_around(&self, pose: &Isometry3<f64>, stamp: Stamp) -> (Isometry2<f64>, Vec<Point2<f64>>, PlanLayer) {
        let without = |layer| (on_ground(pose), Vec::new(), layer);
        let plan = match self.plan_to_draw(stamp) {
            Ok(plan) => plan,
            Err(layer) => return without(layer),
        };
        if self.shares_frame(plan) {
            return (on_ground(pose), plan.points.clone(), PlanLayer::Drawn);
        }
        match self.transforms.between(&plan.frame, &self.odometry_frame, stamp, self.patience()) {
            Ok(odometry_in_plan) => (on_ground(&(odometry_in_plan * pose)), plan.points.clone(), PlanLayer::Drawn),
            Err(no) => without(PlanLayer::WithoutTransform(no)),
        }
    }

    /// The plan that belongs into a scene of this stamp, or why there is none.
    fn plan_to_draw(&self, stamp: Stamp) -> Result<&PlanMessage, PlanLayer> {
        let plan = self.plan.as_ref().ok_or(PlanLayer::None)?;
        if plan.points.is_empty() {
            return Err(PlanLayer::Empty);
        }
        if self.goal_over.is_some_and(|over| plan.stamp <= over) {
            return Err(PlanLayer::GoalOver);
        }
        let age_s = stamp.seconds_since(plan.stamp);
        if self.rules.max_plan_age.is_some_and(|limit| age_s.abs() > limit.as_secs_f64()) {
            return Err(PlanLayer::Stale(age_s));
        }
        Ok(plan)
    }

    fn shares_frame(&self, plan: &PlanMessage) -> bool {
        self.rules.assume_same_frame || plain(&plan.frame) == plain(&self.odometry_frame)
    }
}
