//! What images are drawn from, with `image_source: render`: messages become those of [`vlm_planner_tuner::scene`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::{FutureExt as _, StreamExt as _};
use nalgebra::Point2;
use r2r::QosProfile;
use r2r::nav_msgs::msg::{Odometry, Path};
use r2r::sensor_msgs::msg::LaserScan;

use super::NodeError;
use super::clock::stamp;
use super::intake::Messages;
use vlm_planner_tuner::frame::render::{self, Renderer};
use vlm_planner_tuner::frame::{Frame, Stamp};
use vlm_planner_tuner::live::Settings;
use vlm_planner_tuner::planner::guard::Level;
use vlm_planner_tuner::scene::{
    Issue, IssueCounts, OdometryMessage, PlanLayer, PlanMessage, Refused, ScanMessage, SceneRules, SpatialPose,
    Surroundings,
};

/// Fed by the thread that spins, drawn from by the one that decides.
#[derive(Clone)]
pub(super) struct SharedSurroundings(Arc<Mutex<Surroundings>>);

impl SharedSurroundings {
    pub(super) fn new(settings: &Settings) -> Self {
        Self(Arc::new(Mutex::new(Surroundings::new(settings.scene_rules()))))
    }

    fn lock(&self) -> MutexGuard<'_, Surroundings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The subscriptions beside scan and odometry.
pub(super) struct SceneIntake {
    /// One that hears publishers of every durability, and one that gets what a transient-local one said before.
    plans: Vec<Messages<Path>>,
    #[cfg(tf2_msgs)]
    transforms: Vec<(Messages<r2r::tf2_msgs::msg::TFMessage>, bool)>,
    surroundings: SharedSurroundings,
}

impl SceneIntake {
    pub(super) fn subscribe(
        node: &mut r2r::Node,
        settings: &Settings,
        surroundings: SharedSurroundings,
    ) -> Result<Self, NodeError> {
        let latched = || QosProfile::default().keep_last(1).transient_local();
        let mut plans: Vec<Messages<Path>> = Vec::new();
        if !settings.plan_topic.is_empty() {
            plans.push(Box::pin(node.subscribe(&settings.plan_topic, QosProfile::default().keep_last(1))?));
            plans.push(Box::pin(node.subscribe(&settings.plan_topic, latched())?));
        }
        #[cfg(tf2_msgs)]
        let transforms: Vec<(Messages<r2r::tf2_msgs::msg::TFMessage>, bool)> = vec![
            (Box::pin(node.subscribe("/tf", QosProfile::default().keep_last(100))?), false),
            (Box::pin(node.subscribe("/tf_static", latched().keep_last(100))?), true),
        ];
        Ok(Self {
            plans,
            #[cfg(tf2_msgs)]
            transforms,
            surroundings,
        })
    }

    pub(super) fn take_odometry(&mut self, odometry: Odometry) {
        let Odometry { header, child_frame_id, pose, .. } = odometry;
        let (position, orientation) = (pose.pose.position, pose.pose.orientation);
        let message = OdometryMessage {
            stamp: stamp(&header.stamp),
            frame: header.frame_id,
            child_frame: child_frame_id,
            pose: SpatialPose {
                position: [position.x, position.y, position.z],
                orientation: [orientation.x, orientation.y, orientation.z, orientation.w],
            },
        };
        refused("odometry", self.surroundings.lock().take_odometry(&message));
    }

    /// Takes all that has come. Call after every spin.
    pub(super) fn drain(&mut self) {
        for plans in &mut self.plans {
            while let Some(Some(Path { header, poses })) = plans.next().now_or_never() {
                let points = poses.iter().map(|at| Point2::new(at.pose.position.x, at.pose.position.y)).collect();
                let plan = PlanMessage { stamp: stamp(&header.stamp), frame: header.frame_id, points };
                self.surroundings.lock().take_plan(plan);
            }
        }
        #[cfg(tf2_msgs)]
        for (messages, is_static) in &mut self.transforms {
            while let Some(Some(message)) = messages.next().now_or_never() {
                for transform in message.transforms {
                    let (position, orientation) = (transform.transform.translation, transform.transform.rotation);
                    let message = vlm_planner_tuner::scene::TransformMessage {
                        stamp: stamp(&transform.header.stamp),
                        frame: transform.header.frame_id,
                        child_frame: transform.child_frame_id,
                        pose: SpatialPose {
                            position: [position.x, position.y, position.z],
                            orientation: [orientation.x, orientation.y, orientation.z, orientation.w],
                        },
                        is_static: *is_static,
                    };
                    refused("TF", self.surroundings.lock().take_transform(&message));
                }
            }
        }
    }
}

/// Counted where it was refused; the words are for whoever looks for them.
fn refused(what: &str, taken: Result<(), Refused>) {
    if let Err(refused) = taken {
        log::debug!("{what}: {refused}");
    }
}

/// Frames that are around at a time: one that is decided on, one whose decision waits for the planner's answers.
const SPARE: usize = 2;

/// Draws what is decided on.
pub(super) struct Painter {
    surroundings: SharedSurroundings,
    renderer: Renderer,
    /// Buffers of frames that have been decided on.
    spare: Vec<Vec<u8>>,
    drawn: u64,
    plan: &'static str,
    /// What is to be said about the last image, or why there is none.
    remark: Option<Remark>,
}

/// How bad it is, and the words.
type Remark = (Level, String);

/// What `/diagnostics` says about drawing.
pub(super) struct PainterReport {
    pub(super) drawn: u64,
    pub(super) plan: &'static str,
    pub(super) remark: Option<Remark>,
    pub(super) issues: IssueCounts,
}

impl Painter {
    pub(super) fn new(surroundings: SharedSurroundings) -> Self {
        Self {
            surroundings,
            renderer: Renderer::new(),
            spare: Vec::new(),
            drawn: 0,
            plan: PlanLayer::None.name(),
            remark: None,
        }
    }

