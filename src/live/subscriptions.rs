//! The topics that the node subscribes to: one table for the node itself, and for `doctor`, which asks whether they can work.

use serde::{Deserialize, Serialize};

use super::Settings;

/// What a topic is subscribed to for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subscription {
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

/// What is asked of a publisher. Nothing arrives from one that offers less, and nobody is told.
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
pub struct SubscribedTopic {
    /// What for.
    pub purpose: Subscription,
    /// The name before remapping.
    pub name: String,
    /// Its type, such as `sensor_msgs/msg/Image`.
    pub type_name: String,
    /// What is asked of a publisher.
    pub delivery: Delivery,
    /// Without it nothing is decided.
    pub is_needed: bool,
}

impl Subscription {
    /// All of them.
    pub const ALL: [Subscription; 7] = [
        Subscription::Images,
        Subscription::Scans,
        Subscription::Odometry,
        Subscription::Plan,
        Subscription::GoalStatus,
        Subscription::Goal,
        Subscription::Collision,
    ];

    /// The topic with these settings; `None` where nobody listens.
    pub fn topic(self, settings: &Settings) -> Option<SubscribedTopic> {
        let (draws, logs) = (settings.draws_images(), !settings.log_folder.is_empty());
        let compressed = settings.image_transport == "compressed";
        let (listens, name, type_name, delivery, is_needed) = match self {
            Subscription::Images if compressed => {
                let name = "costmap_image/compressed";
                (!draws, name, "sensor_msgs/msg/CompressedImage", Delivery::BestEffort, true)
            }
            Subscription::Images => (!draws, "costmap_image", "sensor_msgs/msg/Image", Delivery::BestEffort, true),
            Subscription::Scans => (draws || logs, "scan", "sensor_msgs/msg/LaserScan", Delivery::BestEffort, draws),
            Subscription::Odometry => {
                let is_needed = draws || !settings.assume_stationary;
                (true, "odometry", "nav_msgs/msg/Odometry", Delivery::BestEffort, is_needed)
            }
            Subscription::Plan => (draws, settings.plan_topic.as_str(), "nav_msgs/msg/Path", Delivery::Reliable, false),
            Subscription::GoalStatus => {
                let name = settings.goal_status_topic.as_str();
                (true, name, "action_msgs/msg/GoalStatusArray", Delivery::Latched, false)
            }
            Subscription::Goal => {
                (logs, settings.goal_topic.as_str(), "geometry_msgs/msg/PoseStamped", Delivery::Reliable, false)
            }
            Subscription::Collision => {
                (logs, settings.collision_topic.as_str(), "std_msgs/msg/Bool", Delivery::Reliable, false)
            }
        };
        (listens && !name.is_empty()).then(|| SubscribedTopic {
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
            Subscription::Images => "images",
            Subscription::Scans => "scans",
            Subscription::Odometry => "odometry",
            Subscription::Plan => "plan",
            Subscription::GoalStatus => "goal status",
            Subscription::Goal => "goal",
            Subscription::Collision => "collisions",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn subscribed(settings: &Settings) -> Vec<&'static str> {
        Subscription::ALL
            .into_iter()
            .filter(|subscription| subscription.topic(settings).is_some())
            .map(Subscription::as_str)
            .collect()
    }

    #[test]
    fn nothing_is_subscribed_to_that_nobody_needs() {
        let mut settings = Settings::default();
        assert_eq!(subscribed(&settings), ["images", "odometry", "goal status"]);
        settings.log_folder = "logs".into();
        assert_eq!(subscribed(&settings), ["images", "scans", "odometry", "goal status", "goal"]);
        assert!(!Subscription::Scans.topic(&settings).unwrap().is_needed);
        settings.image_source = "render".into();
        settings.goal_status_topic.clear();
        assert_eq!(subscribed(&settings), ["scans", "odometry", "plan", "goal"]);
        assert!(Subscription::Scans.topic(&settings).unwrap().is_needed);
    }
}
