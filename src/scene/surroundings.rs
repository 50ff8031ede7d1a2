//! The last of everything, and scenes of it.

use std::time::Duration;

use nalgebra::{Isometry2, Isometry3, Point2};

use super::message::on_ground;
use super::pose_track::{NoPoseAt, PoseAt, PoseTrack};
use super::transforms::{Transforms, plain};
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
    odometry: PoseTrack,
    odometry_frame: String,
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

/// What became of the plan.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanLayer {
    /// It is in the scene.
    Drawn,
    /// None has come yet.
    None,
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

    /// Where the robot was.
    ///
    /// # Errors
    /// [`Refused`] for a pose that is none.
    pub fn take_odometry(&mut self, message: &OdometryMessage) -> Result<(), Refused> {
        let pose = message.pose.isometry().inspect_err(|_| self.counts.add(Issue::InvalidPose))?;
        if self.odometry_frame != message.frame || self.robot_frame != message.child_frame {
            self.odometry = PoseTrack::default();
            self.odometry_frame.clone_from(&message.frame);
            self.robot_frame.clone_from(&message.child_frame);
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
    /// [`Refused`] for a transform that is none, or one frame too many.
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
    }

    /// Whether odometry has come that is as new as this stamp: a scene composed now is final.
    pub fn has_pose_for(&self, stamp: Stamp) -> bool {
        self.odometry.reaches(stamp)
    }

    /// The scene at the scan's stamp.
    ///
    /// # Errors
    /// [`NoScene`] without a pose of the robot, without a mount of the laser where it is asked for, and for a scan or
    /// plan that cannot be drawn.
    pub fn compose(&mut self, scan: ScanMessage) -> Result<ComposedScene, NoScene> {
        self.try_compose(scan).inspect_err(|no| self.counts.add(no.issue())).inspect(|composed| match composed.plan {
            PlanLayer::Stale(_) => self.counts.add(Issue::StalePlan),
            PlanLayer::WithoutTransform(_) => self.counts.add(Issue::PlanWithoutTransform),
            _ => {}
        })
    }

    fn try_compose(&self, ScanMessage { stamp, frame, scan }: ScanMessage) -> Result<ComposedScene, NoScene> {
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

    fn laser_mount(&self, laser: &str, stamp: Stamp) -> Result<Isometry3<f64>, NoScene> {
        let mount = self.transforms.between(&self.robot_frame, laser, stamp, self.rules.max_pose_age);
        mount.map_err(NoScene::NoLaserMount)
    }

    /// The robot and the plan in one frame.
    fn plan_around(&self, pose: &Isometry3<f64>, stamp: Stamp) -> (Isometry2<f64>, Vec<Point2<f64>>, PlanLayer) {
        let without = |layer| (on_ground(pose), Vec::new(), layer);
        let Some(plan) = &self.plan else { return without(PlanLayer::None) };
        if plan.points.is_empty() {
            return without(PlanLayer::Empty);
        }
        let age_s = stamp.seconds_since(plan.stamp);
        if self.rules.max_plan_age.is_some_and(|limit| age_s.abs() > limit.as_secs_f64()) {
            return without(PlanLayer::Stale(age_s));
        }
        if self.rules.assume_same_frame || plain(&plan.frame) == plain(&self.odometry_frame) {
            return (on_ground(pose), plan.points.clone(), PlanLayer::Drawn);
        }
        match self.transforms.between(&plan.frame, &self.odometry_frame, stamp, self.rules.max_pose_age) {
            Ok(odometry_in_plan) => (on_ground(&(odometry_in_plan * pose)), plan.points.clone(), PlanLayer::Drawn),
            Err(no) => without(PlanLayer::WithoutTransform(no)),
        }
    }
}
