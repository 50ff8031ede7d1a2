//! The topics that the node listens to: one table for its subscriptions, and for whoever asks whether they can work.

use serde::{Deserialize, Serialize};

use super::Settings;

/// What a topic is listened to for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// Costmap images.
    Images,
    /// Laser scans: images are drawn of them, and the log has the nearest returns.
    Scans,
    /// Velocity and pose.
    Odometry,
    /// What is drawn of the plan.
    Plan,
    /// New goals, and what became of old ones.
    GoalStatus,
    /// Where the goal is, for the log.
    Goal,
    /// Collisions, for the log.
    Collision,
}

/// What is asked of a publisher. One that offers less is never heard, and nobody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Nothing: sensor data, best effort.
    BestEffort,
    /// Reliable delivery.
    Reliable,
    /// Reliable delivery, of the last message before now too (transient local).
    Latched,
}

/// A topic, as it is subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeardTopic {
    /// What for.
    pub purpose: Heard,
    /// The name before remapping.
    pub name: String,
    /// Its type, such as `sensor_msgs/msg/Image`.
    pub type_name: String,
    /// What is asked of a publisher.
    pub delivery: Delivery,
    /// Without it nothing is decided.
    pub is_needed: bool,
}

impl Heard {
    /// All of them.
    pub const ALL: [Heard; 7] =
        [Heard::Images, Heard::Scans, Heard::Odometry, Heard::Plan, Heard::GoalStatus, Heard::Goal, Heard::Collision];

    /// The topic with these settings; `None` where nobody listens.
    pub fn topic(self, settings: &Settings) -> Option<HeardTopic> {
        let (draws, logs) = (settings.draws_images(), !settings.log_folder.is_empty());
        let compressed = settings.image_transport == "compressed";
        let (listens, name, type_name, delivery, is_needed) = match self {
            Heard::Images if compressed => {
                let name = "costmap_image/compressed";
                (!draws, name, "sensor_msgs/msg/CompressedImage", Delivery::BestEffort, true)
            }
            Heard::Images => (!draws, "costmap_image", "sensor_msgs/msg/Image", Delivery::BestEffort, true),
            Heard::Scans => (draws || logs, "scan", "sensor_msgs/msg/LaserScan", Delivery::BestEffort, draws),
            Heard::Odometry => {
                let is_needed = draws || !settings.assume_stationary;
                (true, "odometry", "nav_msgs/msg/Odometry", Delivery::BestEffort, is_needed)
            }
            Heard::Plan => (draws, settings.plan_topic.as_str(), "nav_msgs/msg/Path", Delivery::Reliable, false),
            Heard::GoalStatus => {
                let name = settings.goal_status_topic.as_str();
                (true, name, "action_msgs/msg/GoalStatusArray", Delivery::Latched, false)
            }
            Heard::Goal => {
                (logs, settings.goal_topic.as_str(), "geometry_msgs/msg/PoseStamped", Delivery::Reliable, false)
            }
            Heard::Collision => {
                (logs, settings.collision_topic.as_str(), "std_msgs/msg/Bool", Delivery::Reliable, false)
            }
        };
        (listens && !name.is_empty()).then(|| HeardTopic {
            purpose: self,
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            delivery,
            is_needed,
        })
    }

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Heard::Images => "images",
            Heard::Scans => "scans",
            Heard::Odometry => "odometry",
            Heard::Plan => "plan",
            Heard::GoalStatus => "goal status",
            Heard::Goal => "goal",
            Heard::Collision => "collisions",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn heard(settings: &Settings) -> Vec<&'static str> {
        Heard::ALL.into_iter().filter(|heard| heard.topic(settings).is_some()).map(Heard::as_str).collect()
    }

    #[test]
    fn nothing_is_subscribed_to_that_nobody_needs() {
        let mut settings = Settings::default();
        assert_eq!(heard(&settings), ["images", "odometry", "goal status"]);
        settings.log_folder = "logs".into();
        assert_eq!(heard(&settings), ["images", "scans", "odometry", "goal status", "goal"]);
        assert!(!Heard::Scans.topic(&settings).unwrap().is_needed);
        settings.image_source = "render".into();
        settings.goal_status_topic.clear();
        assert_eq!(heard(&settings), ["scans", "odometry", "plan", "goal"]);
        assert!(Heard::Scans.topic(&settings).unwrap().is_needed);
    }
}
