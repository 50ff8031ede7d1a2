//! The guard's inputs. What they do to its state is in `machine`.

use std::time::Duration;

use super::intake::Intake;
use super::machine::{Circumstances, Machine};
use super::policy_watch::SaturationWatch;
use super::{
    ClockEvent, Counts, Failure, FrameArrival, FrameVerdict, GuardLimits, GuardLimitsError, Level, Mode, Moment,
    Operator, Reaction, Reason, State, Status, Ticket,
};
use crate::frame::Stamp;
use crate::planner::PlannerParameters;
use crate::planner::envelope::Envelope;

/// Decisions with NaN in a row that end Holding early.
const NOT_FINITE_IN_A_ROW: u32 = 3;

/// Decides what may leave towards the planner. See the [module](super) for the states.
#[derive(Debug, Clone)]
pub struct Guard {
    limits: GuardLimits,
    intake: Intake,
    machine: Machine,
    policy: SaturationWatch,
    latency: Duration,
    counts: Counts,
}

impl Guard {
    /// A guard that begins to wait for the first decision at `now`: make it when the model is loaded.
    ///
    /// # Errors
    /// [`GuardLimitsError`] for a limit that cannot be.
    pub fn new(envelope: Envelope, limits: GuardLimits, mode: Mode, now: Moment) -> Result<Self, GuardLimitsError> {
        limits.check()?;
        Ok(Self {
            limits,
            intake: Intake::default(),
            machine: Machine::new(envelope, mode, now),
            policy: SaturationWatch::default(),
            latency: Duration::ZERO,
            counts: Counts::default(),
        })
    }

    /// Takes other limits from now on.
    ///
    /// # Errors
    /// [`GuardLimitsError`] for a limit that cannot be; the old ones stay.
    pub fn set_limits(&mut self, limits: GuardLimits) -> Result<(), GuardLimitsError> {
        limits.check()?;
        self.limits = limits;
        Ok(())
    }

    /// Takes another envelope from now on. It was checked when it was made.
    pub fn set_envelope(&mut self, envelope: Envelope) {
        self.machine.set_envelope(envelope);
    }

    /// The limits in use.
    pub fn limits(&self) -> &GuardLimits {
        &self.limits
    }

    /// The envelope in use.
    pub fn envelope(&self) -> &Envelope {
        self.machine.outgoing().envelope()
    }

    /// The state the operator sees.
    pub fn state(&self) -> State {
        self.machine.state()
    }

    /// What the operator sees at `now`.
    pub fn status(&self, now: Moment) -> Status {
        let mut warnings: Vec<Reason> = self.intake.frame_warnings(now, &self.limits).collect();
        warnings.extend(self.policy.warnings());
        warnings.extend(self.intake.velocity_warning());
        warnings.extend((self.latency > self.limits.latency_budget).then_some(Reason::InferenceSlow(self.latency)));
        let reason = self.machine.reason();
        let level = warnings.iter().chain([&reason]).map(Reason::level).fold(self.machine.level(), Level::max);
        Status {
            state: self.machine.state(),
            health: self.machine.health().state(),
            level,
            reason,
            warnings,
            counts: Counts { safe_defaults: self.machine.safe_defaults_called(), ..self.counts },
            since_valid: self.machine.health().since_valid(now),
        }
    }

    /// A frame arrived and could be decoded.
    pub fn frame(&mut self, now: Moment, arrival: FrameArrival) -> (FrameVerdict, Reaction) {
        let jumped = self.intake.clock_went_back(arrival.ros_now);
        let mut reaction = if jumped { self.clock(now, ClockEvent::JumpedBack) } else { Reaction::default() };
        let verdict = self.intake.frame(now, arrival, &self.limits);
        match &verdict {
            FrameVerdict::Use { .. } => self.counts.frames += 1,
            FrameVerdict::Refuse(Reason::FrameRepeated) => self.counts.frames_repeated += 1,
            FrameVerdict::Refuse(reason) => {
                self.counts.frames_refused += 1;
                reaction = reaction.then(self.bad(now, reason.clone()));
                match reason {
                    Reason::StampInFuture(_) | Reason::StampBackwards(_) => {
                        self.machine.void_decisions();
                        reaction.reset_history = Some(reason.clone());
                    }
                    Reason::StampsInterleave => {
                        self.machine.void_decisions();
                        reaction.reset_history = Some(reason.clone());
                        reaction = reaction.then(self.machine.enter_safe(now, reason.clone()));
                    }
                    _ => {}
                }
            }
        }
        (verdict, reaction)
    }

    /// Frames came that nobody looked at, because inference was busy or no decision was due: the publisher lives.
    pub fn frames_keep_coming(&mut self, now: Moment) {
        self.intake.frames_keep_coming(now);
    }

    /// A message came that was no usable frame.
    pub fn frame_refused(&mut self, now: Moment, problem: &str) -> Reaction {
        self.counts.frames_refused += 1;
        self.bad(now, Reason::FrameRefused(problem.to_owned()))
    }

    /// A scan came from which nothing can be seen. The planner keeps what it has; if that lasts, it gets the safe defaults.
    pub fn sensor_blind(&mut self, now: Moment, problem: &str) -> Reaction {
        self.counts.frames_refused += 1;
        // Its publisher lives: what is wrong is the sensor.
        self.intake.came(now);
        self.bad(now, Reason::SensorBlind(problem.to_owned()))
    }

    /// Odometry came: m/s ahead, rad/s counter-clockwise, as in the message, NaN included.
    pub fn velocity(&mut self, linear: f64, angular: f64, stamp: Stamp) {
        self.intake.velocity(linear, angular, stamp);
    }

