//! The options of `replay --log`.

use std::path::PathBuf;

use clap::Args;

use crate::recording::{DriveTopics, Recording, Topic};
use crate::transition::{Exploration, RewardWeights};

/// What is logged, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Transition log")]
pub struct LogArgs {
    /// Write transitions to this folder, one MCAP file an episode. A log is of one policy: not with --follow
    #[arg(long = "log", value_name = "DIR", conflicts_with = "follow")]
    pub folder: Option<PathBuf>,
    /// Weights of the reward [default: config/reward.yaml as built in]
    #[arg(long, value_name = "YAML", requires = "folder")]
    reward: Option<PathBuf>,
    /// Goal status topic whose goals are episodes [default: that of navigate_to_pose]
    #[arg(long, value_name = "TOPIC", requires = "folder")]
    goal_status_topic: Option<String>,
    /// Goal topic, geometry_msgs/PoseStamped in the odometry's frame [default: goal_pose]
    #[arg(long, value_name = "TOPIC", requires = "folder")]
    goal_topic: Option<String>,
    /// Collision topic, std_msgs/Bool: becoming true ends an episode
    #[arg(long, value_name = "TOPIC", requires = "folder")]
    collision_topic: Option<String>,
    /// Longest episode, seconds [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = positive, requires = "folder")]
    pub time_out: Option<f64>,
    /// Standard deviation of the noise that is logged as explored, in units of the action; the printed parameters are
    /// without it
    #[arg(long, value_name = "STD", value_parser = standard_deviation, default_value = "0", requires = "folder")]
    exploration: f64,
    /// Seed of that noise
    #[arg(long, value_name = "N", default_value = "0", requires = "folder")]
    pub seed: u64,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a positive number of seconds".into())
}

fn standard_deviation(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| Exploration::new(*number, 0).is_some());
    number.ok_or_else(|| "expected a number from 0".into())
}

impl LogArgs {
    /// Which topics tell how the drive went; the odometry is the one that the velocities come from, and the robot that of
    /// the images.
    pub fn topics(&self, recording: &Recording, scan: Option<&str>) -> DriveTopics {
        let name = |topic: &Topic| topic.name.clone();
        DriveTopics {
            odometry: recording.odometry_topic().map(name),
            scan: scan.map(str::to_owned),
            followed: recording.image_topic().map(name),
            goal_status: self.goal_status_topic.clone(),
            goal: self.goal_topic.clone(),
            collision: self.collision_topic.clone(),
        }
    }

    /// The reward's weights.
    pub fn weights(&self) -> anyhow::Result<RewardWeights> {
        Ok(self.reward.as_deref().map(RewardWeights::load).transpose()?.unwrap_or_default())
    }

    /// The noise on actions.
    pub fn exploration(&self) -> Exploration {
        Exploration::new(self.exploration, self.seed).unwrap_or(Exploration::NONE)
    }

    /// What tells this run's episodes from others of the same recording.
    pub fn fingerprint(&self) -> String {
        format!("{} {} {:?}", self.exploration, self.seed, self.time_out)
    }
}
