//! Messages come in: drained on the thread that spins, so that none waits in r2r's queues, which drop the newest.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures::{FutureExt as _, Stream, StreamExt as _};
use r2r::action_msgs::msg::GoalStatusArray;
use r2r::nav_msgs::msg::Odometry;
use r2r::sensor_msgs::msg::{CompressedImage, Image, LaserScan};
use r2r::{QosProfile, WrappedTypesupport};
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::clock::stamp;
use super::surroundings::{SceneIntake, SharedSurroundings};
use super::transition_log::LogIntake;
use super::{Input, NodeError};
use vlm_planner_tuner::frame::{Frame, FrameError, RawImage, Stamp};
use vlm_planner_tuner::live::{ArrivalCounts, Arrived, Delivery, LatestSlot, Settings, SubscribedTopic, Subscription};
use vlm_planner_tuner::recording::{GoalStatus, GoalWatch};
use vlm_planner_tuner::scene::{OdometryTwist, TwistRemark};

/// An image as it came, not yet decoded: most are replaced by a newer one before anyone looks at them.
#[derive(Debug)]
pub(super) enum ImageMessage {
    Raw(Image),
    Compressed(CompressedImage),
    /// What an image is drawn from.
    Scan(LaserScan),
}

impl ImageMessage {
    /// `header.stamp`, zero included.
    pub(super) fn stamp(&self) -> Stamp {
        stamp(match self {
            Self::Raw(image) => &image.header.stamp,
            Self::Compressed(image) => &image.header.stamp,
            Self::Scan(scan) => &scan.header.stamp,
        })
    }

    /// `header.frame_id`.
    pub(super) fn frame_id(&self) -> &str {
        match self {
            Self::Raw(image) => &image.header.frame_id,
            Self::Compressed(image) => &image.header.frame_id,
            Self::Scan(scan) => &scan.header.frame_id,
        }
    }
}

/// The pixels of a message, if the image is of the size that is expected.
pub(super) fn decode_raw(image: &Image, expected: Option<(u32, u32)>) -> Result<Frame, FrameError> {
    let Image { height, width, encoding, step, data, .. } = image;
    Frame::from_raw_of_size(&RawImage { height: *height, width: *width, encoding, step: *step, data }, expected)
}

/// The newest image, and how to wake the one who decides.
#[derive(Debug, Default)]
pub(super) struct ImageInbox {
    slot: LatestSlot<ImageMessage>,
    arrived: Notify,
}

impl ImageInbox {
    /// Puts an image in the place of the one that waits, and wakes the one who decides.
    pub(super) fn put(&self, image: ImageMessage) {
        let stamp = image.stamp();
        self.slot.put(image, stamp, Instant::now());
        self.arrived.notify_one();
    }

    /// Waits for an image that has not been announced yet.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Takes the newest image, unless it has been taken already.
    pub(super) fn take(&self) -> Option<Arrived<ImageMessage>> {
        self.slot.take()
    }

    /// Puts a taken image back, unless a newer one has come.
    pub(super) fn put_back(&self, arrived: Arrived<ImageMessage>) {
        self.slot.put_back(arrived);
    }

    /// The counts so far.
    pub(super) fn counts(&self) -> ArrivalCounts {
        self.slot.counts()
    }
}

pub(super) type Messages<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

enum Images {
    Raw(Option<Messages<Image>>),
    Compressed(Option<Messages<CompressedImage>>),
    /// Drawn, of scans and of what this hears.
    Drawn(SceneIntake),
}

/// The subscriptions, one a topic: what several are interested in is handed on.
pub(super) struct Intake {
    images: Images,
    /// Drawn from, or logged.
    scans: Option<Messages<LaserScan>>,
    odometry: Option<Messages<Odometry>>,
    goals: Option<Messages<GoalStatusArray>>,
    goal_watch: GoalWatch,
    /// What has been said about odometry: each thing once.
    said: Said,
    log: Option<LogIntake>,
    inbox: Arc<ImageInbox>,
    inputs: Sender<Input>,
}

/// What has been said about odometry.
#[derive(Debug, Default)]
struct Said {
    remarks: Vec<TwistRemark>,
    refused: bool,
}

/// Subscribes to a topic, if there is one.
pub(super) fn subscribe<T: WrappedTypesupport + Send + 'static>(
    node: &mut r2r::Node,
    topic: Option<SubscribedTopic>,
) -> Result<Option<Messages<T>>, NodeError> {
    let Some(SubscribedTopic { name, delivery, .. }) = topic else { return Ok(None) };
    let qos = match delivery {
        Delivery::BestEffort => QosProfile::sensor_data(),
        Delivery::Reliable => QosProfile::default(),
        Delivery::Latched => QosProfile::default().keep_last(1).transient_local(),
    };
    Ok(Some(Box::pin(node.subscribe(&name, qos)?)))
}

