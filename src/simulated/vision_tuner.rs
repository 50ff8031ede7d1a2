//! The model in the loop, on the road that a robot's frames take: scene, renderer, guard, model, envelope, guard.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{DriveLog, SimulatedError, scene_of, tuning_of};
use crate::frame::render::Renderer;
use crate::frame::{BodyVelocity, Frame, Stamp, StampedFrame};
use crate::live::failure;
use crate::planner::PlannerSpec;
use crate::planner::envelope::{Envelope, EnvelopeLimits};
use crate::planner::guard::{
    FrameArrival, FrameVerdict, Guard, GuardLimits, Instruction, Mode, Moment as GuardMoment, Reaction, image_hash,
};
use crate::simulation::drive::{Decision, Moment, Tuner};
use crate::tuner::{DecisionInput, DecisionModel, DecisionStream};

/// Longest time between decisions whose frames belong together.
const MAX_GAP: Duration = Duration::from_secs(2);
/// The first frame's time: a stamp of zero means that there is none.
const BEGIN: Duration = Duration::from_secs(1);

/// How long a decision takes in simulated time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Latency {
    /// Always this long, s: drives are the same on every machine.
    Fixed(f64),
    /// As long as it took here.
    Measured,
}

impl Latency {
    /// For who decides at once: what is given, s; nothing where it would be measured.
    pub fn at_once_s(self) -> f64 {
        match self {
            Self::Fixed(seconds) => seconds,
            Self::Measured => 0.0,
        }
    }
}

/// Tunes by looking at the scene.
pub struct VisionTuner<'a> {
    model: &'a mut dyn DecisionModel,
    stream: DecisionStream,
    renderer: Renderer,
    guard: Guard,
    latency: Latency,
    failures: usize,
    log: Option<DriveLog<'a>>,
}

impl<'a> VisionTuner<'a> {
    /// A tuner for one drive. `limits` are the envelope's.
    ///
    /// # Errors
    /// [`SimulatedError::OtherPlanner`] and what does not fit the planner.
    pub fn new(
        model: &'a mut dyn DecisionModel,
        planner: &PlannerSpec,
        limits: EnvelopeLimits,
        latency: Latency,
    ) -> Result<Self, SimulatedError> {
        tuning_of(&planner.safe_defaults())?;
        let stream = DecisionStream::new(model.history_offsets(), MAX_GAP)?;
        let envelope = Envelope::new(planner.clone(), limits)?;
        let start = GuardMoment::from_start(BEGIN);
        let guard = Guard::new(envelope, GuardLimits::default(), Mode::Active, start)?;
        Ok(Self { model, stream, renderer: Renderer::new(), guard, latency, failures: 0, log: None })
    }

    /// Logs the drive, and explores with the log's noise.
    #[must_use]
    pub fn with_log(mut self, log: DriveLog<'a>) -> Self {
        self.log = Some(log);
        self
    }

    /// The log, to be ended with what came of the drive.
    pub fn into_log(self) -> Option<DriveLog<'a>> {
        self.log
    }

    /// How many decisions came to nothing.
    pub fn failures(&self) -> usize {
        self.failures
    }

    /// What the robot sees, as a picture.
    fn draw(&self, moment: &Moment<'_>) -> Option<Frame> {
        self.renderer
            .draw(&scene_of(moment))
            .map(|(frame, _)| frame)
            .inspect_err(|error| log::warn!("no frame: {error}"))
            .ok()
    }

    /// What became of a moment, and how long that took in simulated time.
    fn consider(&mut self, moment: &Moment<'_>) -> Result<(Reaction, f64), SimulatedError> {
        let since_begin = Duration::try_from_secs_f64(moment.time_s).unwrap_or_default();
        let now = GuardMoment::from_start(BEGIN + since_begin);
        let stamp = Stamp::from_nanos(i64::try_from((BEGIN + since_begin).as_nanos()).unwrap_or(i64::MAX));
        self.guard.velocity(moment.velocity.linear, moment.velocity.angular, stamp);
        let Some(frame) = self.draw(moment) else {
            return Ok((self.guard.frame_refused(now, "the scene cannot be drawn"), 0.0));
        };
        let arrival = FrameArrival { stamp, ros_now: stamp, image_hash: image_hash(&frame), odd: None };
        let (verdict, reaction) = self.guard.frame(now, arrival);
        if reaction.reset_history.is_some() {
            self.stream.start_episode();
        }
        let FrameVerdict::Use { stamp, .. } = verdict else { return Ok((reaction, 0.0)) };
        let ticket = match self.guard.admit(now, stamp, stamp) {
            Ok(ticket) => ticket,
            Err((_, reaction)) => return Ok((reaction, 0.0)),
        };
        let velocity: BodyVelocity = ticket.velocity();
        let input = DecisionInput { stamp, frame: &frame, velocity, named_history: None };
        let begin = Instant::now();
        let decided = self.stream.step(self.model, input);
        let latency = match self.latency {
            Latency::Fixed(seconds) => seconds,
            Latency::Measured => begin.elapsed().as_secs_f64(),
        };
        let then = now + Duration::try_from_secs_f64(latency).unwrap_or_default();
        let reaction = match decided {
            Ok(decided) => {
                let choice = decided.decision.choice();
                let action = choice.action.map(|action| action.values().to_vec());
                let parameters = match &mut self.log {
                    None => choice.parameters.clone(),
                    Some(log) => {
                        log.reach(moment);
                        log.decided(&StampedFrame { stamp, frame: Arc::new(frame) }, velocity, choice)?
                    }
                };
                let reaction = self.guard.decided(then, ticket, &parameters, action.as_deref());
                if let (Some(log), Instruction::Decision { set: true, .. }) = (&mut self.log, &reaction.instruction) {
                    log.applied(parameters.iter().len());
                }
                reaction
            }
            Err(error) => {
                self.failures += 1;
                self.guard.failed(then, ticket, failure(&error))
            }
        };
        Ok((reaction, latency))
    }
}

impl Tuner for VisionTuner<'_> {
    type Error = SimulatedError;

    fn decide(&mut self, moment: &Moment<'_>) -> Result<Option<Decision>, SimulatedError> {
        let (reaction, latency_s) = self.consider(moment)?;
        Ok(match reaction.instruction {
            Instruction::Decision { parameters, set: true } | Instruction::SafeDefaults { parameters, set: true } => {
                Some(Decision { tuning: tuning_of(parameters.parameters())?, latency_s })
            }
            _ => None,
        })
    }
}
