//! The closed loop: a tuner decides about the planner's parameters, the robot drives, until the drive is over.
//!
//! Follows the environment of the original (`ros_jackal/envs/DWA`): decisions every half a second, costmaps that are cleared
//! when the robot has backed up for most of the last five seconds, its ends and its times.

mod backing_up;
mod report;

pub use report::{DriveReport, Ending, TrackPoint, TunedPoint};

use planner_tuner_core::frame::render::LaserScan;
use planner_tuner_core::pose::Pose;

use crate::contact::ContactWatch;
use crate::laser::{Laser, LaserSettings};
use crate::move_base::{MoveBase, Tuning};
use crate::robot::{Robot, RobotSettings};
use crate::trajectory_planner::{PlanPose, Settings, Start};
use crate::velocity::Velocity;
use crate::world::World;
use backing_up::BackingUp;

/// What a tuner decides on.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// Since the beginning of the drive, s.
    pub time_s: f64,
    /// The newest scan, in the laser's frame.
    pub scan: &'a LaserScan,
    /// The newest global plan.
    pub plan: &'a [PlanPose],
    /// Where the robot believes it is.
    pub pose: Pose,
    /// How fast it moves.
    pub velocity: Velocity,
    /// Where it is to go.
    pub goal: Pose,
    /// The parameters in use.
    pub tuning: Tuning,
}

/// Parameters, and how long it took to find them: they count from then on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// The parameters.
    pub tuning: Tuning,
    /// In simulated time, s.
    pub latency_s: f64,
}

/// Decides about parameters while a robot drives.
pub trait Tuner {
    /// What went wrong when it could not decide.
    type Error;

    /// Parameters for a moment; `None` leaves those in use.
    ///
    /// # Errors
    /// The drive ends then, and nothing is reported of it.
    fn decide(&mut self, moment: &Moment<'_>) -> Result<Option<Decision>, Self::Error>;
}

/// The same parameters all the way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fixed(pub Tuning);

impl Tuner for Fixed {
    type Error = std::convert::Infallible;

    fn decide(&mut self, _: &Moment<'_>) -> Result<Option<Decision>, Self::Error> {
        Ok(Some(Decision { tuning: self.0, latency_s: 0.0 }))
    }
}

/// How a drive goes. The default is the original's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriveSettings {
    /// What moves the robot.
    pub robot: RobotSettings,
    /// What it sees with.
    pub laser: LaserSettings,
    /// What the local planner does with its parameters.
    pub planner: Settings,
    /// Cycles of [`MoveBase::CYCLE_S`] from decision to decision, at least 1.
    pub cycles_per_decision: u32,
    /// A drive of more decisions is too slow.
    pub most_decisions: u32,
}

impl Default for DriveSettings {
    fn default() -> Self {
        Self {
            robot: RobotSettings::default(),
            laser: LaserSettings::JACKAL,
            planner: Settings::default(),
            cycles_per_decision: 10,
            most_decisions: 200,
        }
    }
}

/// Drives through a world once. The same seed gives the same drive.
///
/// # Errors
/// The tuner's.
pub fn drive<T: Tuner + ?Sized>(
    world: &World,
    settings: &DriveSettings,
    seed: u64,
    tuner: &mut T,
) -> Result<DriveReport, T::Error> {
    let mut running = Running::begin(world, settings, seed);
    for _ in 0..settings.most_decisions {
        running.decide(tuner)?;
        for _ in 0..settings.cycles_per_decision.max(1) {
            running.cycle();
        }
        if let Some(ending) = running.ending() {
            return Ok(running.finish(ending));
        }
    }
    Ok(running.finish(Ending::TooSlow))
}

/// A drive that is not over.
struct Running<'a> {
    world: &'a World,
    robot: Robot,
    laser: Laser,
    move_base: MoveBase,
    contacts: ContactWatch,
    backing_up: BackingUp,
    /// Parameters that count from a time on, s.
    coming: Option<(f64, Tuning)>,
    cycles: u32,
    report: DriveReport,
}

impl<'a> Running<'a> {
    fn begin(world: &'a World, settings: &DriveSettings, seed: u64) -> Self {
        let mut laser = Laser::new(settings.laser, seed.wrapping_mul(2));
        laser.scan(world.cylinders(), world.start());
        Self {
            world,
            robot: Robot::new(settings.robot, world.start(), seed.wrapping_mul(2).wrapping_add(1)),
            laser,
            move_base: MoveBase::new(settings.planner, settings.laser.mount, world.goal()),
            contacts: ContactWatch::default(),
            backing_up: BackingUp::default(),
            coming: None,
            cycles: 0,
            report: DriveReport::new(world),
        }
    }

    fn now(&self) -> f64 {
        f64::from(self.cycles) * MoveBase::CYCLE_S
    }

    fn decide<T: Tuner + ?Sized>(&mut self, tuner: &mut T) -> Result<(), T::Error> {
        if self.backing_up.is_most_of_the_time() {
            self.move_base.clear_costmaps();
        }
        // A tuner that still thinks about the last moment misses this one.
        if self.coming.is_some() {
            return Ok(());
        }
        let decision = tuner.decide(&Moment {
            time_s: self.now(),
            scan: self.laser.newest(),
            plan: self.move_base.plan(),
            pose: self.robot.odometry(),
            velocity: self.robot.velocity(),
            goal: self.world.goal(),
            tuning: self.move_base.tuning(),
        })?;
        if let Some(Decision { tuning, latency_s }) = decision {
            self.coming = Some((self.now() + latency_s, tuning));
        }
        Ok(())
    }

    fn cycle(&mut self) {
        let now = self.now();
        if let Some((_, tuning)) = self.coming.take_if(|(from, _)| *from <= now) {
            self.move_base.tune(tuning);
            self.report.tuned(TunedPoint { time_s: now, tuning });
        }
        let scan = self.laser.scan(self.world.cylinders(), self.robot.pose());
        let start = Start { pose: self.robot.odometry(), velocity: self.robot.velocity() };
        let command = self.move_base.step(now, scan, start);
        self.report.passed(TrackPoint { time_s: now, pose: self.robot.pose(), velocity: self.robot.velocity() });
        let steps = (MoveBase::CYCLE_S / Robot::STEP_S).round() as u32;
        for step in 1..=steps {
            let touches = self.robot.step(command, self.world.cylinders());
            self.contacts.note(now + f64::from(step) * Robot::STEP_S, touches);
            self.backing_up.note(self.robot.velocity().linear);
        }
        self.cycles += 1;
    }

    /// How the drive is over, if it is.
    fn ending(&self) -> Option<Ending> {
        if self.contacts.ends_drive() {
            Some(Ending::Collision)
        } else if self.world.is_reached(self.robot.odometry().position) {
            Some(Ending::Success)
        } else {
            None
        }
    }

    fn finish(mut self, ending: Ending) -> DriveReport {
        let last = TrackPoint { time_s: self.now(), pose: self.robot.pose(), velocity: self.robot.velocity() };
        self.report.passed(last);
        self.report.end(ending, self.contacts.contacts(), self.robot.odometry());
        self.report
    }
}
