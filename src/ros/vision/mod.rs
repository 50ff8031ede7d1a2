//! From the newest message to a picture that a decision can be made on.

mod eye;
mod lines;
mod painter;
mod thread;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;

use self::eye::Eye;
pub(super) use self::eye::Picture;
use self::painter::Drawing;
pub(super) use self::painter::NoImage;
pub(super) use self::thread::{Attention, Look, Sight};
use self::thread::{EyeThread, Work};
use super::intake::{ImageInbox, ImageMessage};
use super::surroundings::SharedSurroundings;
use super::{Input, NodeError};
use vlm_planner_tuner::feature::AttentionMap;
use vlm_planner_tuner::frame::{Frame, Stamp};
use vlm_planner_tuner::live::{Arrived, Settings};
use vlm_planner_tuner::planner::guard::Moment;
use vlm_planner_tuner::scene::SceneRules;

/// An image that came before the first odometry waits this long for it: publishers start a moment apart.
const ODOMETRY_MAY_FOLLOW: Duration = Duration::from_millis(200);

/// Owner of the images: of the one that waits, and of the one that a [thread] makes a picture of.
pub(super) struct Vision {
    inbox: Arc<ImageInbox>,
    surroundings: SharedSurroundings,
    eye: EyeThread,
    /// Images are drawn of scans, and do not come from a topic.
    draws: bool,
    has_odometry: bool,
    /// A scan that waits for the odometry behind it.
    waiting: Option<Arrived<ImageMessage>>,
    /// Stamp of the image that was considered last, and since when.
    waiting_since: Option<(Stamp, Moment)>,
    /// The image that the thread looks at.
    looking: Option<(u64, Origin)>,
    /// How many it was given to look at.
    looks: u64,
    /// How many images had come when one last came, and when that was.
    arrivals: (u64, Moment),
    /// Of the image that was taken last.
    frame_id: String,
    drawing: Drawing,
}

/// An image that a decision is due on.
pub(super) struct Due {
    message: ImageMessage,
    origin: Origin,
}

/// Where a picture comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    header_stamp: Stamp,
    stamp: Stamp,
    received: Instant,
}

impl Origin {
    /// `header.stamp`, zero included.
    pub(super) fn header_stamp(&self) -> Stamp {
        self.header_stamp
    }

    /// The stamp that it is decided on by.
    pub(super) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// When the message came.
    pub(super) fn received(&self) -> Instant {
        self.received
    }
}

/// What became of an image.
pub(super) struct Seen {
    pub(super) origin: Origin,
    pub(super) picture: Result<Picture, NoImage>,
}

impl Vision {
    /// Starts the thread.
    pub(super) fn start(
        settings: &Settings,
        inbox: Arc<ImageInbox>,
        surroundings: SharedSurroundings,
        inputs: Sender<Input>,
    ) -> Result<Self, NodeError> {
        let eye = Eye::new(settings.expected_size(), surroundings.clone());
        Ok(Self {
            inbox,
            eye: EyeThread::start(eye, inputs)?,
            surroundings,
            draws: settings.draws_images(),
            has_odometry: false,
            waiting: None,
            waiting_since: None,
            looking: None,
            looks: 0,
            arrivals: (0, Moment::default()),
            frame_id: String::new(),
            drawing: Drawing::default(),
        })
    }

    /// Where new images are announced.
    pub(super) fn inbox(&self) -> Arc<ImageInbox> {
        Arc::clone(&self.inbox)
    }

    /// The `frame_id` of the image that was taken last, or of the scan that it is drawn of.
    pub(super) fn frame_id(&self) -> &str {
        &self.frame_id
    }

    /// Odometry came: no image has to wait for the first any more.
    pub(super) fn odometry_came(&mut self) {
        self.has_odometry = true;
    }

    pub(super) fn set_rules(&self, rules: SceneRules) {
        self.surroundings.set_rules(rules);
    }

    pub(super) fn clock_was_set_back(&mut self, ros_now: Stamp) {
        self.surroundings.clock_was_set_back(ros_now);
        self.waiting = None;
        self.discard();
    }

    /// Notes whether images have come since it was last asked.
    pub(super) fn note_arrivals(&mut self, now: Moment) {
        let received = self.inbox.counts().received;
        if received != self.arrivals.0 {
            self.arrivals = (received, now);
        }
    }

    /// Whether an image has come within this time.
    pub(super) fn has_come_within(&self, time: Duration) -> bool {
        self.inbox.counts().last.is_some_and(|last| last.elapsed() < time)
    }

    /// The newest image, if a decision is due on it and what belongs to it is there. `is_due` decides by the stamp.
    pub(super) fn take_due(
        &mut self,
        now: Moment,
        ros_now: Stamp,
        needs_odometry: bool,
        is_due: impl FnOnce(Stamp) -> bool,
    ) -> Option<Due> {
        let arrived = self.waiting.take().or_else(|| self.inbox.take())?;
        let header_stamp = arrived.message.stamp();
        let stamp = if header_stamp.nanos() == 0 { ros_now } else { header_stamp };
        if !is_due(stamp) {
            return None;
        }
        let is_scan = matches!(arrived.message, ImageMessage::Scan(_));
        let waited = self.waited(stamp, now);
        if needs_odometry && !self.has_odometry && waited < ODOMETRY_MAY_FOLLOW {
            match is_scan {
                // Kept: scans come so often that none would ever have waited for long enough.
                true => self.waiting = Some(arrived),
                false => self.inbox.put_back(arrived),
            }
            return None;
        }
        if is_scan && self.surroundings.should_wait(stamp, waited) {
            self.waiting = Some(arrived);
            return None;
        }
        if self.frame_id != arrived.message.frame_id() {
            self.frame_id = arrived.message.frame_id().to_owned();
        }
        Some(Due { origin: Origin { header_stamp, stamp, received: arrived.at }, message: arrived.message })
    }

