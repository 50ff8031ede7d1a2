//! Whose topics are whose, in a recording of several robots.
//!
//! A namespace is a robot's when it has transforms of its own (`<namespace>/tf`), or odometry and something else that is
//! read. A topic belongs to the robot of the innermost such namespace. Topics of two robots are never mixed: where one is
//! chosen, those of other robots are not considered.

use std::path::Path;

use super::RecordingError;
use super::topic::{Topic, TopicKind, TopicQuery};

/// The topics of a recording, and the robot that is followed once one of its topics is known.
pub(super) struct Robots<'t> {
    topics: &'t [Topic],
    /// Of robots, innermost first; the root is the empty one.
    namespaces: Vec<String>,
    /// The namespace of the robot that is followed, and the topic it was told by.
    followed: Option<(String, String)>,
}

/// Which topics tell of transforms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TransformTopics {
    pub(crate) moving: Vec<Topic>,
    pub(crate) fixed: Vec<Topic>,
}

impl<'t> Robots<'t> {
    pub(super) fn among(topics: &'t [Topic]) -> Self {
        let read: Vec<(&str, TopicKind)> =
            topics.iter().filter_map(|topic| Some((topic.name.as_str(), topic.kind()?))).collect();
        let mut namespaces: Vec<String> =
            read.iter().flat_map(|(name, _)| ancestors(name)).map(str::to_owned).collect();
        namespaces.sort_by_key(|namespace| std::cmp::Reverse(namespace.len()));
        namespaces.dedup();
        let mut robots: Vec<String> = Vec::new();
        for namespace in namespaces {
            // What belongs to a robot within this namespace does not make this a robot, too.
            let of_inner = |name: &str| robots.iter().any(|robot| is_within(name, robot));
            let own: Vec<_> = read.iter().filter(|(name, _)| is_within(name, &namespace) && !of_inner(name)).collect();
            let has_transforms = own.iter().any(|(name, kind)| {
                *kind == TopicKind::Transforms && name.rsplit_once('/').is_some_and(|(folder, _)| folder == namespace)
            });
            let has_odometry = own.iter().any(|(_, kind)| *kind == TopicKind::Odometry);
            let has_others = own.iter().any(|(_, kind)| *kind != TopicKind::Odometry);
            if has_transforms || has_odometry && has_others {
                robots.push(namespace);
            }
        }
        Self { topics, namespaces: robots, followed: None }
    }

    /// The robot that a topic belongs to, by its namespace; `None` for one that is nobody's in particular.
    fn robot_of(&self, topic: &str) -> Option<&str> {
        self.namespaces.iter().find(|robot| is_within(topic, robot)).map(String::as_str)
    }

    /// Follows the robot of this topic from now on, unless one is followed already.
    pub(super) fn follow(&mut self, path: &Path, topic: &str) {
        let Some(robot) = self.robot_of(topic).map(str::to_owned) else { return };
        match &self.followed {
            None => self.followed = Some((robot, topic.to_owned())),
            Some((followed, by)) if *followed != robot => {
                log::warn!(
                    "{}: {topic} was chosen, but belongs to another robot than {by}; choose topics of one namespace",
                    path.display()
                );
            }
            Some(_) => {}
        }
    }

    /// Whether a topic may be taken without being asked for.
    pub(super) fn is_of_followed(&self, topic: &str) -> bool {
        match (&self.followed, self.robot_of(topic)) {
            (Some((followed, _)), Some(robot)) => followed == robot,
            _ => true,
        }
    }

    /// The topics that may be taken without being asked for.
    fn own(&self) -> Vec<Topic> {
        self.topics.iter().filter(|topic| self.is_of_followed(&topic.name)).cloned().collect()
    }

    /// The chosen topic, or else the only one that the followed robot has.
    pub(super) fn select(&mut self, path: &Path, query: &TopicQuery<'_>) -> Result<Topic, RecordingError> {
        let own = self.own();
        let topics = if query.is_chosen() { self.topics } else { own.as_slice() };
        let selected = query.select(path, topics)?.clone();
        self.follow(path, &selected.name);
        Ok(selected)
    }

    /// As [`Self::select`], for what may be absent.
    pub(super) fn select_if_any(
        &mut self,
        path: &Path,
        query: &TopicQuery<'_>,
        usual: &str,
    ) -> Result<Option<Topic>, RecordingError> {
        let own = self.own();
        let topics = if query.is_chosen() { self.topics } else { own.as_slice() };
        let selected = query.select_if_any(path, topics, usual)?.cloned();
        if let Some(selected) = &selected {
            self.follow(path, &selected.name);
        }
        Ok(selected)
    }

    /// The transforms of the robot whose topics these are: of `tf` and `tf_static` each the one that is nearest to one of
    /// them on its way to the root, as a node in that namespace would hear it. Without such a one, the only one there is.
    pub(super) fn transforms(
        &self,
        path: &Path,
        chosen: (Option<&str>, Option<&str>),
        used: &[&str],
    ) -> Result<TransformTopics, RecordingError> {
        let moving = self.transform_topic(path, TopicQuery::transforms(chosen.0, false), "tf", used)?;
        let fixed = self.transform_topic(path, TopicQuery::transforms(chosen.1, true), "tf_static", used)?;
        Ok(TransformTopics { moving: moving.into_iter().collect(), fixed: fixed.into_iter().collect() })
    }