/// The next message that has come, if any.
pub(super) fn next<T>(messages: &mut Option<Messages<T>>) -> Option<T> {
    messages.as_mut()?.next().now_or_never().flatten()
}

impl Intake {
    pub(super) fn subscribe(
        node: &mut r2r::Node,
        settings: &Settings,
        inbox: Arc<ImageInbox>,
        surroundings: SharedSurroundings,
        inputs: Sender<Input>,
    ) -> Result<Self, NodeError> {
        let images = match settings.image_transport.as_str() {
            _ if settings.draws_images() => Images::Drawn(SceneIntake::subscribe(node, settings, surroundings)?),
            "compressed" => Images::Compressed(subscribe(node, Subscription::Images.topic(settings))?),
            _ => Images::Raw(subscribe(node, Subscription::Images.topic(settings))?),
        };
        Ok(Self {
            images,
            scans: subscribe(node, Subscription::Scans.topic(settings))?,
            odometry: subscribe(node, Subscription::Odometry.topic(settings))?,
            goals: subscribe(node, Subscription::GoalStatus.topic(settings))?,
            goal_watch: GoalWatch::default(),
            said: Said::default(),
            log: LogIntake::subscribe(node, settings, inputs.clone())?,
            inbox,
            inputs,
        })
    }

    /// Takes all that has come. Call after every spin.
    pub(super) fn drain(&mut self) {
        while let Some(odometry) = next(&mut self.odometry) {
            let (linear, angular) = self.velocity_of(&odometry);
            self.tell(Input::Velocity { linear, angular, stamp: stamp(&odometry.header.stamp) });
            if let Some(log) = &self.log {
                log.take_odometry(&odometry);
            }
            if let Images::Drawn(scene) = &mut self.images {
                scene.take_odometry(odometry);
            }
        }
        if let Images::Drawn(scene) = &mut self.images {
            scene.drain();
        }
        if let Some(log) = &mut self.log {
            log.drain();
        }
        while let Some(status) = next(&mut self.goals) {
            let statuses = status.status_list.iter();
            let statuses = statuses.filter_map(|goal| {
                let id = goal.goal_info.goal_id.uuid.as_slice().try_into().ok()?;
                Some(GoalStatus { id, accepted: stamp(&goal.goal_info.stamp), status: goal.status })
            });
            let news = self.goal_watch.take(&statuses.collect::<Vec<_>>());
            if let (Images::Drawn(scene), Some(change)) = (&self.images, news.change) {
                scene.take_goal(change);
            }
            if news.has_begun {
                self.tell(Input::NewGoal);
            }
            if let Some(log) = &self.log {
                log.take_ends(news.ended);
            }
        }
        while let Some(scan) = next(&mut self.scans) {
            if let Some(log) = &self.log {
                log.take_scan(&scan);
            }
            if let Images::Drawn(_) = &self.images {
                self.inbox.put(ImageMessage::Scan(scan));
            }
        }
        // Last: what came with an image is known when it is looked at.
        while let Some(image) = self.next_image() {
            self.inbox.put(image);
        }
    }

    /// The velocity in the robot's frame; NaN, which the guard refuses, where it is not known there.
    fn velocity_of(&mut self, odometry: &Odometry) -> (f64, f64) {
        let (q, twist) = (&odometry.pose.pose.orientation, &odometry.twist.twist);
        let sent = OdometryTwist {
            frame: &odometry.header.frame_id,
            child_frame: &odometry.child_frame_id,
            orientation: [q.x, q.y, q.z, q.w],
            linear: [twist.linear.x, twist.linear.y, twist.linear.z],
            angular: [twist.angular.x, twist.angular.y, twist.angular.z],
        };
        match sent.in_body() {
            Ok(body) => {
                if let Some(remark) = body.remark.filter(|remark| !self.said.remarks.contains(remark)) {
                    log::warn!("odometry: {remark}");
                    self.said.remarks.push(remark);
                }
                (body.linear, body.angular)
            }
            Err(refused) => {
                if !std::mem::replace(&mut self.said.refused, true) {
                    log::error!("odometry: {refused}");
                }
                (f64::NAN, f64::NAN)
            }
        }
    }

    fn next_image(&mut self) -> Option<ImageMessage> {
        match &mut self.images {
            Images::Raw(images) => next(images).map(ImageMessage::Raw),
            Images::Compressed(images) => next(images).map(ImageMessage::Compressed),
            Images::Drawn(_) => None,
        }
    }

    fn tell(&self, input: Input) {
        if let Err(TrySendError::Full(lost)) = self.inputs.try_send(input) {
            log::error!("the node is too busy to take {lost:?}");
        }
    }
}
