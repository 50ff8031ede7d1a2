//! What images are drawn of, with `image_source: render`: messages become those of [`vlm_planner_tuner::scene`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use nalgebra::Point2;
use r2r::QosProfile;
use r2r::nav_msgs::msg::{Odometry, Path};

use super::NodeError;
use super::clock::{RosTime, stamp};
use super::intake::Messages;
use vlm_planner_tuner::frame::Stamp;
#[cfg(tf2_msgs)]
use vlm_planner_tuner::live::Names;
use vlm_planner_tuner::live::Settings;
use vlm_planner_tuner::scene::{
    ComposedScene, GoalChange, Issue, IssueCounts, NoScene, OdometryMessage, PlanMessage, Refused, ScanMessage,
    SceneRules, SpatialPose, Surroundings,
};

/// Fed by the thread that spins; images are drawn of it on another. Nobody holds the lock for longer than it takes to put
/// a scene together.
#[derive(Clone)]
pub(super) struct SharedSurroundings(Arc<Mutex<Surroundings>>);

impl SharedSurroundings {
    pub(super) fn new(settings: &Settings) -> Self {
        Self(Arc::new(Mutex::new(Surroundings::new(settings.scene_rules()))))
    }

    pub(super) fn set_rules(&self, rules: SceneRules) {
        self.lock().set_rules(rules);
    }

    pub(super) fn clock_was_set_back(&self, now: Stamp) {
        self.lock().clock_was_set_back(now);
    }

    /// Whether the odometry behind a scan that has waited for so long may still come.
    pub(super) fn should_wait(&self, stamp: Stamp, waited: Duration) -> bool {
        waited < Surroundings::ODOMETRY_MAY_FOLLOW && !self.lock().has_pose_for(stamp)
    }

    /// The scene around a scan.
    pub(super) fn compose(&self, scan: ScanMessage) -> Result<ComposedScene, NoScene> {
        self.lock().compose(scan)
    }

    /// Counts something that was left out of an image.
    pub(super) fn count(&self, issue: Issue) {
        self.lock().count(issue);
    }

    /// What was refused or left out so far.
    pub(super) fn counts(&self) -> IssueCounts {
        self.lock().counts().clone()
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
    transforms: Vec<TransformTopic>,
    surroundings: SharedSurroundings,
    clock: RosTime,
    /// Refusals that have been said in full.
    said: u32,
}

/// A topic of transforms that may be the robot's. The first in the list that was ever heard counts, of each kind.
#[cfg(tf2_msgs)]
struct TransformTopic {
    name: String,
    messages: Messages<r2r::tf2_msgs::msg::TFMessage>,
    is_static: bool,
    is_heard: bool,
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
        let mut transforms = Vec::new();
        #[cfg(tf2_msgs)]
        for (usual, is_static, qos) in
            [("tf", false, QosProfile::default().keep_last(100)), ("tf_static", true, latched().keep_last(100))]
        {
            let names = Names::new(std::env::args(), &node.namespace()?, &node.name()?);
            for name in names.transform_topics(usual, &["odometry", "scan"]) {
                let messages: Messages<r2r::tf2_msgs::msg::TFMessage> = Box::pin(node.subscribe(&name, qos.clone())?);
                transforms.push(TransformTopic { name, messages, is_static, is_heard: false });
            }
        }
        Ok(Self {
            plans,
            #[cfg(tf2_msgs)]
            transforms,
            surroundings,
            clock: RosTime::of(node),
            said: 0,
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
        let taken = self.surroundings.lock().take_odometry(&message);
        self.refused("odometry", taken);
    }

    /// A goal has begun, or the last one is over.
    pub(super) fn take_goal(&self, change: GoalChange) {
        self.surroundings.lock().take_goal(change);
    }

    /// Counted where it was refused; the words are for whoever looks for them, the first of them for everybody.
    fn refused(&mut self, what: &str, taken: Result<(), Refused>) {
        let Err(refused) = taken else { return };
        self.said = self.said.saturating_add(1);
        let level = if self.said <= SAID_IN_FULL { log::Level::Warn } else { log::Level::Debug };
        log::log!(level, "{what}: {refused}");
    }

    /// Takes all that has come. Call after every spin.
    pub(super) fn drain(&mut self) {
        for plans in &mut self.plans {
            while let Some(Some(Path { header, poses })) = plans.next().now_or_never() {
                let points = poses.iter().map(|at| Point2::new(at.pose.position.x, at.pose.position.y)).collect();
                let sent = stamp(&header.stamp);
                // A stamp of zero says nothing.
                let stamp = if sent.nanos() == 0 { self.clock.now() } else { sent };
                let plan = PlanMessage { stamp, frame: header.frame_id, points };
                self.surroundings.lock().take_plan(plan);
            }
        }
        #[cfg(tf2_msgs)]
        for (number, message) in self.next_transforms() {
            self.take_transforms(number, message);
        }
    }

    /// What has come, with the number of the topic.
    #[cfg(tf2_msgs)]
    fn next_transforms(&mut self) -> Vec<(usize, r2r::tf2_msgs::msg::TFMessage)> {
        let mut come = Vec::new();
        for (number, topic) in self.transforms.iter_mut().enumerate() {
            while let Some(Some(message)) = topic.messages.next().now_or_never() {
                come.push((number, message));
            }
        }
        come
    }

    /// Takes the transforms of a topic, unless one nearer to the robot tells of them: `/tf` may be another robot's.
    #[cfg(tf2_msgs)]
    fn take_transforms(&mut self, number: usize, message: r2r::tf2_msgs::msg::TFMessage) {
        let Some((nearer, rest)) = self.transforms.split_at_mut_checked(number) else { return };
        let Some((topic, farther)) = rest.split_first_mut() else { return };
        let is_static = topic.is_static;
        if nearer.iter().any(|nearer| nearer.is_static == is_static && nearer.is_heard) {
            return;
        }
        if !std::mem::replace(&mut topic.is_heard, true) {
            if let Some(left) = farther.iter().find(|farther| farther.is_static == is_static && farther.is_heard) {
                log::warn!("transforms come on {}, too: those of {} are not used any more", topic.name, left.name);
                self.surroundings.lock().forget_transforms(is_static);
            } else {
                log::info!("transforms from {}", topic.name);
            }
        }
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
                is_static,
            };
            let taken = self.surroundings.lock().take_transform(&message);
            self.refused("TF", taken);
        }
    }
}

/// Refused messages that are told of in full.
const SAID_IN_FULL: u32 = 3;
