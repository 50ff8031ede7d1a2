//! Whether, when and on what a decision is made: the guard, the schedule, and the way to the inference thread.

use std::time::Instant;

use tokio::sync::mpsc::Sender;

use super::messages::{Line, Source, TUNER, guard_line};
use super::{Input, NodeError};
use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::live::Settings;
use vlm_planner_tuner::live::inference::{self, Decided, Job, Loader, Order};
use vlm_planner_tuner::planner::PlannerSpec;
use vlm_planner_tuner::planner::envelope::Envelope;
use vlm_planner_tuner::planner::guard::{
    ClockEvent, Failure, FrameArrival, FrameVerdict, Guard, Level, Mode, Moment, Operator, Reaction, Status, Ticket,
};
use vlm_planner_tuner::recording::DecisionSchedule;

/// Whether there is a model.
#[derive(Debug, Clone, PartialEq)]
enum Model {
    Loading,
    Ready,
    Missing(String),
}

/// Owner of the guard and of the schedule.
pub(super) struct Deciding {
    planner: PlannerSpec,
    model: Model,
    /// From the moment that the model is there.
    guard: Option<Guard>,
    schedule: DecisionSchedule,
    orders: std::sync::mpsc::Sender<Order>,
    /// When the image of the decision that is being made was received.
    in_flight: Option<Instant>,
}

/// What the guard says to an image.
pub(super) struct Considered {
    /// To be carried out first, in this order.
    pub(super) reactions: Vec<Reaction>,
    /// Leave to decide.
    pub(super) ticket: Option<Ticket>,
}

/// What the guard says to a decision.
pub(super) struct Judged {
    pub(super) reaction: Reaction,
    /// The guard's status with the decision.
    pub(super) status: Status,
    /// When the image was received.
    pub(super) received: Option<Instant>,
}

impl Deciding {
    /// Starts loading the model.
    pub(super) fn start(
        settings: &Settings,
        planner: PlannerSpec,
        loader: Loader,
        inputs: Sender<Input>,
    ) -> Result<Self, NodeError> {
        // Refused here, and not when the model is there at last.
        Envelope::new(planner.clone(), settings.envelope_limits())?;
        settings.guard_limits().check()?;
        let schedule = settings.schedule();
        let orders = inference::spawn(loader, schedule.max_gap(), settings.following(), move |report| {
            // The node is on its way out if nobody listens any more.
            inputs.blocking_send(Input::Inference(report)).ok();
        });
        let orders = orders.map_err(NodeError::Thread)?;
        Ok(Self { planner, model: Model::Loading, guard: None, schedule, orders, in_flight: None })
    }

    pub(super) fn planner(&self) -> &PlannerSpec {
        &self.planner
    }

    /// Whether the model is there and not being loaded again.
    pub(super) fn is_ready(&self) -> bool {
        self.model == Model::Ready
    }

    /// Whether a decision can be made now.
    pub(super) fn is_free(&self) -> bool {
        self.in_flight.is_none() && self.is_ready()
    }

    pub(super) fn has_guard(&self) -> bool {
        self.guard.is_some()
    }

    pub(super) fn model_is_there(&mut self) {
        self.model = Model::Ready;
    }

    pub(super) fn model_is_missing(&mut self, why: String) {
        self.model = Model::Missing(why);
    }

    /// Makes the guard, unless there is one; whether there was none.
    pub(super) fn make_guard(&mut self, settings: &Settings, mode: Mode, now: Moment) -> Result<bool, NodeError> {
        if self.guard.is_some() {
            return Ok(false);
        }
        let envelope = Envelope::new(self.planner.clone(), settings.envelope_limits())?;
        self.guard = Some(Guard::new(envelope, settings.guard_limits(), mode, now)?);
        Ok(true)
    }

    /// Whether a decision is due on the image of this stamp. One that is counts as taken when it is decided on, and not
    /// before: a refused image does not use up its turn.
    pub(super) fn is_due(&mut self, stamp: Stamp) -> bool {
        let mut schedule = self.schedule.clone();
        let is_due = schedule.is_due(stamp);
        if !is_due {
            self.schedule = schedule;
        }
        is_due
    }

    /// The next image is due, whatever its stamp.
    pub(super) fn restart_schedule(&mut self) {
        self.schedule.restart();
    }

    pub(super) fn velocity(&mut self, linear: f64, angular: f64, stamp: Stamp) {
        if let Some(guard) = &mut self.guard {
            guard.velocity(linear, angular, stamp);
        }
    }

