//! What disturbs the robot, and how long decisions take.

use clap::Args;

use crate::simulated::Latency;
use crate::simulation::drive::DriveSettings;
use crate::simulation::laser::LaserSettings;
use crate::simulation::move_base::MoveBase;
use crate::simulation::robot::{Robot, RobotSettings};

/// The robot, and the loop around it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Robot")]
pub struct RobotArgs {
    /// Share of every turn that is lost to slip
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    slip: f64,
    /// How much the odometry drifts, m per square root of a metre driven
    #[arg(long, value_name = "M", default_value_t = 0.0, value_parser = at_most_one)]
    odometry_noise: f64,
    /// Standard deviation of laser ranges, m
    #[arg(long, value_name = "M", default_value_t = 0.0, value_parser = at_most_one)]
    laser_noise: f64,
    /// A command acts after this time, s
    #[arg(long, value_name = "S", default_value_t = 0.0, value_parser = at_most_one)]
    control_delay: f64,
    /// From one decision to the next, s
    #[arg(long, value_name = "S", default_value_t = 0.5, value_parser = period)]
    period: f64,
    /// A drive of more time is too slow, s
    #[arg(long, value_name = "S", default_value_t = 100.0, value_parser = limit)]
    time_limit: f64,
    /// How long the model takes in simulated time, s, or `measured`
    #[arg(long, value_name = "S|measured", default_value = "0.3", value_parser = latency)]
    pub latency: Latency,
}

impl RobotArgs {
    /// Settings of a drive.
    pub fn settings(&self) -> DriveSettings {
        DriveSettings {
            robot: RobotSettings {
                slip: self.slip,
                odometry_noise: self.odometry_noise,
                delay_steps: (self.control_delay / Robot::STEP_S).round() as usize,
                ..RobotSettings::default()
            },
            laser: LaserSettings { noise_m: self.laser_noise, ..LaserSettings::JACKAL },
            cycles_per_decision: ((self.period / MoveBase::CYCLE_S).round() as u32).max(1),
            most_decisions: ((self.time_limit / self.period).round() as u32).max(1),
            ..DriveSettings::default()
        }
    }
}

fn between(text: &str, low: f64, high: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (low..=high).contains(&value) => Ok(value),
        _ => Err(format!("expected a number from {low} to {high}")),
    }
}

fn share(text: &str) -> Result<f64, String> {
    between(text, 0.0, 0.9)
}

fn at_most_one(text: &str) -> Result<f64, String> {
    between(text, 0.0, 1.0)
}

fn period(text: &str) -> Result<f64, String> {
    between(text, MoveBase::CYCLE_S, 10.0)
}

fn limit(text: &str) -> Result<f64, String> {
    between(text, 1.0, 3600.0)
}

fn latency(text: &str) -> Result<Latency, String> {
    if text == "measured" {
        return Ok(Latency::Measured);
    }
    between(text, 0.0, 10.0).map(Latency::Fixed).map_err(|said| format!("{said}, or 'measured'"))
}
