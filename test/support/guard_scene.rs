//! A robot's day for the guard: a fake clock, ROS time beside it, frames and odometry as they would come.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use vlm_planner_tuner::frame::Stamp;
use vlm_planner_tuner::planner::envelope::{Envelope, EnvelopeLimits};
use vlm_planner_tuner::planner::guard::{
    Failure, FrameArrival, FrameVerdict, Guard, GuardLimits, Instruction, Mode, Moment, Reaction, Reason, State, Ticket,
};
use vlm_planner_tuner::planner::{PlannerParameters, PlannerSpec};

/// ROS time at the start of every scene, ms.
pub const ROS_START: i64 = 1_000_000;

pub struct Scene {
    pub guard: Guard,
    /// Monotonic, ms.
    pub now_ms: u64,
    /// ROS time minus monotonic time, ms: changes when the clock jumps.
    pub ros_offset: i64,
    pub frames: u64,
    pub reactions: Vec<Reaction>,
}

pub fn dwa() -> PlannerSpec {
    PlannerSpec::builtin("dwa").unwrap()
}

pub fn action(value: f32) -> PlannerParameters {
    dwa().from_action(&[value; 7]).unwrap()
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Scene {
    pub fn new() -> Self {
        Self::with(Mode::Active, GuardLimits::default(), EnvelopeLimits::off())
    }

    pub fn with(mode: Mode, limits: GuardLimits, envelope: EnvelopeLimits) -> Self {
        let guard = Guard::new(Envelope::new(dwa(), envelope).unwrap(), limits, mode, Moment::default()).unwrap();
        Self { guard, now_ms: 0, ros_offset: ROS_START, frames: 0, reactions: Vec::new() }
    }

    pub fn now(&self) -> Moment {
        Moment::from_start(ms(self.now_ms))
    }

    pub fn ros(&self) -> Stamp {
        self.ros_ago(0)
    }

    pub fn ros_ago(&self, ago_ms: i64) -> Stamp {
        Stamp::from_nanos((self.now_ms as i64 + self.ros_offset - ago_ms) * 1_000_000)
    }

    /// Lets time pass in steps of 50 ms, ticking.
    pub fn pass(&mut self, total_ms: u64) {
        for _ in 0..total_ms / 50 {
            self.now_ms += 50;
            let reaction = self.guard.tick(self.now());
            self.note(reaction);
        }
    }

    pub fn note(&mut self, reaction: Reaction) -> Reaction {
        self.reactions.push(reaction.clone());
        reaction
    }

    pub fn odometry(&mut self, linear: f64) {
        self.guard.velocity(linear, 0.0, self.ros());
    }

    /// A new image with this stamp.
    pub fn image(&mut self, stamp: Stamp) -> (FrameVerdict, Reaction) {
        self.frames += 1;
        self.image_of(stamp, self.frames)
    }

    pub fn image_of(&mut self, stamp: Stamp, image_hash: u64) -> (FrameVerdict, Reaction) {
        let arrival = FrameArrival { stamp, ros_now: self.ros(), image_hash, odd: None };
        let (verdict, reaction) = self.guard.frame(self.now(), arrival);
        self.note(reaction.clone());
        (verdict, reaction)
    }

    pub fn admit(&mut self, stamp: Stamp) -> Result<Ticket, Reason> {
        match self.guard.admit(self.now(), stamp, self.ros()) {
            Ok(ticket) => Ok(ticket),
            Err((reason, reaction)) => {
                self.note(reaction);
                Err(reason)
            }
        }
    }

    /// Odometry, a fresh image 50 ms later, and leave to decide on it.
    pub fn start(&mut self) -> Ticket {
        self.pass(50);
        self.odometry(0.5);
        let stamp = self.ros();
        assert!(matches!(self.image(stamp).0, FrameVerdict::Use { .. }));
        self.admit(stamp).unwrap()
    }

    /// A decision that goes well, 550 ms after the one before.
    pub fn good(&mut self) -> Reaction {
        self.pass(500);
        let ticket = self.start();
        let value = if self.frames.is_multiple_of(2) { 0.3 } else { 0.4 };
        let reaction = self.guard.decided(self.now(), ticket, &action(value), Some(&[value; 7]));
        self.note(reaction)
    }

    /// A decision with NaN in it.
    pub fn nan(&mut self) -> Reaction {
        self.pass(500);
        let ticket = self.start();
        let reaction = self.guard.failed(self.now(), ticket, Failure::NotFinite { stage: "feature" });
        self.note(reaction)
    }

    pub fn state(&self) -> State {
        self.guard.state()
    }

    pub fn reason(&self) -> &'static str {
        self.guard.status(self.now()).reason.name()
    }

    pub fn warnings(&self) -> Vec<&'static str> {
        self.guard.status(self.now()).warnings.iter().map(Reason::name).collect()
    }

    /// How often the safe defaults were called for, and with what.
    pub fn safe_defaults(&self) -> Vec<(PlannerParameters, bool)> {
        let safe = |reaction: &Reaction| match &reaction.instruction {
            Instruction::SafeDefaults { parameters, set } => Some((parameters.parameters().clone(), *set)),
            _ => None,
        };
        self.reactions.iter().filter_map(safe).collect()
    }
}

pub fn sets(reaction: &Reaction) -> bool {
    matches!(
        reaction.instruction,
        Instruction::Decision { set: true, .. } | Instruction::SafeDefaults { set: true, .. }
    )
}
