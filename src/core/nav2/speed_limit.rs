//! Speed limits of the place (`nav2_msgs/SpeedLimit`): a set of ours must not lift one.
//!
//! Nav2's controllers take each set of their maximum for a new maximum, and forget the percentage that was in force.

use super::InvalidMapping;
use super::mapping::known_parameter;
use super::mapping_file::SpeedLimitEntry;
use crate::planner::PlannerSpec;

/// A speed limit that is in force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SpeedLimit {
    /// Of the robot's maximum, %.
    Percent(f64),
    /// m/s.
    Absolute(f64),
}

impl SpeedLimit {
    /// From `nav2_msgs/SpeedLimit`: zero lifts the limit. `None` for that, and for what is no limit at all: a negative or
    /// infinite one, 100 % and more.
    pub fn from_message(is_percentage: bool, limit: f64) -> Option<Self> {
        match is_percentage {
            _ if !limit.is_finite() || limit <= 0.0 => None,
            true if limit >= 100.0 => None,
            true => Some(Self::Percent(limit)),
            false => Some(Self::Absolute(limit)),
        }
    }
}

/// Where limits come from, and which parameter they cap.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeedLimitRule {
    topic: String,
    parameter: String,
    robot_max: f64,
}

impl SpeedLimitRule {
    /// The topic of the limits.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The planner parameter that is capped.
    pub fn parameter(&self) -> &str {
        &self.parameter
    }

    /// The fastest that the limit allows, m/s. Percentages count against the robot's maximum, not against what was set
    /// last: the same sign on the wall means the same speed, whatever the policy wants.
    pub fn cap(&self, limit: SpeedLimit) -> f64 {
        match limit {
            SpeedLimit::Percent(percent) => self.robot_max * percent / 100.0,
            SpeedLimit::Absolute(speed) => speed.min(self.robot_max),
        }
    }

    pub(super) fn checked(entry: &SpeedLimitEntry, planner: &PlannerSpec) -> Result<Self, InvalidMapping> {
        let wrong = |field, found: String, expected| {
            Err(InvalidMapping::Field { parameter: "speed_limit".to_owned(), field, found, expected })
        };
        known_parameter("speed_limit", &entry.parameter, planner)?;
        if entry.topic.is_empty() {
            return wrong("topic", "empty".to_owned(), "a topic such as speed_limit");
        }
        if !(0.0..=100.0).contains(&entry.robot_max) || entry.robot_max == 0.0 {
            return wrong("robot_max", entry.robot_max.to_string(), "the robot's maximum, above 0 and up to 100 m/s");
        }
        let SpeedLimitEntry { topic, parameter, robot_max } = entry;
        Ok(Self { topic: topic.clone(), parameter: parameter.clone(), robot_max: *robot_max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_limit_or_none() {
        assert_eq!(SpeedLimit::from_message(true, 50.0), Some(SpeedLimit::Percent(50.0)));
        assert_eq!(SpeedLimit::from_message(false, 0.4), Some(SpeedLimit::Absolute(0.4)));
        for (is_percentage, limit) in [(true, 0.0), (false, 0.0), (true, 100.0), (true, -3.0), (false, f64::NAN)] {
            assert_eq!(SpeedLimit::from_message(is_percentage, limit), None, "{is_percentage} {limit}");
        }
    }

    #[test]
    fn percentages_count_against_the_robots_maximum() {
        let rule = SpeedLimitRule { topic: "speed_limit".into(), parameter: "max_vel_x".into(), robot_max: 2.0 };
        assert!((rule.cap(SpeedLimit::Percent(45.0)) - 0.9).abs() < 1e-12);
        assert!((rule.cap(SpeedLimit::Absolute(0.4)) - 0.4).abs() < 1e-12);
        assert!((rule.cap(SpeedLimit::Absolute(7.0)) - 2.0).abs() < 1e-12);
    }
}
