//! What a node finds in the ROS graph before it starts, and what of it would not work.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Delivery, Expected, Measured, SubscribedTopic, Subscription};
use crate::nav2::RosType;

/// The graph as a node with certain settings sees it: `planner_tuner_node --survey` prints it as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphReport {
    /// The node's final name.
    pub node: String,
    /// How long discovery was given, s.
    pub listened_s: f64,
    /// What the node would listen to.
    pub topics: Vec<TopicReport>,
    /// The nodes whose parameters it would set.
    pub planner: Vec<PlannerReport>,
    /// Tuners that have claimed the planner.
    pub tuners: Vec<String>,
    /// Other nodes that publish anything.
    pub others: Vec<String>,
    /// Everything that others publish.
    pub published: Vec<PublishedTopic>,
    /// The node would take its time from /clock.
    pub use_sim_time: bool,
    /// Who publishes /clock.
    pub clocks: Vec<String>,
    /// Who publishes transforms, where images are drawn with them.
    pub transforms: Option<Vec<String>>,
    /// The costmaps that the robot would drive by.
    pub costmaps: CostmapsReport,
    /// What is expected of images.
    pub expected: Expected,
}

/// A topic that somebody publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedTopic {
    /// The final name.
    pub topic: String,
    /// Its type.
    pub type_name: String,
}

/// A topic that the node would listen to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopicReport {
    /// The final name.
    pub topic: String,
    /// What is asked of its publishers.
    pub asked: SubscribedTopic,
    /// Who publishes there.
    pub publishers: Vec<Publisher>,
    /// What came, where it was listened to.
    pub measured: Option<Measured>,
}

/// Topics that are offered in place of one, at most.
const OFFERED: usize = 3;

/// Whether the costmaps see anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CostmapsReport {
    /// Why one is blind.
    pub blind: Option<String>,
    /// Each costmap's node, and what is known of it.
    pub known: Vec<(String, String)>,
}

impl GraphReport {
    /// ROS arguments with which the node would hear what others publish, ready to be pasted.
    pub fn remaps(&self, missing: &TopicReport) -> Vec<String> {
        const IMAGES: [(&str, &str, &str); 3] = [
            ("sensor_msgs/msg/Image", "costmap_image", "-p image_transport:=raw "),
            ("sensor_msgs/msg/CompressedImage", "costmap_image/compressed", "-p image_transport:=compressed "),
            ("sensor_msgs/msg/LaserScan", "scan", "-p image_source:=render "),
        ];
        let offers = |type_name: &str, name: &str, with: &str| -> Vec<String> {
            let fits = |topic: &&PublishedTopic| topic.type_name == type_name && topic.topic != missing.topic;
            // What the node publishes itself is no picture to decide on.
            let own = |topic: &&PublishedTopic| !topic.topic.starts_with(&format!("{}/", self.node));
            let found = self.published.iter().filter(fits).filter(own).take(OFFERED);
            found.map(|found| format!("{with}-r {name}:={}", found.topic)).collect()
        };
        let asked = &missing.asked;
        let same = offers(&asked.type_name, &asked.name, "");
        if !same.is_empty() || asked.purpose != Subscription::Images {
            return same;
        }
        // In another form: compressed for raw, or what images are drawn from.
        let others = IMAGES.into_iter().filter(|(type_name, _, _)| *type_name != asked.type_name);
        others
            .map(|(type_name, name, with)| offers(type_name, name, with))
            .find(|found| !found.is_empty())
            .unwrap_or_default()
    }
}

/// A publisher, and what it offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publisher {
    /// The node's final name.
    pub node: String,
    /// The type of its messages.
    pub type_name: String,
    /// It delivers reliably.
    pub is_reliable: bool,
    /// It gives its last message to those who come later (transient local).
    pub is_transient_local: bool,
}

/// Why nothing would be heard on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicProblem {
    /// There is no publisher.
    Nobody,
    /// A publisher of another type.
    Type {
        /// The publisher's node.
        node: String,
        /// The type it has.
        found: String,
        /// The type that is asked for.
        expected: String,
    },
    /// A publisher that is not reliable.
    NotReliable {
        /// The publisher's node.
        node: String,
    },
    /// A publisher that keeps nothing for those who come later.
    NotTransientLocal {
        /// The publisher's node.
        node: String,
    },
}

impl TopicReport {
    /// What keeps the node from hearing a publisher; nothing when all is well.
    pub fn problems(&self) -> Vec<TopicProblem> {
        if self.publishers.is_empty() {
            return vec![TopicProblem::Nobody];
        }
        let asked = &self.asked;
        let problem = |publisher: &Publisher| {
            let node = publisher.node.clone();
            if publisher.type_name != asked.type_name {
                return Some(TopicProblem::Type {
                    node,
                    found: publisher.type_name.clone(),
                    expected: asked.type_name.clone(),
                });
            }
            match asked.delivery {
                Delivery::Reliable | Delivery::Latched if !publisher.is_reliable => {
                    Some(TopicProblem::NotReliable { node })
                }
                Delivery::Latched if !publisher.is_transient_local => Some(TopicProblem::NotTransientLocal { node }),
                _ => None,
            }
        };
        self.publishers.iter().filter_map(problem).collect()
    }
}

impl fmt::Display for TopicProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicProblem::Nobody => f.write_str("nobody publishes it"),
            TopicProblem::Type { node, found, expected } => {
                write!(f, "{node} publishes {found}, expected {expected}")
            }
            TopicProblem::NotReliable { node } => {
                write!(f, "{node} publishes best effort, and reliable delivery is asked for: nothing is ever heard")
            }
            TopicProblem::NotTransientLocal { node } => {
                write!(f, "{node} publishes volatile, and transient local is asked for: nothing is ever heard")
            }
        }
    }
}

