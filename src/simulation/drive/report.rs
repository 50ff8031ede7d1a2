//! What a drive came to.

use planner_tuner_core::pose::Pose;

use crate::move_base::Tuning;
use crate::score::{nav_metric, optimal_time};
use crate::velocity::Velocity;
use crate::world::World;

/// A drive has begun when the robot is this fast, m/s: times count from then on.
const MOVING: f64 = 0.1;
/// Slower than this it hesitates, m/s.
const HESITATING: f64 = 0.05;

/// How a drive ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ending {
    /// The goal was reached.
    Success,
    /// A contact lasted a second.
    Collision,
    /// It took too many decisions.
    TooSlow,
}

impl Ending {
    /// As it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Collision => "collision",
            Self::TooSlow => "timeout",
        }
    }
}

/// The robot at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackPoint {
    /// Since the beginning of the drive, s.
    pub time_s: f64,
    /// Where it was.
    pub pose: Pose,
    /// How fast it moved.
    pub velocity: Velocity,
}

/// Parameters that came into use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TunedPoint {
    /// Since the beginning of the drive, s.
    pub time_s: f64,
    /// The parameters.
    pub tuning: Tuning,
}

/// A drive that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct DriveReport {
    ending: Ending,
    contacts: usize,
    optimal_time_s: f64,
    track: Vec<TrackPoint>,
    believed_end: Pose,
    tunings: Vec<TunedPoint>,
}

impl DriveReport {
    pub(super) fn new(world: &World) -> Self {
        Self {
            ending: Ending::TooSlow,
            contacts: 0,
            optimal_time_s: optimal_time(world.reference_length()),
            track: Vec::new(),
            believed_end: world.start(),
            tunings: Vec::new(),
        }
    }

    pub(super) fn passed(&mut self, point: TrackPoint) {
        self.track.push(point);
    }

    pub(super) fn tuned(&mut self, point: TunedPoint) {
        self.tunings.push(point);
    }

    pub(super) fn end(&mut self, ending: Ending, contacts: usize, believed: Pose) {
        (self.ending, self.contacts, self.believed_end) = (ending, contacts, believed);
    }

    /// Where the robot's odometry had it at the end: what goals and logs are measured by.
    pub fn believed_end(&self) -> Pose {
        self.believed_end
    }

    /// How it ended.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// How often something was touched.
    pub fn contacts(&self) -> usize {
        self.contacts
    }

    /// Where the robot was, from cycle to cycle.
    pub fn track(&self) -> &[TrackPoint] {
        &self.track
    }

    /// The parameters that came into use, and when.
    pub fn tunings(&self) -> &[TunedPoint] {
        &self.tunings
    }

    /// From the first movement to the end, s; 0 where it never moved.
    pub fn time_s(&self) -> f64 {
        let moving = self.moving();
        moving.first().zip(moving.last()).map_or(0.0, |(first, last)| last.time_s - first.time_s)
    }

    /// The part of the track since the first movement.
    fn moving(&self) -> &[TrackPoint] {
        let begin = self.track.iter().position(|point| point.velocity.linear >= MOVING);
        begin.and_then(|begin| self.track.get(begin..)).unwrap_or_default()
    }

    /// Length of the way, m.
    pub fn way_m(&self) -> f64 {
        let ways = self.track.iter().zip(self.track.iter().skip(1)).map(|(from, to)| {
            let (from, to) = (from.pose.position, to.pose.position);
            (to.x - from.x).hypot(to.y - from.y)
        });
        ways.sum()
    }

    /// Share of the time since the first movement in which it hardly moved ahead.
    pub fn hesitating(&self) -> f64 {
        let moving = self.moving();
        let slow = moving.iter().filter(|point| point.velocity.linear <= HESITATING).count();
        if moving.is_empty() { 1.0 } else { slow as f64 / moving.len() as f64 }
    }

    /// What it is worth, 0 to 0.5: see [`nav_metric`].
    pub fn nav_metric(&self) -> f64 {
        let is_clean_success = self.ending == Ending::Success && self.contacts == 0;
        nav_metric(is_clean_success, self.time_s(), self.optimal_time_s)
    }
}
