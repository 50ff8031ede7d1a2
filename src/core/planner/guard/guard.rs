//! The guard's inputs. What they do to its state is in `transitions`.

use std::time::Duration;

use super::frame_watch::FrameWatch;
use super::policy_watch::SaturationWatch;
use super::velocity_watch::{VelocityWatch, span};
use super::{
    ClockEvent, Counts, Failure, FrameArrival, FrameVerdict, GuardLimits, GuardLimitsError, Instruction, Mode, Moment,
    Operator, Reaction, Reason, State, Ticket,
};
use crate::frame::{BodyVelocity, Stamp};
use crate::planner::PlannerParameters;
use crate::planner::envelope::{Envelope, Enveloped};

/// Decisions with NaN in a row that end Holding early.
const NOT_FINITE_IN_A_ROW: u32 = 3;

/// Decides what may leave towards the planner. See the [module](super) for the states.
#[derive(Debug, Clone)]
pub struct Guard {
    pub(super) envelope: Envelope,
    pub(super) limits: GuardLimits,
    pub(super) mode: Mode,
    /// Starting, Nominal, Holding or Safe.
    pub(super) health: State,
    pub(super) reason: Reason,
    pub(super) operator_holds: bool,
    /// Set while the planner must be left alone.
    pub(super) planner_failing: bool,
    pub(super) clock_waiting: bool,

    pub(super) frames: FrameWatch,
    pub(super) velocities: VelocityWatch,
    pub(super) policy: SaturationWatch,
    pub(super) newest_image: Option<u64>,
    pub(super) assumed_stationary: bool,
    pub(super) latency: Duration,

    /// Raised when decisions in flight become void.
    pub(super) epoch: u64,
    /// The last valid decision, or when waiting for it began.
    pub(super) valid_at: Moment,
    pub(super) any_valid: bool,
    pub(super) good_in_a_row: u32,
    pub(super) not_finite_in_a_row: u32,
    pub(super) last_problem: Option<Reason>,
    /// The safe defaults have been called for and nothing else since.
    pub(super) safe_called: bool,
    pub(super) last: Option<Enveloped>,
    pub(super) counts: Counts,
}

