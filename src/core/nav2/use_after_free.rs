//! Nav2 frees what DWB's control loop may be reading whenever a parameter of its server is set
//! (<https://github.com/ros-navigation/navigation2/issues/5706>).

use super::Mapping;

/// Distributions whose released Nav2 has the first mend (navigation2#5720): the window is narrower there.
const NARROWED: [&str; 2] = ["lyrical", "rolling"];

/// What the operator must know of a mapping that sets parameters beside DWB's control loop; `distribution` is `ROS_DISTRO`,
/// the only version that can be asked for. `None` where nothing is set there: another planner, or a bank.
pub fn use_after_free(mapping: &Mapping, distribution: Option<&str>) -> Option<String> {
    let is_beside_dwb = mapping.planner().name() == "DWA"
        && mapping.targets().iter().any(|target| target.node().base() == "controller_server");
    if !is_beside_dwb || distribution.is_some_and(|name| NARROWED.contains(&name)) {
        return None;
    }
    let version = distribution.map_or_else(|| "a Nav2 of unknown version".to_owned(), |name| format!("Nav2 of {name}"));
    Some(format!(
        "each set may crash {version}: it frees what DWB's control loop may be reading (navigation2#5706); a bank of \
         controllers sets nothing there (planner_tuner bank)"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::planner::PlannerSpec;

    #[test]
    fn it_is_told_where_parameters_are_set_beside_dwb() {
        let mapping =
            |name: &str, planner: &str| Mapping::named(name, &PlannerSpec::builtin(planner).unwrap()).unwrap();
        let told = use_after_free(&mapping("nav2_dwb", "dwa"), Some("jazzy")).unwrap();
        assert!(told.contains("Nav2 of jazzy") && told.contains("navigation2#5706"), "{told}");
        assert!(use_after_free(&mapping("nav2_dwb", "dwa"), None).is_some());
        assert_eq!(use_after_free(&mapping("nav2_dwb", "dwa"), Some("rolling")), None);
        assert_eq!(use_after_free(&mapping("nav2_mppi", "mppi"), Some("jazzy")), None);
        assert_eq!(use_after_free(&mapping("shadow", "dwa"), Some("jazzy")), None);
    }
}
