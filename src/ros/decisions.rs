//! From the newest image to a published decision.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::control::{Control, Model};
use super::intake::{ImageMessage, decode_raw};
use super::messages::{decision_line, parameter_lines};
use super::surroundings::NoImage;
use vlm_planner_tuner::frame::{Frame, Stamp, odd_appearance};
use vlm_planner_tuner::live::inference::{Decided, Job, Order};
use vlm_planner_tuner::nav2::TargetStatus;
use vlm_planner_tuner::planner::guard::{FrameArrival, FrameVerdict, Mode, Moment, Status, image_hash};

/// An image that came before the first odometry waits this long for it: publishers start a moment apart.
const ODOMETRY_MAY_FOLLOW: Duration = Duration::from_millis(200);
/// `~/decision` tells what became of each parameter, and waits this long for it.
const OUTCOME_MAY_TAKE: Duration = Duration::from_millis(400);

/// The decision that is being made.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight {
    received: Instant,
}

/// A decision that has been published, but for what the planner says to it.
pub(super) struct Finished {
    decided: Decided,
    guard: Status,
    overhead: Duration,
    at: Instant,
}

impl Control {
    /// Starts a decision on the newest image, if one is due and inference is free.
    pub(super) fn consider_image(&mut self) {
        if self.in_flight.is_some() || self.model != Model::Ready {
            return;
        }
        let images = Arc::clone(&self.images);
        let Some(arrived) = self.waiting.take().or_else(|| images.slot.take()) else { return };
        let (now, ros_now) = (self.now(), self.clock.now());
        let header_stamp = arrived.message.stamp();
        let stamp = if header_stamp.nanos() == 0 { ros_now } else { header_stamp };
        // Taken for good only when a decision is made of it: a refused image does not use up its turn.
        let mut schedule = self.schedule.clone();
        if !schedule.is_due(stamp) {
            self.schedule = schedule;
            return;
        }
        let waited = self.waited(stamp, now);
        if !self.any_velocity && !self.settings.assume_stationary && waited < ODOMETRY_MAY_FOLLOW {
            match arrived.message {
                // Kept: scans come so often that none would ever have waited for long enough.
                ImageMessage::Scan(_) => self.waiting = Some(arrived),
                _ => images.slot.put_back(arrived),
            }
            return;
        }
        if let ImageMessage::Scan(_) = &arrived.message
            && self.painter.should_wait(stamp, waited)
        {
            self.waiting = Some(arrived);
            return;
        }
        let (received, is_drawn) = (arrived.at, matches!(arrived.message, ImageMessage::Scan(_)));
        if self.frame_id != arrived.message.frame_id() {
            self.frame_id = arrived.message.frame_id().to_owned();
        }
        let decoded = self.decode(arrived.message, stamp);
        let Some(guard) = &mut self.guard else { return };
        let frame = match decoded {
            Ok(frame) => Arc::new(frame),
            Err(NoImage::Blind(problem)) => {
                log::debug!("the sensor is blind: {problem}");
                let reaction = guard.sensor_blind(now, &problem);
                return self.react_to(Some(reaction));
            }
            Err(NoImage::Refused(problem)) => {
                log::debug!("an image was refused: {problem}");
                let reaction = guard.frame_refused(now, &problem);
                return self.react_to(Some(reaction));
            }
        };
        let arrival =
            FrameArrival { stamp: header_stamp, ros_now, image_hash: image_hash(&frame), odd: odd_appearance(&frame) };
        let (verdict, reaction) = guard.frame(now, arrival);
        let admitted = match verdict {
            FrameVerdict::Use { stamp, .. } => guard.admit(now, stamp, ros_now).map_err(|(_, reaction)| reaction),
            FrameVerdict::Refuse(reason) => {
                log::debug!("an image was refused: {reason}");
                return self.react_to(Some(reaction));
            }
        };
        self.react_to(Some(reaction));
        match admitted {
            Ok(ticket) => {
                self.schedule = schedule;
                self.in_flight = Some(InFlight { received });
                if is_drawn {
                    self.publishers.drawn(&frame, stamp, &self.frame_id);
                }
                self.order(Order::Decide(Job { frame, ticket }));
            }
            Err(reaction) => self.react_to(Some(reaction)),
        }
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

    fn decode(&mut self, message: ImageMessage, stamp: Stamp) -> Result<Frame, NoImage> {
        let expected = self.settings.expected_size();
        let frame = match message {
            ImageMessage::Raw(image) => decode_raw(&image, expected),
            ImageMessage::Compressed(image) => Frame::from_compressed_of_size(&image.format, &image.data, expected),
            ImageMessage::Scan(scan) => return self.painter.draw(scan, stamp),
        };
        frame.map_err(|error| NoImage::Refused(error.to_string()))
    }

    /// A decision has come back.
    pub(super) fn take_decision(&mut self, decided: Decided) {
        let received = self.in_flight.take().map(|in_flight| in_flight.received);
        let now = self.now();
        let Some(guard) = &mut self.guard else { return };
        let reaction = guard.decided(now, decided.job.ticket, decided.decision.parameters(), decided.decision.action());
        let status = guard.status(now);
        self.react_to(Some(reaction));

        let at = Instant::now();
        let whole = received.map_or(decided.took, |received| at.saturating_duration_since(received));
        let overhead = whole.saturating_sub(decided.took);
        self.latencies.add(overhead);
        self.finish_decision(true);
        self.log_decision(&decided);
        self.publishers.insight(&decided, &self.frame_id);
        self.finished = Some(Finished { decided, guard: status, overhead, at });
        self.finish_decision(false);
    }

    /// Publishes the last decision with what became of its parameters, once that is known.
    pub(super) fn finish_decision(&mut self, at_once: bool) {
        let pending = |status: &TargetStatus| *status == TargetStatus::Pending;
        let ready = |finished: &Finished| at_once || finished.at.elapsed() > OUTCOME_MAY_TAKE;
        let statuses = self.sink.status();
        let settled = self.mode != Mode::Active || !statuses.iter().any(|parameter| pending(&parameter.status));
        let Some(Finished { decided, guard, overhead, .. }) =
            self.finished.take_if(|finished| settled || ready(finished))
        else {
            return;
        };
        let (stamp, overhead_ms) = (decided.job.ticket.stamp(), overhead.as_secs_f64() * 1e3);
        let decision = decision_line(&self.source, &guard, &decided, overhead_ms, &self.policy_in_use()).done();
        let parameters = parameter_lines(&self.source, self.mode, self.held_back(), &statuses);
        self.publishers.decision(stamp, std::iter::once(decision).chain(parameters).collect());
        self.log_outcomes(&statuses);
        if self.settings.draws_images() {
            self.painter.recycle(decided.job.frame);
        }
    }
}

impl Control {
    /// The files that the heads in use were read from.
    pub(super) fn policy_in_use(&self) -> String {
        let settings = &self.settings;
        let at_start = [&settings.policy, &settings.policy_folder].into_iter().find(|policy| !policy.is_empty());
        let followed = self.followed.as_ref().map(|policy| policy.display().to_string());
        followed.unwrap_or_else(|| at_start.unwrap_or(&settings.checkpoint).clone())
    }
}