    /// Whether inference may start on the frame of this stamp.
    ///
    /// # Errors
    /// Why not, and what to do about it: the frame is too old, or there is no velocity for it, or nobody wants a
    /// decision.
    #[expect(clippy::result_large_err, reason = "asked a few times a second; boxing would only burden the caller")]
    pub fn admit(&mut self, now: Moment, stamp: Stamp, ros_now: Stamp) -> Result<Ticket, (Reason, Reaction)> {
        if self.machine.permission().is_disabled() {
            return Err((Reason::OperatorDisabled, Reaction::default()));
        }
        match self.intake.check(stamp, ros_now, &self.limits) {
            Ok(found) => Ok(Ticket::new(self.machine.epoch(), stamp, found, now)),
            Err(reason) => {
                self.counts.not_admitted += 1;
                let reaction = self.bad(now, reason.clone());
                Err((reason, reaction))
            }
        }
    }

    /// A decision came back. `action` is the policy's output, where there is a policy.
    pub fn decided(
        &mut self,
        now: Moment,
        ticket: Ticket,
        proposed: &PlannerParameters,
        action: Option<&[f32]>,
    ) -> Reaction {
        if self.is_void(ticket) {
            return Reaction::default();
        }
        self.latency = ticket.took(now);
        if self.latency > self.limits.hold_timeout {
            self.counts.decisions_failed += 1;
            return self.bad(now, Reason::InferenceSlow(self.latency));
        }
        if let Some(action) = action {
            self.policy.take(action, self.intake.newest_image());
        }
        self.counts.decisions += 1;
        self.machine.good(now, proposed, &self.limits)
    }

    /// A decision failed.
    pub fn failed(&mut self, now: Moment, ticket: Ticket, failure: Failure) -> Reaction {
        if let Failure::ModelLost { message } = failure {
            self.counts.decisions_failed += 1;
            let reason = Reason::ModelLost(message);
            let held = self.bad(now, reason.clone());
            return held.then(self.machine.enter_safe(now, reason));
        }
        if self.is_void(ticket) {
            return Reaction::default();
        }
        self.counts.decisions_failed += 1;
        let (reason, is_not_finite) = match failure {
            Failure::NotFinite { stage } => (Reason::NotFinite(stage), true),
            Failure::Failed { stage, message } => (Reason::DecisionFailed(stage, message), false),
            Failure::ModelLost { message } => (Reason::ModelLost(message), false),
        };
        let not_finite_in_a_row = self.machine.decision_failed(is_not_finite);
        let held = self.bad(now, reason.clone());
        if not_finite_in_a_row < NOT_FINITE_IN_A_ROW {
            return held;
        }
        held.then(self.machine.enter_safe(now, reason))
    }

    /// ROS time did something other than pass.
    pub fn clock(&mut self, now: Moment, event: ClockEvent) -> Reaction {
        self.intake.wait_for_clock(event == ClockEvent::Waiting);
        match event {
            ClockEvent::Running => Reaction::default(),
            ClockEvent::Waiting => self.bad(now, Reason::WaitingForClock),
            ClockEvent::JumpedForward(by) => {
                self.machine.note(Reason::ClockJumpedForward(by));
                Reaction::default()
            }
            ClockEvent::JumpedBack => {
                self.machine.void_decisions();
                self.intake.restart();
                Reaction { reset_history: Some(Reason::ClockJumpedBack), ..Reaction::default() }
            }
        }
    }

    /// The operator asked for something.
    pub fn operator(&mut self, now: Moment, request: Operator) -> Reaction {
        match request {
            Operator::Enable => self.machine.change_mode(now, Mode::Active),
            Operator::Shadow => self.machine.change_mode(now, Mode::Shadow),
            Operator::Disable => self.machine.change_mode(now, Mode::Disabled),
            Operator::Hold(hold) => self.machine.hold(hold, &self.limits),
            Operator::ResetHistory => {
                self.machine.void_decisions();
                Reaction { reset_history: Some(Reason::HistoryReset), ..Reaction::default() }
            }
        }
    }

    /// The sink has stopped setting parameters: Safe until the operator enables again, and nothing is set.
    pub fn planner_failing(&mut self, why: &str) -> Reaction {
        self.machine.planner_failing(why)
    }

    /// Time passed. Ten times a second is enough.
    pub fn tick(&mut self, now: Moment) -> Reaction {
        let permission = self.machine.permission();
        if permission.is_disabled() {
            return Reaction::default();
        }
        let holds = permission.operator_holds();
        let quiet = self.intake.silence(now).filter(|silence| *silence * 2 >= self.limits.hold_timeout);
        match (quiet, self.machine.health().state()) {
            (Some(silence), State::Nominal) => return self.bad(now, Reason::FramesStopped(silence)),
            (Some(silence), State::Holding) if !holds => self.machine.note(Reason::FramesStopped(silence)),
            _ => {}
        }
        self.machine.escalate(circumstances(now, &self.limits, &self.intake))
    }

    fn bad(&mut self, now: Moment, reason: Reason) -> Reaction {
        self.machine.bad(reason, circumstances(now, &self.limits, &self.intake))
    }

    /// Whether what a decision was made for is gone, or nobody wants it any more.
    fn is_void(&mut self, ticket: Ticket) -> bool {
        let is_void = ticket.epoch() != self.machine.epoch() || self.machine.permission().is_disabled();
        self.counts.decisions_dropped += u64::from(is_void);
        is_void
    }
}

fn circumstances<'a>(now: Moment, limits: &'a GuardLimits, intake: &Intake) -> Circumstances<'a> {
    Circumstances { now, limits, clock_waiting: intake.clock_waiting(), any_frame: intake.any_frame() }
}
