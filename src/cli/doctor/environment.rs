//! The ROS environment, as its variables say.

use std::path::Path;

use super::finding::Finding;

/// The distributions that r2r knows.
const KNOWN: [&str; 7] = ["foxy", "galactic", "humble", "iron", "jazzy", "lyrical", "rolling"];
/// Domains beyond it use ports that Linux gives to others, too.
const LAST_SAFE_DOMAIN: u32 = 101;
const LAST_DOMAIN: u32 = 232;

/// Looks at the variables that decide whom the node will talk to; `get` reads one.
pub(super) fn check(get: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let get = |name: &str| get(name).filter(|value| !value.is_empty());
    let prefixes = get("AMENT_PREFIX_PATH").unwrap_or_default();
    let prefixes: Vec<&Path> = prefixes.split(':').filter(|prefix| !prefix.is_empty()).map(Path::new).collect();
    vec![
        distribution(get("ROS_DISTRO")),
        installation(&prefixes),
        middleware(get("RMW_IMPLEMENTATION"), &prefixes),
        domain(get("ROS_DOMAIN_ID")),
        profile(get("FASTRTPS_DEFAULT_PROFILES_FILE").or_else(|| get("FASTDDS_DEFAULT_PROFILES_FILE"))),
    ]
}

fn distribution(found: Option<String>) -> Finding {
    const CHECK: &str = "ROS_DISTRO";
    let source = "source /opt/ros/jazzy/setup.bash; without ROS, infer, replay and render work all the same";
    match found {
        Some(name) if KNOWN.contains(&name.as_str()) => Finding::ok(CHECK, name),
        Some(name) => Finding::error(CHECK, format!("'{name}' is not known"), format!("expected {}", KNOWN.join(", "))),
        None => Finding::warn(CHECK, "not set: no ROS environment is sourced, the node will not start", source),
    }
}

fn installation(prefixes: &[&Path]) -> Finding {
    const CHECK: &str = "AMENT_PREFIX_PATH";
    let missing: Vec<String> =
        prefixes.iter().filter(|prefix| !prefix.is_dir()).map(|prefix| prefix.display().to_string()).collect();
    if prefixes.is_empty() {
        return Finding::warn(CHECK, "not set: no ROS environment is sourced", "source /opt/ros/jazzy/setup.bash");
    }
    if !missing.is_empty() {
        let remedy = "start from a new shell and source ROS and the workspace again";
        return Finding::error(CHECK, format!("does not exist: {}", missing.join(", ")), remedy);
    }
    let has_tf = prefixes.iter().any(|prefix| prefix.join("share/tf2_msgs").is_dir());
    if !has_tf {
        let remedy = "install tf2_msgs and build again, or set assume_same_frame; only image_source render needs it";
        return Finding::warn(CHECK, "no tf2_msgs: a plan in another frame than odometry cannot be drawn", remedy);
    }
    Finding::ok(CHECK, format!("{} prefixes, tf2_msgs is there", prefixes.len()))
}

fn middleware(found: Option<String>, prefixes: &[&Path]) -> Finding {
    const CHECK: &str = "RMW_IMPLEMENTATION";
    let Some(name) = found else { return Finding::ok(CHECK, "not set: the distribution's default, Fast DDS on Jazzy") };
    let library = format!("lib/lib{name}.so");
    if !prefixes.is_empty() && !prefixes.iter().any(|prefix| prefix.join(&library).exists()) {
        let package = name.replace('_', "-");
        let remedy = format!("install ros-$ROS_DISTRO-{package}, or unset RMW_IMPLEMENTATION");
        return Finding::error(CHECK, format!("'{name}', but no prefix has {library}"), remedy);
    }
    Finding::ok(CHECK, name)
}

fn domain(found: Option<String>) -> Finding {
    const CHECK: &str = "ROS_DOMAIN_ID";
    let Some(text) = found else { return Finding::ok(CHECK, "not set: domain 0") };
    match text.trim().parse::<u32>() {
        Ok(id) if id <= LAST_SAFE_DOMAIN => Finding::ok(CHECK, format!("domain {id}")),
        Ok(id) if id <= LAST_DOMAIN => {
            let remedy = format!("use 0 to {LAST_SAFE_DOMAIN}, the same as on the robot");
            Finding::warn(CHECK, format!("domain {id} shares its ports with other programs"), remedy)
        }
        _ => Finding::error(
            CHECK,
            format!("'{text}' is no domain"),
            format!("expected 0 to {LAST_SAFE_DOMAIN}, the same as on the robot"),
        ),
    }
}

fn profile(found: Option<String>) -> Finding {
    const CHECK: &str = "Fast DDS profile";
    match found {
        None => Finding::ok(CHECK, "not set; tuner.launch.py sets it, raw images need it on both sides"),
        Some(file) if Path::new(&file).is_file() => Finding::ok(CHECK, file),
        Some(file) => {
            let remedy = "correct FASTRTPS_DEFAULT_PROFILES_FILE; config/fastdds_images.xml is the one for raw images";
            Finding::error(CHECK, format!("{file} does not exist"), remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::finding::Verdict;
    use super::*;

    fn verdict(check_name: &str, variables: &[(&str, &str)]) -> (Verdict, String) {
        let get = |name: &str| Some(variables.iter().find(|(known, _)| *known == name)?.1.to_owned());
        let finding = check(get).into_iter().find(|finding| finding.check == check_name).unwrap();
        assert_eq!(finding.remedy.is_none(), finding.verdict == Verdict::Ok);
        (finding.verdict, finding.found)
    }

    #[test]
    fn without_ros_nothing_is_an_error() {
        let findings = check(|_| None);
        assert!(findings.iter().all(|finding| finding.verdict < Verdict::Error));
        assert_eq!(verdict("ROS_DISTRO", &[]).0, Verdict::Warn);
    }

    #[test]
    fn what_is_set_wrong_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().to_str().unwrap();
        assert_eq!(verdict("ROS_DISTRO", &[("ROS_DISTRO", "jazzy")]).0, Verdict::Ok);
        assert_eq!(verdict("ROS_DISTRO", &[("ROS_DISTRO", "noetic")]).0, Verdict::Error);
        for (id, expected) in
            [("7", Verdict::Ok), ("150", Verdict::Warn), ("233", Verdict::Error), ("x", Verdict::Error)]
        {
            assert_eq!(verdict("ROS_DOMAIN_ID", &[("ROS_DOMAIN_ID", id)]).0, expected, "{id}");
        }
        let gone = verdict("AMENT_PREFIX_PATH", &[("AMENT_PREFIX_PATH", "/nowhere/ros")]);
        assert_eq!(gone, (Verdict::Error, "does not exist: /nowhere/ros".into()));
        assert_eq!(verdict("AMENT_PREFIX_PATH", &[("AMENT_PREFIX_PATH", prefix)]).0, Verdict::Warn);
        std::fs::create_dir_all(folder.path().join("share/tf2_msgs")).unwrap();
        assert_eq!(verdict("AMENT_PREFIX_PATH", &[("AMENT_PREFIX_PATH", prefix)]).0, Verdict::Ok);
        let cyclone = [("AMENT_PREFIX_PATH", prefix), ("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")];
        assert_eq!(verdict("RMW_IMPLEMENTATION", &cyclone).0, Verdict::Error);
        assert_eq!(
            verdict("Fast DDS profile", &[("FASTRTPS_DEFAULT_PROFILES_FILE", "/nowhere.xml")]).0,
            Verdict::Error
        );
    }
}
