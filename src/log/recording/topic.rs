//! Which topics of a bag hold the images, the velocities, and what images are drawn from.

use std::path::Path;

use super::RecordingError;
use super::drive_message::GOAL_STATUS;
use super::message::{COMPRESSED_IMAGE, IMAGE, ODOMETRY};
use super::scene_message::{LASER_SCAN, PATH, TRANSFORMS};

/// A topic of a recording.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topic {
    /// Its name, such as `/costmap_image`.
    pub name: String,
    /// Its type, such as `sensor_msgs/msg/Image`.
    pub type_name: String,
    /// How its messages are encoded; ROS 2 knows `cdr`.
    pub encoding: String,
}

/// The encoding of ROS 2 messages.
const CDR: &str = "cdr";

/// What a topic can be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TopicKind {
    Image,
    CompressedImage,
    Odometry,
    Scan,
    Plan,
    Transforms,
    GoalStatus,
}

impl Topic {
    /// As it is recorded. Some writers of MCAP files leave the `msg` out of a type's name.
    pub(super) fn recorded(name: String, type_name: String, encoding: String) -> Self {
        let type_name = match type_name.split_once('/') {
            Some((package, message)) if encoding == CDR && !message.contains('/') => format!("{package}/msg/{message}"),
            _ => type_name,
        };
        Self { name, type_name, encoding }
    }

    /// `None` when it is of a type, or in an encoding, that is not read.
    pub(super) fn kind(&self) -> Option<TopicKind> {
        if self.encoding != CDR {
            return None;
        }
        match self.type_name.as_str() {
            IMAGE => Some(TopicKind::Image),
            COMPRESSED_IMAGE => Some(TopicKind::CompressedImage),
            ODOMETRY => Some(TopicKind::Odometry),
            LASER_SCAN => Some(TopicKind::Scan),
            PATH => Some(TopicKind::Plan),
            TRANSFORMS => Some(TopicKind::Transforms),
            GOAL_STATUS => Some(TopicKind::GoalStatus),
            _ => None,
        }
    }
}

/// What is looked for among the topics.
#[derive(Debug, Clone, Copy)]
pub(super) struct TopicQuery<'a> {
    what: &'static str,
    option: &'static str,
    expected: &'static str,
    fits: fn(TopicKind) -> bool,
    chosen: Option<&'a str>,
}

impl<'a> TopicQuery<'a> {
    pub(super) fn image(chosen: Option<&'a str>) -> Self {
        Self {
            what: "image",
            option: "--image-topic",
            expected: "sensor_msgs/msg/Image or sensor_msgs/msg/CompressedImage",
            fits: |kind| matches!(kind, TopicKind::Image | TopicKind::CompressedImage),
            chosen,
        }
    }

    pub(super) fn odometry(chosen: Option<&'a str>) -> Self {
        Self {
            what: "odometry",
            option: "--odometry-topic",
            expected: ODOMETRY,
            fits: |kind| kind == TopicKind::Odometry,
            chosen,
        }
    }

    pub(super) fn scan(chosen: Option<&'a str>) -> Self {
        Self {
            what: "laser scan",
            option: "--scan-topic",
            expected: LASER_SCAN,
            fits: |kind| kind == TopicKind::Scan,
            chosen,
        }
    }

    pub(super) fn plan(chosen: Option<&'a str>) -> Self {
        Self { what: "plan", option: "--plan-topic", expected: PATH, fits: |kind| kind == TopicKind::Plan, chosen }
    }

    pub(super) fn transforms(chosen: Option<&'a str>, are_static: bool) -> Self {
        let (what, option) =
            if are_static { ("static transform", "--tf-static-topic") } else { ("transform", "--tf-topic") };
        Self { what, option, expected: TRANSFORMS, fits: |kind| kind == TopicKind::Transforms, chosen }
    }

    /// Whether a topic was named.
    pub(super) fn is_chosen(&self) -> bool {
        self.chosen.is_some()
    }