    /// Asks the guard for leave to decide on an image.
    pub(super) fn consider(&mut self, now: Moment, arrival: FrameArrival) -> Option<Considered> {
        let guard = self.guard.as_mut()?;
        let (verdict, reaction) = guard.frame(now, arrival);
        let mut reactions = vec![reaction];
        let ticket = match verdict {
            FrameVerdict::Use { stamp, .. } => match guard.admit(now, stamp, arrival.ros_now) {
                Ok(ticket) => Some(ticket),
                Err((_, reaction)) => {
                    reactions.push(reaction);
                    None
                }
            },
            FrameVerdict::Refuse(reason) => {
                log::debug!("an image was refused: {reason}");
                None
            }
        };
        Some(Considered { reactions, ticket })
    }

    /// A message came that was no usable frame.
    pub(super) fn frame_refused(&mut self, now: Moment, problem: &str) -> Option<Reaction> {
        Some(self.guard.as_mut()?.frame_refused(now, problem))
    }

    /// A scan came from which nothing can be seen.
    pub(super) fn sensor_blind(&mut self, now: Moment, problem: &str) -> Option<Reaction> {
        Some(self.guard.as_mut()?.sensor_blind(now, problem))
    }

    /// Starts a decision on an image that was received then and is due by this stamp.
    pub(super) fn decide(&mut self, job: Job, stamp: Stamp, received: Instant) {
        self.schedule.is_due(stamp);
        self.in_flight = Some(received);
        self.order(Order::Decide(job));
    }

    /// A decision has come back.
    pub(super) fn decided(&mut self, now: Moment, decided: &Decided) -> Option<Judged> {
        let received = self.in_flight.take();
        let guard = self.guard.as_mut()?;
        let (ticket, decision) = (decided.job.ticket, &decided.decision);
        let reaction = guard.decided(now, ticket, decision.parameters(), decision.action());
        Some(Judged { reaction, status: guard.status(now), received })
    }

    /// No decision has come back; whether the model is being loaded again.
    pub(super) fn failed(
        &mut self,
        now: Moment,
        ticket: Ticket,
        failure: Failure,
        reloading: bool,
    ) -> Option<Reaction> {
        self.in_flight = None;
        if reloading {
            self.model = Model::Loading;
        }
        Some(self.guard.as_mut()?.failed(now, ticket, failure))
    }

    pub(super) fn operator(&mut self, now: Moment, request: Operator) -> Option<Reaction> {
        Some(self.guard.as_mut()?.operator(now, request))
    }

    pub(super) fn planner_failing(&mut self, why: &str) -> Option<Reaction> {
        Some(self.guard.as_mut()?.planner_failing(why))
    }

    /// What the passing of time brings. `images_come` tells that an image has just come, `event` what ROS time has done.
    pub(super) fn tick(&mut self, now: Moment, images_come: bool, event: Option<ClockEvent>) -> Vec<Reaction> {
        let Some(guard) = &mut self.guard else { return Vec::new() };
        if images_come {
            guard.frames_keep_coming(now);
        }
        let jumped = event.map(|event| guard.clock(now, event));
        jumped.into_iter().chain([guard.tick(now)]).collect()
    }

    /// Takes changed settings; the words of every refusal. The ranges of the settings lie within what guard and envelope
    /// take.
    pub(super) fn set_limits(&mut self, settings: &Settings, before: &Settings) -> Vec<String> {
        if settings.decision_rate != before.decision_rate {
            self.schedule = settings.schedule();
            self.order(Order::MaxGap(self.schedule.max_gap()));
        }
        if settings.allow_large_change != before.allow_large_change {
            self.order(Order::AllowLargeChange(settings.allow_large_change));
        }
        let mut refusals = Vec::new();
        let envelope = Envelope::new(self.planner.clone(), settings.envelope_limits());
        let envelope = envelope.map_err(|refusal| refusals.push(refusal.to_string()));
        if let Some(guard) = &mut self.guard {
            refusals.extend(guard.set_limits(settings.guard_limits()).err().map(|refusal| refusal.to_string()));
            if let Ok(envelope) = envelope {
                guard.set_envelope(envelope);
            }
        }
        refusals
    }

    pub(super) fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            log::error!("the inference thread has ended");
        }
    }

    /// State and reason.
    pub(super) fn line(&self, source: &Source, now: Moment) -> Line {
        match (&self.guard, &self.model) {
            (_, Model::Missing(why)) => Line::new(source, TUNER, Level::Error, format!("no model: {why}"))
                .value("state", "Safe")
                .value("reason", "no_model"),
            (Some(guard), _) => guard_line(source, &guard.status(now)),
            (None, _) => Line::new(source, TUNER, Level::Ok, "Starting: loading the model")
                .value("state", "Starting")
                .value("reason", "loading"),
        }
    }
}
