//! From the newest image to a published decision: who has a say in it, in order.

use super::Control;
use crate::ros::NodeError;
use crate::ros::deciding::Judged;
use crate::ros::vision::{NoImage, Seen};
use vlm_planner_tuner::live::inference::{Decided, Job};
use vlm_planner_tuner::nav2::ParameterStatus;
use vlm_planner_tuner::planner::guard::{FrameArrival, Mode};

impl Control {
    /// Has a picture made of the newest image, if a decision is due on it and inference is free.
    pub(super) fn consider_image(&mut self) -> Result<(), NodeError> {
        if !self.deciding.is_free() || self.vision.is_looking() {
            return Ok(());
        }
        let (now, ros_now) = (self.clocks.now(), self.clocks.ros());
        let deciding = &mut self.deciding;
        let needs_odometry = !self.settings.assume_stationary;
        let due = self.vision.take_due(now, ros_now, needs_odometry, |stamp| deciding.is_due(stamp));
        due.map_or(Ok(()), |due| self.vision.look(due))
    }

    /// Asks the guard for leave to decide on a picture, and has it decided on.
    pub(super) fn take_picture(&mut self, Seen { origin, picture }: Seen) {
        // Asked again: the rate may have been changed while the picture was made.
        if !self.deciding.is_free() || !self.deciding.is_due(origin.stamp()) {
            return;
        }
        let now = self.clocks.now();
        let picture = match picture {
            Ok(picture) => picture,
            Err(NoImage::Blind(problem)) => {
                log::debug!("the sensor is blind: {problem}");
                let reaction = self.deciding.sensor_blind(now, &problem);
                return self.react_to(reaction);
            }
            Err(NoImage::Refused(problem)) => {
                log::debug!("an image was refused: {problem}");
                let reaction = self.deciding.frame_refused(now, &problem);
                return self.react_to(reaction);
            }
        };
        let arrival = FrameArrival {
            stamp: origin.header_stamp(),
            ros_now: self.clocks.ros(),
            image_hash: picture.hash(),
            odd: picture.odd(),
        };
        let Some(considered) = self.deciding.consider(now, arrival) else { return };
        self.react_to(considered.reactions);
        if let Some(ticket) = considered.ticket {
            let frame = picture.frame();
            self.reporter.drawn(frame, origin.stamp(), self.vision.frame_id());
            self.deciding.decide(Job { frame: frame.clone(), ticket }, origin.stamp(), origin.received());
        }
    }

    /// A decision has come back.
    pub(super) fn take_decision(&mut self, decided: Decided) -> Result<(), NodeError> {
        let judged = self.deciding.decided(self.clocks.now(), &decided);
        let Some(Judged { reaction, status, received }) = judged else { return Ok(()) };
        self.react_to([reaction]);
        // Up to here, when its parameters have been published.
        let whole = received.map_or(decided.took, |received| received.elapsed());
        let overhead = whole.saturating_sub(decided.took);
        self.finish_decision(true)?;
        self.log.decided(&decided, self.planner.sent());
        if self.reporter.wants_attention() {
            let (job, map) = (&decided.job, decided.decision.attention_map.clone());
            self.vision.draw_attention(job.frame.clone(), map, job.ticket.stamp())?;
        }
        self.reporter.take_decision(decided, status, overhead);
        self.finish_decision(false)
    }

    /// Publishes the last decision with what became of its parameters, once that is known.
    pub(super) fn finish_decision(&mut self, at_once: bool) -> Result<(), NodeError> {
        let statuses = self.planner.status();
        if !self.reporter.has_finished(at_once || self.planner.is_settled(&statuses)) {
            return Ok(());
        }
        let parameters = self.planner.parameter_lines(self.reporter.source(), &statuses);
        let frame = self.reporter.publish_decision(&self.policy.name(), parameters);
        self.log_outcomes(&statuses);
        frame.map_or(Ok(()), |frame| self.vision.recycle(frame))
    }

    /// Tells the log what became of the last decision's parameters.
    fn log_outcomes(&mut self, statuses: &[ParameterStatus]) {
        if self.planner.mode() == Mode::Active {
            let bank = self.planner.mapping().bank();
            let controller = bank.and_then(|bank| bank.controller(self.planner.controller()?));
            self.log.outcomes(statuses, controller);
        }
    }
}