    /// How long the image of this stamp has been waiting for odometry: a slow simulation's comes as much later.
    fn waited(&mut self, stamp: Stamp, now: Moment) -> Duration {
        match self.waiting_since {
            Some((of, since)) if of == stamp => now.since(since),
            _ => {
                self.waiting_since = Some((stamp, now));
                Duration::ZERO
            }
        }
    }

    /// Whether the thread still runs. It never ends early but by a bug.
    pub(super) fn is_running(&self) -> bool {
        self.eye.is_running()
    }

    /// Whether a picture is being made.
    pub(super) fn is_looking(&self) -> bool {
        self.looking.is_some()
    }

    /// Has a picture made of an image. It comes as [`Sight::Seen`].
    pub(super) fn look(&mut self, due: Due) -> Result<(), NodeError> {
        let Due { message, origin } = due;
        self.looks += 1;
        self.looking = Some((self.looks, origin));
        self.eye.ask(Work::See { number: self.looks, message, stamp: origin.stamp })
    }

    /// The picture that is being made is not to be decided on: the world is another one by now.
    pub(super) fn discard(&mut self) {
        self.looking = None;
    }

    /// What the thread has seen, unless it has been discarded meanwhile.
    pub(super) fn take_look(&mut self, look: Look) -> Option<Seen> {
        self.drawing = look.drawing;
        let (_, origin) = self.looking.take_if(|(number, _)| *number == look.number)?;
        Some(Seen { origin, picture: look.picture })
    }

    /// Has the attention of a decision drawn over its frame. It comes as [`Sight::Attention`].
    pub(super) fn draw_attention(&self, frame: Arc<Frame>, map: AttentionMap, stamp: Stamp) -> Result<(), NodeError> {
        self.eye.ask(Work::DrawAttention(Attention { frame, stamp, frame_id: self.frame_id.clone() }, map))
    }

    /// Takes back the frame of a decision that is over.
    pub(super) fn recycle(&self, frame: Arc<Frame>) -> Result<(), NodeError> {
        if self.draws { self.eye.ask(Work::Reuse(frame)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use r2r::sensor_msgs::msg::Image;
    use tokio::sync::mpsc::{Receiver, channel};

    use super::*;

    const NOW: Moment = Moment::from_start(Duration::from_secs(1));

    fn start(width: i64, height: i64) -> (Vision, Receiver<Input>) {
        let settings = Settings { image_width: width, image_height: height, ..Settings::default() };
        let (inputs, received) = channel(8);
        let surroundings = SharedSurroundings::new(&settings);
        (Vision::start(&settings, Arc::default(), surroundings, inputs).unwrap(), received)
    }

    /// A grey image, taken at this second.
    fn image(sec: i32, width: u32, height: u32) -> ImageMessage {
        let data = vec![0; width as usize * height as usize];
        let mut image = Image { width, height, encoding: "mono8".into(), step: width, data, ..Image::default() };
        image.header.stamp.sec = sec;
        ImageMessage::Raw(image)
    }

    fn look_at(vision: &mut Vision, message: ImageMessage) {
        vision.inbox.put(message);
        let due = vision.take_due(NOW, Stamp::from_nanos(1), false, |_| true).unwrap();
        vision.look(due).unwrap();
    }

    fn next_look(received: &mut Receiver<Input>) -> Look {
        match received.blocking_recv() {
            Some(Input::Vision(Sight::Seen(look))) => look,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_picture_is_made_elsewhere_and_comes_back() {
        let (mut vision, mut received) = start(4, 2);
        look_at(&mut vision, image(7, 4, 2));
        assert!(vision.is_looking());
        let seen = vision.take_look(next_look(&mut received)).unwrap();
        assert!(!vision.is_looking());
        assert_eq!(seen.origin.stamp().nanos(), 7_000_000_000);
        assert_eq!(seen.picture.unwrap().frame().width(), 4);
    }

    #[test]
    fn fault_06_another_size_is_refused_by_name() {
        let (mut vision, mut received) = start(600, 400);
        look_at(&mut vision, image(7, 4, 2));
        match vision.take_look(next_look(&mut received)).unwrap().picture {
            Err(NoImage::Refused(problem)) => assert!(problem.contains("4x2 pixels, expected 600x400"), "{problem}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_picture_that_was_discarded_is_not_decided_on() {
        let (mut vision, mut received) = start(4, 2);
        look_at(&mut vision, image(7, 4, 2));
        vision.clock_was_set_back(Stamp::from_nanos(1));
        look_at(&mut vision, image(3, 4, 2));
        assert!(vision.take_look(next_look(&mut received)).is_none(), "from before the jump");
        let seen = vision.take_look(next_look(&mut received)).unwrap();
        assert_eq!(seen.origin.stamp().nanos(), 3_000_000_000);
    }

    #[test]
    fn an_image_waits_for_the_first_odometry_but_not_for_ever() {
        let (mut vision, _received) = start(4, 2);
        vision.inbox.put(image(7, 4, 2));
        let take = |vision: &mut Vision, now| vision.take_due(now, Stamp::from_nanos(1), true, |_| true);
        assert!(take(&mut vision, NOW).is_none());
        assert!(take(&mut vision, NOW + ODOMETRY_MAY_FOLLOW).is_some());
        vision.inbox.put(image(8, 4, 2));
        assert!(take(&mut vision, NOW + ODOMETRY_MAY_FOLLOW).is_none());
        vision.odometry_came();
        assert!(take(&mut vision, NOW + ODOMETRY_MAY_FOLLOW).is_some());
    }
}
