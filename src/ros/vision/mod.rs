//! From the newest message to a picture that a decision can be made on.

mod eye;
mod painter;

use std::sync::Arc;
use std::time::{Duration, Instant};

use r2r::diagnostic_msgs::msg::DiagnosticStatus;

use self::eye::Eye;
pub(super) use self::eye::Picture;
use self::painter::Drawing;
pub(super) use self::painter::NoImage;
use super::graph::GraphFacts;
use super::intake::{ImageInbox, ImageMessage};
use super::messages::{Line, Source};
use super::surroundings::SharedSurroundings;
use vlm_planner_tuner::frame::{Frame, Stamp};
use vlm_planner_tuner::live::{Arrived, Settings};
use vlm_planner_tuner::planner::guard::{Level, Moment};
use vlm_planner_tuner::scene::SceneRules;

/// An image that came before the first odometry waits this long for it: publishers start a moment apart.
const ODOMETRY_MAY_FOLLOW: Duration = Duration::from_millis(200);
/// Without an image for this long, none are coming.
const SILENCE: Duration = Duration::from_secs(2);

/// Owner of the images: the one that waits, and what becomes a picture of it.
pub(super) struct Vision {
    inbox: Arc<ImageInbox>,
    surroundings: SharedSurroundings,
    eye: Eye,
    /// Images are drawn of scans, and do not come from a topic.
    draws: bool,
    has_odometry: bool,
    /// A scan that waits for the odometry behind it.
    waiting: Option<Arrived<ImageMessage>>,
    /// Stamp of the image that was considered last, and since when.
    waiting_since: Option<(Stamp, Moment)>,
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
    pub(super) fn new(settings: &Settings, inbox: Arc<ImageInbox>, surroundings: SharedSurroundings) -> Self {
        Self {
            inbox,
            eye: Eye::new(settings.expected_size(), surroundings.clone()),
            surroundings,
            draws: settings.draws_images(),
            has_odometry: false,
            waiting: None,
            waiting_since: None,
            arrivals: (0, Moment::default()),
            frame_id: String::new(),
            drawing: Drawing::default(),
        }
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

    /// Makes a picture of an image.
    pub(super) fn look(&mut self, due: Due) -> Seen {
        let Due { message, origin } = due;
        let picture = self.eye.see(message, origin.stamp);
        self.drawing = self.eye.drawing().clone();
        Seen { origin, picture }
    }

    /// Takes back the frame of a decision that is over.
    pub(super) fn recycle(&mut self, frame: Arc<Frame>) {
        if self.draws {
            self.eye.recycle(frame);
        }
    }

    /// Whether images come, from whom, and how many of them; and where they are drawn, of what.
    pub(super) fn lines(&self, source: &Source, graph: &GraphFacts, now: Moment) -> Vec<DiagnosticStatus> {
        let mut lines = vec![self.images_line(source, graph, now)];
        if self.draws {
            lines.push(self.drawing.line(source, graph, &self.surroundings.counts()));
        }
        lines
    }

    fn images_line(&self, source: &Source, graph: &GraphFacts, now: Moment) -> DiagnosticStatus {
        let counts = self.inbox.counts();
        let rate = counts.rate(Instant::now(), SILENCE);
        let (topic, publishers) = (graph.image_topic(), graph.image_publishers());
        let one = if self.draws { "scan" } else { "image" };
        let silent = counts.received == 0 || now.since(self.arrivals.1) > SILENCE;
        let (level, message) = if silent && publishers.is_empty() {
            (Level::Error, format!("NotReceived: nobody publishes {topic}; check the topic's name and the domain"))
        } else if silent && !graph.has_images_of_our_type() {
            let remedy = if self.draws { "check the remapping of scan" } else { "check image_transport" };
            (Level::Error, format!("NotReceived: {topic} has another type; {remedy}"))
        } else if silent {
            (Level::Error, format!("NotReceived: {topic} has publishers, but no {one} comes from them"))
        } else if rate == 0.0 {
            // The simulation is paused, or slower than real time.
            (Level::Ok, format!("{one}s come as slowly as the simulated time"))
        } else if publishers.len() > 1 {
            (Level::Warn, format!("{topic} has {} publishers; only one may be there", publishers.len()))
        } else if let Some(sent) = counts.sent_rate.filter(|sent| *sent > rate * 1.5) {
            let remedy = "use image_transport compressed, or config/fastdds_images.xml on both sides";
            (Level::Warn, format!("{rate:.1} of about {sent:.1} {one}s a second arrive; {remedy}"))
        } else {
            (Level::Ok, format!("{rate:.1} {one}s a second"))
        };
        Line::new(source, "images", level, message)
            .value("topic", topic)
            .value("publishers", publishers.join(", "))
            .value("odometry_topic", graph.odometry_topic())
            .value("odometry_publishers", graph.odometry_publishers())
            .value("rate_hz", format!("{rate:.2}"))
            .value("received", counts.received)
            .value("dropped", counts.replaced)
            .done()
    }
}
