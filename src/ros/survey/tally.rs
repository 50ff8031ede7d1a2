//! Messages that are listened to for a while: how many, how large, how old.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::{FutureExt as _, StreamExt as _};
use r2r::nav_msgs::msg::Odometry;
use r2r::rosgraph_msgs::msg::Clock as ClockMessage;
use r2r::sensor_msgs::msg::{CompressedImage, Image, LaserScan};
use r2r::std_msgs::msg::Header;
use r2r::{QosProfile, WrappedTypesupport};

use super::super::NodeError;
use super::super::clock::stamp;
use super::super::intake::Messages;
use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::live::{Measured, SubscribedTopic, Subscription};

/// /clock, for a node that takes its time from there.
pub(super) struct Clock(Rc<RefCell<(Messages<ClockMessage>, Option<Stamp>)>>);

impl Clock {
    pub(super) fn listen(node: &mut r2r::Node) -> Result<Self, NodeError> {
        let messages: Messages<ClockMessage> =
            Box::pin(node.subscribe("/clock", QosProfile::default().keep_last(1).best_effort())?);
        Ok(Self(Rc::new(RefCell::new((messages, None)))))
    }

    fn now(&self) -> Option<Stamp> {
        let mut clock = self.0.borrow_mut();
        let (messages, newest) = &mut *clock;
        while let Some(Some(message)) = messages.next().now_or_never() {
            *newest = Some(stamp(&message.clock));
        }
        *newest
    }
}

fn system_time() -> Option<Stamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(Stamp::from_nanos(i64::try_from(since.as_nanos()).ok()?))
}

/// What one message shows.
#[derive(Default)]
struct Seen {
    /// Nanoseconds; zero where the publisher left it so.
    stamp: i64,
    size: Option<(u32, u32)>,
    encoding: Option<String>,
    frames: Vec<String>,
}

impl Seen {
    fn of(header: Header) -> Self {
        Self { stamp: stamp(&header.stamp).nanos(), frames: vec![header.frame_id], ..Self::default() }
    }
}

/// One topic.
pub(super) struct Tally {
    purpose: Subscription,
    next: Box<dyn FnMut() -> Option<Seen>>,
    now: Box<dyn Fn() -> Option<Stamp>>,
    measured: Measured,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Tally {
    /// Listens to a topic; not to those of which there is nothing to measure.
    pub(super) fn listen(
        node: &mut r2r::Node,
        asked: &SubscribedTopic,
        clock: Option<&Clock>,
    ) -> Result<Option<Self>, NodeError> {
        let topic = asked.name.as_str();
        let next = match (asked.purpose, asked.type_name.as_str()) {
            (Subscription::Images, "sensor_msgs/msg/CompressedImage") => {
                messages(node, topic, |image: CompressedImage| Seen {
                    encoding: Some(image.format),
                    ..Seen::of(image.header)
                })?
            }
            (Subscription::Images, _) => messages(node, topic, |image: Image| Seen {
                size: Some((image.width, image.height)),
                encoding: Some(image.encoding),
                ..Seen::of(image.header)
            })?,
            (Subscription::Scans, _) => messages(node, topic, |scan: LaserScan| Seen::of(scan.header))?,
            (Subscription::Odometry, _) => messages(node, topic, |odometry: Odometry| {
                let mut seen = Seen::of(odometry.header);
                seen.frames.push(odometry.child_frame_id);
                seen
            })?,
            _ => return Ok(None),
        };
        let clock = clock.map(|Clock(clock)| Clock(Rc::clone(clock)));
        let now = move || clock.as_ref().map_or_else(system_time, Clock::now);
        let measured = Measured::default();
        Ok(Some(Self { purpose: asked.purpose, next, now: Box::new(now), measured, first: None, last: None }))
    }

    pub(super) fn purpose(&self) -> Subscription {
        self.purpose
    }

    /// Takes all that has come. Call after every spin.
    pub(super) fn take(&mut self) {
        while let Some(seen) = (self.next)() {
            let at = Instant::now();
            self.first.get_or_insert(at);
            self.last = Some(at);
            self.measured.messages += 1;
            self.measured.size = seen.size;
            self.measured.encoding = seen.encoding;
            self.measured.frames = seen.frames;
            let now = (self.now)().filter(|_| seen.stamp != 0);
            self.measured.age_s = now.map(|now| now.seconds_since(Stamp::from_nanos(seen.stamp)));
        }
    }

    /// What came while it was listened to.
    pub(super) fn measured(&self, listened: Duration) -> Measured {
        let between = self.first.zip(self.last).map(|(first, last)| last.duration_since(first).as_secs_f64());
        let intervals = self.measured.messages.saturating_sub(1);
        Measured {
            listened_s: listened.as_secs_f64(),
            rate_hz: between
                .filter(|between| intervals > 0 && *between > 0.0)
                .map(|between| intervals as f64 / between),
            ..self.measured.clone()
        }
    }
}

fn messages<T: WrappedTypesupport + Send + 'static>(
    node: &mut r2r::Node,
    topic: &str,
    see: fn(T) -> Seen,
) -> Result<Box<dyn FnMut() -> Option<Seen>>, NodeError> {
    let mut messages: Messages<T> = Box::pin(node.subscribe(topic, QosProfile::sensor_data())?);
    Ok(Box::new(move || messages.next().now_or_never().flatten().map(see)))
}