    /// As [`Self::select`], for what may be absent. Where several fit and none is chosen, the one that goes by the usual
    /// name is taken.
    pub(super) fn select_if_any<'t>(
        &self,
        path: &Path,
        topics: &'t [Topic],
        usual: &str,
    ) -> Result<Option<&'t Topic>, RecordingError> {
        let mut fitting = topics.iter().filter(|topic| topic.kind().is_some_and(self.fits)).peekable();
        if self.chosen.is_none() && fitting.peek().is_none() {
            return Ok(None);
        }
        let named = |topic: &&Topic| topic.name.rsplit('/').next() == Some(usual);
        let mut usual = fitting.filter(named);
        match (self.chosen, usual.next(), usual.next()) {
            (None, Some(only), None) => Ok(Some(only)),
            _ => self.select(path, topics).map(Some),
        }
    }

    /// What to do where there is something that a scan can be made of.
    fn relative(&self, topics: &[Topic]) -> Option<String> {
        let of = |type_name: &str| topics.iter().find(|topic| topic.type_name == type_name).map(|topic| &topic.name);
        if self.expected != LASER_SCAN {
            return None;
        }
        of("sensor_msgs/msg/MultiEchoLaserScan")
            .map(|name| {
                format!("{name} has several echoes a beam, which is not read; make one scan of it (laser_proc)")
            })
            .or_else(|| {
                let name = of("sensor_msgs/msg/PointCloud2")?;
                Some(format!("{name} is a point cloud, which is not read; make a scan of it (pointcloud_to_laserscan)"))
            })
    }

    /// The chosen topic, or else the only one of a fitting type.
    pub(super) fn select<'t>(&self, path: &Path, topics: &'t [Topic]) -> Result<&'t Topic, RecordingError> {
        let fits = |topic: &&Topic| topic.kind().is_some_and(self.fits);
        let refuse = |problem: String, remedy: String| Err(RecordingError::topic(path, problem, remedy, topics));
        if let Some(chosen) = self.chosen {
            let named: Vec<_> = topics.iter().filter(|topic| topic.name == chosen).collect();
            let mut fitting = named.iter().filter(|topic| fits(topic));
            match (fitting.next(), fitting.next()) {
                (Some(topic), None) => return Ok(topic),
                (Some(_), Some(_)) => return self.refuse_twice(path, topics, chosen),
                (None, _) => {}
            }
            let remedy = format!("choose another with {}", self.option);
            return match named.first() {
                Some(topic) => {
                    let Topic { name, type_name, encoding } = topic;
                    let (expected, what) = (self.expected, self.what);
                    refuse(
                        format!(
                            "{what} topic {name} is of type '{type_name}' in encoding '{encoding}', expected {expected} in cdr"
                        ),
                        remedy,
                    )
                }
                None => refuse(format!("there is no topic {chosen}"), remedy),
            };
        }
        let mut fitting = topics.iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(topic), None) => Ok(topic),
            (None, _) => match other_encoding(topics) {
                Some((problem, remedy)) => refuse(problem, remedy),
                None => {
                    let remedy =
                        self.relative(topics).unwrap_or_else(|| format!("record one, or name it with {}", self.option));
                    refuse(format!("no {} topic (of type {})", self.what, self.expected), remedy)
                }
            },
            (Some(first), Some(second)) if first.name == second.name => self.refuse_twice(path, topics, &first.name),
            (Some(first), Some(second)) => {
                let names: Vec<_> =
                    [first, second].into_iter().chain(fitting).map(|topic| topic.name.as_str()).collect();
                refuse(
                    format!("several {} topics ({})", self.what, names.join(", ")),
                    format!("choose one with {}", self.option),
                )
            }
        }
    }

    /// A name that stands for two topics of types that are read, so that the name chooses neither.
    fn refuse_twice<'t>(&self, path: &Path, topics: &'t [Topic], name: &str) -> Result<&'t Topic, RecordingError> {
        let of_name = topics.iter().filter(|topic| topic.name == name);
        let types: Vec<_> = of_name.map(|topic| format!("{} in {}", topic.type_name, topic.encoding)).collect();
        let problem = format!(
            "{} topic {name} is there {} times, as {}, expected one type",
            self.what,
            types.len(),
            types.join(" and as ")
        );
        Err(RecordingError::topic(path, problem, "record the two under different names", topics))
    }
}