    pub(super) fn set_rules(&mut self, rules: SceneRules) {
        self.surroundings.lock().set_rules(rules);
    }

    pub(super) fn clock_was_set_back(&mut self, now: Stamp) {
        self.surroundings.lock().clock_was_set_back(now);
    }

    /// Whether the odometry behind a scan may still come.
    pub(super) fn should_wait(&self, stamp: Stamp, received: Instant) -> bool {
        received.elapsed() < Surroundings::ODOMETRY_MAY_FOLLOW && !self.surroundings.lock().has_pose_for(stamp)
    }

    /// The image of a scan, or why there is none.
    pub(super) fn draw(&mut self, scan: LaserScan, stamp: Stamp) -> Result<Frame, String> {
        let LaserScan { header, angle_min, angle_increment, range_min, range_max, ranges, .. } = scan;
        let scan = render::LaserScan { angle_min, angle_increment, range_min, range_max, ranges };
        let message = ScanMessage { stamp, frame: header.frame_id, scan };
        let drawn = self.try_draw(message);
        self.remark = match &drawn {
            Ok((_, remark)) => remark.clone(),
            Err(problem) => Some((Level::Warn, format!("no image is drawn: {problem}"))),
        };
        drawn.map(|(frame, _)| frame)
    }

    /// The image, and what was left out of it.
    fn try_draw(&mut self, scan: ScanMessage) -> Result<(Frame, Option<Remark>), String> {
        let spare = self.spare.pop().unwrap_or_default();
        // Drawn without the lock: the thread that spins waits for it.
        let composed = self.surroundings.lock().compose(scan).map_err(|no| no.to_string())?;
        let (frame, report) = self.renderer.draw_reusing(spare, &composed.scene).map_err(|error| error.to_string())?;
        self.drawn += 1;
        self.plan = composed.plan.name();
        let mut problems = Vec::new();
        match &composed.plan {
            PlanLayer::WithoutTransform(no) => {
                problems.push(format!("the plan is left out: {no}; set assume_same_frame to draw it all the same"));
            }
            PlanLayer::Stale(_) | PlanLayer::Drawn | PlanLayer::None | PlanLayer::Empty => {}
        }
        let mut surroundings = self.surroundings.lock();
        if report.nan_ranges > 0 {
            surroundings.count(Issue::NanRanges);
            problems.push(format!("{} ranges are NaN", report.nan_ranges));
        }
        if report.unusable_path_points > 0 {
            surroundings.count(Issue::UnusablePathPoints);
            problems.push(format!("{} points of the plan are not finite or out of reach", report.unusable_path_points));
        }
        let remark = match (&composed.plan, problems.is_empty()) {
            (_, false) => Some((Level::Warn, problems.join("; "))),
            // Where the robot has arrived, that is as it should be.
            (PlanLayer::Stale(age_s), true) => {
                Some((Level::Ok, format!("the plan is left out: it is {age_s:.1} s old (max_plan_age)")))
            }
            _ => None,
        };
        Ok((frame, remark))
    }

    /// Takes back the frame of a decision that is over.
    pub(super) fn recycle(&mut self, frame: Arc<Frame>) {
        if let Some(frame) = Arc::into_inner(frame)
            && self.spare.len() < SPARE
        {
            self.spare.push(frame.into_rgb());
        }
    }

    pub(super) fn report(&self) -> PainterReport {
        let issues = self.surroundings.lock().counts().clone();
        PainterReport { drawn: self.drawn, plan: self.plan, remark: self.remark.clone(), issues }
    }
}