impl Guard {
    /// A guard that begins to wait for the first decision at `now`: make it when the model is loaded.
    ///
    /// # Errors
    /// [`GuardLimitsError`] for a limit that cannot be.
    pub fn new(envelope: Envelope, limits: GuardLimits, mode: Mode, now: Moment) -> Result<Self, GuardLimitsError> {
        limits.check()?;
        Ok(Self {
            envelope,
            limits,
            mode,
            health: State::Starting,
            reason: Reason::StartingUp,
            operator_holds: false,
            planner_failing: false,
            clock_waiting: false,
            frames: FrameWatch::default(),
            velocities: VelocityWatch::default(),
            policy: SaturationWatch::default(),
            newest_image: None,
            assumed_stationary: false,
            latency: Duration::ZERO,
            epoch: 0,
            valid_at: now,
            any_valid: false,
            good_in_a_row: 0,
            not_finite_in_a_row: 0,
            last_problem: None,
            safe_called: false,
            last: None,
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
        self.envelope = envelope;
    }

    /// The limits in use.
    pub fn limits(&self) -> &GuardLimits {
        &self.limits
    }

    /// The envelope in use.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// A frame arrived and could be decoded.
    pub fn frame(&mut self, now: Moment, arrival: FrameArrival) -> (FrameVerdict, Reaction) {
        let jumped = self.frames.clock_went_back(arrival.ros_now);
        let mut reaction = if jumped { self.clock(now, ClockEvent::JumpedBack) } else { Reaction::default() };
        let moving = self.velocities.is_moving();
        let verdict = self.frames.take(now, arrival, moving, &self.limits);
        match &verdict {
            FrameVerdict::Use { .. } => {
                self.counts.frames += 1;
                self.newest_image = Some(arrival.image_hash);
            }
            FrameVerdict::Refuse(Reason::FrameRepeated) => self.counts.frames_repeated += 1,
            FrameVerdict::Refuse(reason) => {
                self.counts.frames_refused += 1;
                let held = self.bad(now, reason.clone());
                reaction = Self::merge(reaction, held);
                match reason {
                    Reason::StampInFuture(_) | Reason::StampBackwards(_) => {
                        self.epoch += 1;
                        reaction.reset_history = Some(reason.clone());
                    }
                    Reason::StampsInterleave => {
                        self.epoch += 1;
                        reaction.reset_history = Some(reason.clone());
                        let safe = self.enter_safe(now, reason.clone());
                        reaction = Self::merge(reaction, safe);
                    }
                    _ => {}
                }
            }
        }
        (verdict, reaction)
    }

    /// Frames came that nobody looked at, because inference was busy or no decision was due: the publisher lives.
    pub fn frames_keep_coming(&mut self, now: Moment) {
        self.frames.keep_coming(now);
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
        self.frames.came(now);
        self.bad(now, Reason::SensorBlind(problem.to_owned()))
    }

    /// Odometry came: m/s ahead, rad/s counter-clockwise, as in the message, NaN included.
    pub fn velocity(&mut self, linear: f64, angular: f64, stamp: Stamp) {
        self.velocities.take(linear, angular, stamp);
    }

    /// Whether inference may start on the frame of this stamp.
    ///
    /// # Errors
    /// Why not, and what to do about it: the frame is too old, or there is no velocity for it, or nobody wants a
    /// decision.
    #[expect(clippy::result_large_err, reason = "asked a few times a second; boxing would only burden the caller")]
    pub fn admit(&mut self, now: Moment, stamp: Stamp, ros_now: Stamp) -> Result<Ticket, (Reason, Reaction)> {
        if self.mode == Mode::Disabled {
            return Err((Reason::OperatorDisabled, Reaction::default()));
        }
        match self.check_frame(stamp, ros_now) {
            Ok((age, velocity)) => Ok(Ticket { epoch: self.epoch, stamp, age, velocity, started: now }),
            Err(reason) => {
                self.counts.not_admitted += 1;
                let reaction = self.bad(now, reason.clone());
                Err((reason, reaction))
            }
        }
    }

    fn check_frame(&mut self, stamp: Stamp, ros_now: Stamp) -> Result<(Duration, BodyVelocity), Reason> {
        if self.clock_waiting {
            return Err(Reason::WaitingForClock);
        }
        let ahead = span(ros_now, stamp);
        if ahead > self.limits.future_tolerance {
            return Err(Reason::StampInFuture(ahead));
        }
        let age = span(stamp, ros_now);
        if age > self.limits.max_frame_age {
            return Err(Reason::FrameStale(age));
        }
        let found = self.velocities.at(stamp, &self.limits);
        let absent = matches!(found, Err(Reason::VelocityMissing | Reason::VelocityStale(_)));
        self.assumed_stationary = absent && self.limits.assume_stationary;
        let standing = || BodyVelocity::new(0.0, 0.0).map_err(|_| Reason::VelocityMissing);
        let velocity = if self.assumed_stationary { standing()? } else { found? };
        Ok((age, velocity))
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
        self.latency = now.since(ticket.started);
        if self.latency > self.limits.hold_timeout {
            self.counts.decisions_failed += 1;
            return self.bad(now, Reason::InferenceSlow(self.latency));
        }
        if let Some(action) = action {
            self.policy.take(action, self.newest_image);
        }
        self.counts.decisions += 1;
        self.good(now, proposed)
    }

    /// A decision failed.
    pub fn failed(&mut self, now: Moment, ticket: Ticket, failure: Failure) -> Reaction {
        if let Failure::ModelLost { message } = failure {
            self.counts.decisions_failed += 1;
            let reason = Reason::ModelLost(message);
            let held = self.bad(now, reason.clone());
            let safe = self.enter_safe(now, reason);
            return Self::merge(held, safe);
        }
        if self.is_void(ticket) {
            return Reaction::default();
        }
        self.counts.decisions_failed += 1;
        let (reason, not_finite) = match failure {
            Failure::NotFinite { stage } => (Reason::NotFinite(stage), self.not_finite_in_a_row + 1),
            Failure::Failed { stage, message } => (Reason::DecisionFailed(stage, message), 0),
            Failure::ModelLost { message } => (Reason::ModelLost(message), 0),
        };
        self.not_finite_in_a_row = not_finite;
        let held = self.bad(now, reason.clone());
        if not_finite < NOT_FINITE_IN_A_ROW {
            return held;
        }
        let safe = self.enter_safe(now, reason);
        Self::merge(held, safe)
    }

    /// ROS time did something other than pass.
    pub fn clock(&mut self, now: Moment, event: ClockEvent) -> Reaction {
        self.clock_waiting = event == ClockEvent::Waiting;
        match event {
            ClockEvent::Running => Reaction::default(),
            ClockEvent::Waiting => self.bad(now, Reason::WaitingForClock),
            ClockEvent::JumpedForward(by) => {
                self.last_problem = Some(Reason::ClockJumpedForward(by));
                Reaction::default()
            }
            ClockEvent::JumpedBack => {
                self.epoch += 1;
                self.frames.restart();
                self.velocities.clear();
                Reaction { reset_history: Some(Reason::ClockJumpedBack), ..Reaction::default() }
            }
        }
    }

    /// The operator asked for something.
    pub fn operator(&mut self, now: Moment, request: Operator) -> Reaction {
        let from = self.state();
        let mut reaction = Reaction::default();
        match request {
            Operator::Enable => self.change_mode(now, Mode::Active),
            Operator::Shadow => self.change_mode(now, Mode::Shadow),
            Operator::Disable => self.change_mode(now, Mode::Disabled),
            Operator::Hold(hold) => {
                if self.operator_holds == hold {
                    return reaction;
                }
                self.operator_holds = hold;
                self.good_in_a_row = 0;
                match (self.health, hold) {
                    (State::Nominal, true) => self.health = State::Holding,
                    (State::Holding, false) => self.reason = Reason::Recovering(0, self.limits.good_frames),
                    _ => {}
                }
                if hold {
                    self.reason = Reason::OperatorHold;
                    reaction.instruction = Instruction::Hold;
                }
            }
            Operator::ResetHistory => {
                self.epoch += 1;
                reaction.reset_history = Some(Reason::HistoryReset);
            }
        }
        reaction.transition = self.transition_from(from, Reason::OperatorRequest);
        reaction
    }

    fn change_mode(&mut self, now: Moment, mode: Mode) {
        if mode == Mode::Active {
            self.planner_failing = false;
        }
        if self.mode == mode {
            return;
        }
        // What was set by another mode, if anything, is not known: wait for a decision as at the start.
        self.mode = mode;
        self.epoch += 1;
        self.health = State::Starting;
        self.reason = Reason::StartingUp;
        (self.valid_at, self.good_in_a_row, self.not_finite_in_a_row) = (now, 0, 0);
        (self.safe_called, self.last, self.last_problem) = (false, None, None);
    }

    /// The sink has stopped setting parameters: Safe until the operator enables again, and nothing is set.
    pub fn planner_failing(&mut self, why: &str) -> Reaction {
        if self.planner_failing {
            return Reaction::default();
        }
        let from = self.state();
        self.planner_failing = true;
        self.health = State::Safe;
        self.safe_called = true;
        self.good_in_a_row = 0;
        self.reason = Reason::PlannerFailing(why.to_owned());
        let transition = self.transition_from(from, self.reason.clone());
        Reaction { instruction: Instruction::Hold, transition, ..Reaction::default() }
    }

    /// Time passed. Ten times a second is enough.
    pub fn tick(&mut self, now: Moment) -> Reaction {
        if self.mode == Mode::Disabled {
            return Reaction::default();
        }
        let quiet = self.frames.silence(now).filter(|silence| *silence * 2 >= self.limits.hold_timeout);
        match quiet {
            Some(silence) if self.health == State::Nominal => self.bad(now, Reason::FramesStopped(silence)),
            Some(silence) if self.health == State::Holding && !self.operator_holds => {
                self.last_problem = Some(Reason::FramesStopped(silence));
                self.escalate(now)
            }
            _ => self.escalate(now),
        }
    }
}
