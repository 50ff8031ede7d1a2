//! Names as they are after remapping: r2r does not tell them, and the graph is asked by final names.

/// Where a node's relative names end up.
#[derive(Debug, Clone)]
pub struct Names {
    node: String,
    namespace: String,
    remaps: Vec<(String, String)>,
}

impl Names {
    /// `arguments` are those of the process; `namespace` and `node` are the final ones.
    pub fn new(arguments: impl IntoIterator<Item = String>, namespace: &str, node: &str) -> Self {
        let mut names =
            Self { node: node.to_owned(), namespace: namespace.trim_end_matches('/').to_owned(), remaps: Vec::new() };
        let (mut is_ros, mut is_rule) = (false, false);
        for argument in arguments {
            match argument.as_str() {
                "--ros-args" => is_ros = true,
                "--" => is_ros = false,
                "-r" | "--remap" if is_ros => is_rule = true,
                rule if std::mem::take(&mut is_rule) => names.take_rule(rule),
                _ => {}
            }
        }
        names
    }

    fn take_rule(&mut self, rule: &str) {
        let Some((from, to)) = rule.split_once(":=") else { return };
        // A rule may be for one node only: `node:from:=to`.
        let from = match from.split_once(':') {
            Some((node, from)) if node == self.node => from,
            Some(_) => return,
            None => from,
        };
        if !from.starts_with("__") {
            let rule = (self.expand(from), self.expand(to));
            self.remaps.push(rule);
        }
    }

    /// The final name of a topic or service; the first rule that fits counts.
    pub fn resolve(&self, name: &str) -> String {
        let full = self.expand(name);
        self.remaps.iter().find(|(from, _)| *from == full).map_or(full, |(_, to)| to.clone())
    }

    /// Where transforms of this robot may come from, nearest first: the `usual` topic (`tf`, `tf_static`) in each namespace
    /// that one of the `used` topics is in, then `/tf` itself. A remapping of `/tf` decides alone, as everywhere in ROS.
    pub fn transform_topics(&self, usual: &str, used: &[&str]) -> Vec<String> {
        let root = format!("/{usual}");
        if self.remaps.iter().any(|(from, to)| *from == root && *to != root) {
            return vec![root];
        }
        let mut topics: Vec<String> = used
            .iter()
            .flat_map(|topic| {
                let topic = self.resolve(topic);
                let ends = topic.match_indices('/').skip(1);
                ends.filter_map(|(end, _)| topic.get(..end).map(str::to_owned)).collect::<Vec<_>>()
            })
            .map(|namespace| format!("{namespace}/{usual}"))
            .collect();
        topics.sort_by_key(|topic| (std::cmp::Reverse(topic.len()), topic.clone()));
        topics.dedup();
        topics.push(root);
        topics
    }

    fn expand(&self, name: &str) -> String {
        if name.starts_with('/') {
            return name.to_owned();
        }
        match name.strip_prefix("~/") {
            Some(private) => format!("{}/{}/{private}", self.namespace, self.node),
            None => format!("{}/{name}", self.namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str]) -> Names {
        Names::new(arguments.iter().map(|argument| (*argument).to_owned()), "/robot", "planner_tuner")
    }

    #[test]
    fn relative_names_follow_the_namespace_and_rules() {
        let names = names(&[
            "node",
            "--ros-args",
            "-r",
            "__ns:=/robot",
            "-r",
            "costmap_image:=camera/image",
            "--remap",
            "odometry:=/odom",
            "-r",
            "~/parameters:=/params",
            "-r",
            "other_node:costmap_image:=/wrong",
            "-p",
            "rate:=2.0",
        ]);
        assert_eq!(names.resolve("costmap_image"), "/robot/camera/image");
        assert_eq!(names.resolve("odometry"), "/odom");
        assert_eq!(names.resolve("~/parameters"), "/params");
        assert_eq!(names.resolve("~/decision"), "/robot/planner_tuner/decision");
        assert_eq!(names.resolve("/clock"), "/clock");
    }

    #[test]
    fn transforms_come_from_the_robots_own_namespace_unless_they_are_remapped() {
        let topics = |arguments: &[&str]| names(arguments).transform_topics("tf", &["odometry", "scan"]);
        assert_eq!(topics(&["node"]), ["/robot/tf", "/tf"]);
        let remapped = ["node", "--ros-args", "-r", "odometry:=/r1/platform/odom", "-r", "scan:=/scan"];
        assert_eq!(topics(&remapped), ["/r1/platform/tf", "/r1/tf", "/tf"]);
        assert_eq!(topics(&["node", "--ros-args", "-r", "/tf:=tf"]), ["/tf"], "as the launch file and Nav2 do");
        let own = Names::new(["node".to_owned()], "", "planner_tuner");
        assert_eq!(own.transform_topics("tf_static", &["odometry", "scan"]), ["/tf_static"]);
    }

    #[test]
    fn nothing_outside_ros_arguments_is_a_rule() {
        assert_eq!(names(&["node", "-r", "odometry:=/odom"]).resolve("odometry"), "/robot/odometry");
        assert_eq!(
            names(&["node", "--ros-args", "--", "-r", "odometry:=/odom"]).resolve("odometry"),
            "/robot/odometry"
        );
    }
}
