//! Where a topic of a costmap's parameters ends up.
//!
//! A costmap is a node in a namespace of its own (`/robot/local_costmap/local_costmap`), and a relative topic of one of its
//! layers is looked for below that namespace: `sensors/lidar2d_0/scan` becomes `/robot/local_costmap/sensors/lidar2d_0/scan`,
//! where no robot publishes. Nothing warns of it, the map stays empty, and the robot drives blind.

/// A topic's full name by ROS's rules, without remapping; `node` is the full name of the node that it belongs to.
pub fn resolved_topic(topic: &str, node: &str) -> String {
    let namespace = node.rsplit_once('/').map_or("", |(namespace, _)| namespace);
    match topic.strip_prefix("~/") {
        Some(private) => format!("{node}/{private}"),
        None if topic.starts_with('/') => topic.to_owned(),
        None => format!("{namespace}/{topic}"),
    }
}

/// Where the observations of a costmap may come from: Nav2 up to Jazzy goes by ROS's rules, later releases look for
/// relative topics beside the costmap's namespace.
pub fn observation_topics(topic: &str, costmap: &str) -> Vec<String> {
    let by_the_rules = resolved_topic(topic, costmap);
    let namespace = costmap.rsplit_once('/').map_or("", |(namespace, _)| namespace);
    let beside = resolved_topic(topic, namespace);
    if beside == by_the_rules || topic.starts_with('~') { vec![by_the_rules] } else { vec![by_the_rules, beside] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_topics_of_a_costmap_lie_below_its_own_namespace() {
        let resolved = |topic| resolved_topic(topic, "/robot/local_costmap/local_costmap");
        assert_eq!(resolved("scan"), "/robot/local_costmap/scan");
        assert_eq!(resolved("/scan"), "/scan");
        assert_eq!(resolved("~/scan"), "/robot/local_costmap/local_costmap/scan");
        assert_eq!(resolved_topic("scan", "/controller_server"), "/scan");
        let both = ["/robot/local_costmap/scan", "/robot/scan"];
        assert_eq!(observation_topics("scan", "/robot/local_costmap/local_costmap"), both);
        assert_eq!(observation_topics("/scan", "/local_costmap/local_costmap"), ["/scan"]);
    }
}