/// What is wrong with a recording of which no topic is in ROS 2's encoding, and what to do.
fn other_encoding(topics: &[Topic]) -> Option<(String, String)> {
    let first = topics.first().filter(|_| topics.iter().all(|topic| topic.encoding != CDR))?;
    let problem = format!(
        "{} and all other topics are in encoding '{}', expected cdr, that of ROS 2",
        first.name, first.encoding
    );
    let remedy = match first.encoding.as_str() {
        "ros1" => {
            "these are ROS 1 messages: convert the .bag file that they come from with `pip install rosbags` and \
             `rosbags-convert --src drive.bag --dst drive/`"
        }
        _ => "record with `ros2 bag record`",
    };
    Some((problem, remedy.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn topics(list: &[(&str, &str)]) -> Vec<Topic> {
        let topic = |&(name, type_name): &(&str, &str)| Topic {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            encoding: "cdr".to_owned(),
        };
        list.iter().map(topic).collect()
    }

    fn select(query: TopicQuery<'_>, list: &[(&str, &str)]) -> Result<String, String> {
        let topics = topics(list);
        query.select(Path::new("bag"), &topics).map(|topic| topic.name.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_only_fitting_topic_is_taken() {
        let list = [("/scan", "sensor_msgs/msg/LaserScan"), ("/image", COMPRESSED_IMAGE), ("/odom", ODOMETRY)];
        assert_eq!(select(TopicQuery::image(None), &list).unwrap(), "/image");
        assert_eq!(select(TopicQuery::odometry(None), &list).unwrap(), "/odom");
    }

    #[test]
    fn a_name_that_stands_for_two_types_is_refused_by_both() {
        let list = [("/image", IMAGE), ("/image", COMPRESSED_IMAGE), ("/odom", ODOMETRY)];
        for chosen in [None, Some("/image")] {
            let refused = select(TopicQuery::image(chosen), &list).unwrap_err();
            assert!(refused.contains("/image is there 2 times") && refused.contains(COMPRESSED_IMAGE), "{refused}");
        }
        let list = [("/image", "std_msgs/msg/String"), ("/image", IMAGE)];
        assert_eq!(select(TopicQuery::image(Some("/image")), &list).unwrap(), "/image");
    }

    #[test]
    fn ros_1_messages_in_a_file_of_ros_2_are_named_with_the_remedy() {
        let ros1 = Topic::recorded("/image".to_owned(), "sensor_msgs/Image".to_owned(), "ros1".to_owned());
        let refused = TopicQuery::image(None).select(Path::new("bag"), &[ros1]).unwrap_err().to_string();
        assert!(refused.contains("'ros1', expected cdr") && refused.contains("rosbags-convert"), "{refused}");
        let short = Topic::recorded("/image".to_owned(), "sensor_msgs/Image".to_owned(), CDR.to_owned());
        assert_eq!(short.type_name, IMAGE);
    }

    #[test]
    fn a_choice_that_is_not_made_or_not_there_is_an_error_that_lists_the_topics() {
        let list = [("/a", IMAGE), ("/b", COMPRESSED_IMAGE), ("/collision", "std_msgs/msg/Bool")];
        let several = select(TopicQuery::image(None), &list).unwrap_err();
        assert!(several.contains("several image topics (/a, /b); choose one with --image-topic"), "{several}");
        assert_eq!(select(TopicQuery::image(Some("/b")), &list).unwrap(), "/b");
        let absent = select(TopicQuery::image(Some("/c")), &list).unwrap_err();
        assert!(
            absent.contains("there is no topic /c") && absent.contains("/collision (std_msgs/msg/Bool)"),
            "{absent}"
        );
        let other = select(TopicQuery::image(Some("/collision")), &list).unwrap_err();
        assert!(other.contains("/collision is of type 'std_msgs/msg/Bool'") && other.contains(IMAGE), "{other}");
        let echoes = select(TopicQuery::scan(None), &[("/echoes", "sensor_msgs/msg/MultiEchoLaserScan")]).unwrap_err();
        assert!(echoes.contains("/echoes has several echoes a beam, which is not read"), "{echoes}");
        let none = select(TopicQuery::odometry(None), &[]).unwrap_err();
        assert!(none.contains("no odometry topic") && none.contains("--odometry-topic"), "{none}");
    }
}