    fn transform_topic(
        &self,
        path: &Path,
        query: TopicQuery<'_>,
        usual: &str,
        used: &[&str],
    ) -> Result<Option<Topic>, RecordingError> {
        if query.is_chosen() {
            return query.select(path, self.topics).cloned().map(Some);
        }
        let is_static = usual.ends_with("static");
        let told: Vec<&Topic> = self
            .topics
            .iter()
            .filter(|topic| topic.kind() == Some(TopicKind::Transforms) && topic.name.ends_with("static") == is_static)
            .collect();
        let on_the_way = |topic: &str| {
            ancestors(topic).find_map(|folder| told.iter().find(|told| told.name == format!("{folder}/{usual}")))
        };
        // One in a namespace is nearer than that of the root, whichever topic leads there.
        let found = used.iter().filter_map(|topic| on_the_way(topic)).max_by_key(|topic| topic.name.len());
        let at_root = || told.iter().find(|topic| topic.name == format!("/{usual}"));
        match (found.or_else(at_root), told.as_slice()) {
            (Some(topic), _) => Ok(Some((*topic).clone())),
            (None, []) => Ok(None),
            (None, [only]) if self.is_of_followed(&only.name) => Ok(Some((*only).clone())),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|topic| topic.name.as_str()).collect();
                let option = if is_static { "--tf-static-topic" } else { "--tf-topic" };
                log::warn!(
                    "{}: none of the transform topics ({}) is in the namespace of {}; they are not used, choose one with \
                     {option}",
                    path.display(),
                    names.join(", "),
                    used.join(", ")
                );
                Ok(None)
            }
        }
    }
}

/// The namespaces that a topic is in, innermost first, without the root.
fn ancestors(topic: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(topic), |folder| parent(folder)).filter(|folder| !folder.is_empty())
}

fn parent(name: &str) -> Option<&str> {
    name.rsplit_once('/').map(|(folder, _)| folder)
}

fn is_within(topic: &str, namespace: &str) -> bool {
    topic.strip_prefix(namespace).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::message::ODOMETRY;
    use super::super::scene_message::{LASER_SCAN, PATH, TRANSFORMS};
    use super::*;

    fn topics(list: &[(&str, &str)]) -> Vec<Topic> {
        let topic = |&(name, type_name): &(&str, &str)| Topic {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            encoding: "cdr".to_owned(),
        };
        list.iter().map(topic).collect()
    }

    fn transforms(list: &[(&str, &str)], used: &[&str]) -> (Vec<String>, Vec<String>) {
        let topics = topics(list);
        let mut robots = Robots::among(&topics);
        used.iter().for_each(|used| robots.follow(Path::new("bag"), used));
        let found = robots.transforms(Path::new("bag"), (None, None), used).unwrap();
        let names = |topics: Vec<Topic>| topics.into_iter().map(|topic| topic.name).collect();
        (names(found.moving), names(found.fixed))
    }

    const TWO_ROBOTS: [(&str, &str); 8] = [
        ("/r1/tf", TRANSFORMS),
        ("/r2/tf", TRANSFORMS),
        ("/tf_static", TRANSFORMS),
        ("/r1/platform/odom", ODOMETRY),
        ("/r2/platform/odom", ODOMETRY),
        ("/r1/sensors/scan", LASER_SCAN),
        ("/r2/sensors/scan", LASER_SCAN),
        ("/r2/plan", PATH),
    ];

    #[test]
    fn transforms_are_the_robots_own() {
        let own = transforms(&TWO_ROBOTS, &["/r1/platform/odom"]);
        assert_eq!(own, (vec!["/r1/tf".to_owned()], vec!["/tf_static".to_owned()]));
        // Of the robot without a namespace, beside one with it.
        let root = [("/tf", TRANSFORMS), ("/r2/tf", TRANSFORMS), ("/odom", ODOMETRY)];
        assert_eq!(transforms(&root, &["/odom"]).0, ["/tf"]);
        assert_eq!(transforms(&root, &["/r2/odom"]).0, ["/r2/tf"]);
        assert_eq!(
            transforms(&[("/r2/tf", TRANSFORMS), ("/odom", ODOMETRY)], &["/odom"]).0,
            ["/r2/tf"],
            "the only one"
        );
        assert!(transforms(&TWO_ROBOTS, &["/odom"]).0.is_empty(), "in doubt, none");
    }

    #[test]
    fn topics_of_another_robot_are_not_taken_unasked() {
        let topics = topics(&TWO_ROBOTS);
        let path = Path::new("bag");
        let mut robots = Robots::among(&topics);
        assert_eq!(
            robots.select(path, &TopicQuery::odometry(Some("/r1/platform/odom"))).unwrap().name,
            "/r1/platform/odom"
        );
        assert_eq!(robots.select(path, &TopicQuery::scan(None)).unwrap().name, "/r1/sensors/scan");
        assert_eq!(
            robots.select_if_any(path, &TopicQuery::plan(None), "plan").unwrap(),
            None,
            "that of r2 is not ours"
        );
        assert_eq!(robots.select(path, &TopicQuery::plan(Some("/r2/plan"))).unwrap().name, "/r2/plan", "asked for");
    }

    #[test]
    fn namespaces_of_sensors_are_no_robots() {
        let topics = topics(&[
            ("/platform/odom", ODOMETRY),
            ("/front/scan", LASER_SCAN),
            ("/planner_server/plan", PATH),
            ("/tf", TRANSFORMS),
        ]);
        let path = Path::new("bag");
        let mut robots = Robots::among(&topics);
        robots.select(path, &TopicQuery::odometry(None)).unwrap();
        robots.select(path, &TopicQuery::scan(None)).unwrap();
        assert!(robots.select_if_any(path, &TopicQuery::plan(None), "plan").unwrap().is_some());
    }
}