/// A node whose parameters would be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannerReport {
    /// The node's final name.
    pub node: String,
    /// Its parameter services are there.
    pub is_there: bool,
    /// What would be set.
    pub parameters: Vec<PlannerParameterReport>,
}

/// A ROS parameter that would be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannerParameterReport {
    /// The planner parameter.
    pub parameter: String,
    /// The ROS parameter.
    pub ros_parameter: String,
    /// The type that would be set.
    pub expected: RosType,
    /// Whether the node uses a new value while it runs, as the mapping says.
    pub is_live: bool,
    /// What the node has.
    pub found: FoundParameter,
}

/// What a node answered when it was asked for a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundParameter {
    /// Nothing.
    NoAnswer,
    /// It does not know it.
    NotDeclared,
    /// A double.
    Double(f64),
    /// An integer.
    Integer(i64),
    /// Something else.
    OtherType,
}

impl PlannerParameterReport {
    /// Whether a set would be taken; `None` where the node did not answer.
    pub fn is_settable(&self) -> Option<bool> {
        match (&self.found, self.expected) {
            (FoundParameter::NoAnswer, _) => None,
            (FoundParameter::Double(_), RosType::Double) | (FoundParameter::Integer(_), RosType::Integer) => Some(true),
            _ => Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::live::{Settings, Subscription};

    fn problems(subscription: Subscription, publishers: &[(&str, bool, bool)]) -> Vec<String> {
        let publishers = publishers.iter().map(|(type_name, is_reliable, is_transient_local)| Publisher {
            node: "/robot".into(),
            type_name: (*type_name).to_owned(),
            is_reliable: *is_reliable,
            is_transient_local: *is_transient_local,
        });
        let report = TopicReport {
            topic: "/topic".into(),
            asked: subscription.topic(&Settings::default()).unwrap(),
            publishers: publishers.collect(),
            measured: None,
        };
        report.problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_will_never_be_heard_is_told() {
        let (image, status) = ("sensor_msgs/msg/Image", "action_msgs/msg/GoalStatusArray");
        assert_eq!(problems(Subscription::Images, &[]), ["nobody publishes it"]);
        assert!(problems(Subscription::Images, &[(image, false, false), (image, true, true)]).is_empty());
        assert_eq!(
            problems(Subscription::Images, &[(status, true, true)]),
            [format!("/robot publishes {status}, expected {image}")]
        );
        assert!(problems(Subscription::GoalStatus, &[(status, true, true)]).is_empty());
        assert!(problems(Subscription::GoalStatus, &[(status, true, false)])[0].contains("volatile"));
        assert!(problems(Subscription::GoalStatus, &[(status, false, true)])[0].contains("best effort"));
    }

    #[test]
    fn a_parameter_of_another_type_is_not_settable() {
        let report = |found| PlannerParameterReport {
            parameter: "vx_samples".into(),
            ros_parameter: "FollowPath.vx_samples".into(),
            expected: RosType::Integer,
            is_live: false,
            found,
        };
        assert_eq!(report(FoundParameter::Integer(20)).is_settable(), Some(true));
        assert_eq!(report(FoundParameter::Double(20.0)).is_settable(), Some(false));
        assert_eq!(report(FoundParameter::NotDeclared).is_settable(), Some(false));
        assert_eq!(report(FoundParameter::NoAnswer).is_settable(), None);
    }

    #[test]
    fn what_could_be_heard_is_ready_to_be_pasted() {
        let published = |topics: &[(&str, &str)]| {
            let topic = |(topic, kind): &(&str, &str)| PublishedTopic {
                topic: (*topic).to_owned(),
                type_name: format!("sensor_msgs/msg/{kind}"),
            };
            topics.iter().map(topic).collect::<Vec<_>>()
        };
        let settings = Settings::default();
        let missing = TopicReport {
            topic: "/costmap_image".into(),
            asked: Subscription::Images.topic(&settings).unwrap(),
            publishers: Vec::new(),
            measured: None,
        };
        let remaps = |topics: &[(&str, &str)]| {
            let report = GraphReport {
                node: "/planner_tuner".into(),
                listened_s: 5.0,
                topics: Vec::new(),
                planner: Vec::new(),
                tuners: Vec::new(),
                others: Vec::new(),
                published: published(topics),
                use_sim_time: false,
                clocks: Vec::new(),
                transforms: None,
                costmaps: CostmapsReport::default(),
                expected: Expected {
                    image_size: None,
                    decision_rate_hz: 2.0,
                    max_image_age_s: 0.5,
                    future_tolerance_s: 0.2,
                },
            };
            report.remaps(&missing)
        };
        let (scan, jpeg) = (("/front/scan", "LaserScan"), ("/view/compressed", "CompressedImage"));
        assert_eq!(remaps(&[scan]), ["-p image_source:=render -r scan:=/front/scan"]);
        let compressed = "-p image_transport:=compressed -r costmap_image/compressed:=/view/compressed";
        assert_eq!(remaps(&[scan, jpeg]), [compressed]);
        let raw = [("/planner_tuner/attention", "Image"), ("/a", "Image"), ("/b", "Image"), scan, jpeg];
        assert_eq!(remaps(&raw), ["-r costmap_image:=/a", "-r costmap_image:=/b"]);
        assert!(remaps(&[]).is_empty());
    }
}
