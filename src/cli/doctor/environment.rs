//! The ROS environment, as its variables say.

use std::path::Path;

use super::finding::Finding;

/// The distributions that r2r knows.
const KNOWN: [&str; 7] = ["foxy", "galactic", "humble", "iron", "jazzy", "lyrical", "rolling"];
/// Domains beyond it use ports that Linux gives to others, too.
const LAST_SAFE_DOMAIN: u32 = 101;
const LAST_DOMAIN: u32 = 232;
/// What `cargo run` and `cargo test` say ROS's prefix is where no ROS is sourced: .ci/with-ros makes it.
const PREFIX_OF_THE_PROJECT: &str = "target/ros";

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
        discovery(&get),
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
    if let [only] = missing.as_slice()
        && Path::new(only).ends_with(PREFIX_OF_THE_PROJECT)
    {
        let found = format!("{only} is not made yet; .cargo/config.toml names it for builds where no ROS is sourced");
        return Finding::warn(CHECK, found, "source /opt/ros/jazzy/setup.bash, or make it: bash .ci/with-ros true");
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

/// How far a node looks for others.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Range {
    Off,
    ThisMachine { because: &'static str },
    Wide(String),
    Unknown(String),
}

const RANGE: &str = "ROS_AUTOMATIC_DISCOVERY_RANGE";
const PEERS: &str = "ROS_STATIC_PEERS";
/// Of the releases before Jazzy; where it is set, it beats the other two.
const LOCALHOST_ONLY: &str = "ROS_LOCALHOST_ONLY";

fn range(get: &impl Fn(&str) -> Option<String>) -> Range {
    if get(LOCALHOST_ONLY).is_some_and(|value| value == "1") {
        return Range::ThisMachine { because: LOCALHOST_ONLY };
    }
    match get(RANGE).as_deref() {
        None => Range::Wide("SUBNET, the default".to_owned()),
        Some("OFF") => Range::Off,
        Some("LOCALHOST") => Range::ThisMachine { because: RANGE },
        Some(wide @ ("SUBNET" | "SYSTEM_DEFAULT")) => Range::Wide(wide.to_owned()),
        Some(other) => Range::Unknown(other.to_owned()),
    }
}

fn discovery(get: &impl Fn(&str) -> Option<String>) -> Finding {
    const CHECK: &str = "discovery";
    let peers = get(PEERS);
    let with_peers = peers.as_ref().map(|peers| format!("; {PEERS}: {peers}")).unwrap_or_default();
    match (range(get), peers) {
        (Range::Off, _) => {
            let found = format!("{RANGE} is OFF: no other node is ever found{with_peers}");
            Finding::error(CHECK, found, format!("unset {RANGE}, or set it to SUBNET or LOCALHOST"))
        }
        (Range::Unknown(other), _) => Finding::error(
            CHECK,
            format!("{RANGE} is '{other}'"),
            "expected SUBNET, LOCALHOST, OFF or SYSTEM_DEFAULT; what is not known counts as LOCALHOST",
        ),
        (Range::ThisMachine { because: LOCALHOST_ONLY }, Some(_)) => Finding::warn(
            CHECK,
            format!("{LOCALHOST_ONLY} is 1: nodes of this machine only{with_peers}, which is ignored then"),
            format!("unset {LOCALHOST_ONLY}, which is obsolete"),
        ),
        (Range::ThisMachine { because: RANGE }, Some(peers)) => {
            Finding::ok(CHECK, format!("nodes of this machine ({RANGE}), and of {peers} ({PEERS})"))
        }
        (Range::ThisMachine { because }, _) => Finding::warn(
            CHECK,
            format!("nodes of this machine only ({because})"),
            format!("for a robot over the network: unset {because}, or name the robot in {PEERS}"),
        ),
        (Range::Wide(range), _) => Finding::ok(CHECK, format!("range {range}{with_peers}")),
    }
}

/// What decides whom a node finds, in a line.
pub(super) fn in_force(get: impl Fn(&str) -> Option<String>) -> String {
    let get = |name: &str| get(name).filter(|value| !value.is_empty());
    let range = match range(&get) {
        Range::Off => "OFF".to_owned(),
        Range::ThisMachine { .. } => "LOCALHOST".to_owned(),
        Range::Wide(range) => range,
        Range::Unknown(other) => format!("'{other}', which is not known"),
    };
    let domain = get("ROS_DOMAIN_ID").unwrap_or_else(|| "0".to_owned());
    let middleware = get("RMW_IMPLEMENTATION").unwrap_or_else(|| "the distribution's default".to_owned());
    let peers = get(PEERS).unwrap_or_else(|| "none".to_owned());
    format!("domain {domain}, discovery range {range}, static peers {peers}, RMW {middleware}")
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
    fn how_far_a_node_looks_is_told() {
        let of = |variables: &[(&str, &str)]| verdict("discovery", variables);
        assert_eq!(of(&[]), (Verdict::Ok, "range SUBNET, the default".into()));
        assert_eq!(of(&[(RANGE, "OFF"), (PEERS, "robot")]).0, Verdict::Error, "peers do not help");
        assert_eq!(of(&[(RANGE, "LOCALHOST")]).0, Verdict::Warn);
        assert_eq!(of(&[(RANGE, "LOCALHOST"), (PEERS, "192.168.131.1")]).0, Verdict::Ok);
        assert_eq!(of(&[(RANGE, "localhost")]).0, Verdict::Error, "it is spelled in capitals");
        assert_eq!(of(&[(LOCALHOST_ONLY, "1")]).0, Verdict::Warn);
        assert_eq!(of(&[(LOCALHOST_ONLY, "0")]).0, Verdict::Ok);
        let ignored = of(&[(LOCALHOST_ONLY, "1"), (PEERS, "robot"), (RANGE, "SUBNET")]);
        assert!(ignored.0 == Verdict::Warn && ignored.1.contains("ROS_STATIC_PEERS: robot, which is ignored"));
        let get = |name: &str| {
            Some([("ROS_DOMAIN_ID", "46"), (RANGE, "OFF")].iter().find(|(known, _)| *known == name)?.1.into())
        };
        let expected = "domain 46, discovery range OFF, static peers none, RMW the distribution's default";
        assert_eq!(in_force(get), expected);
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
        let own = verdict("AMENT_PREFIX_PATH", &[("AMENT_PREFIX_PATH", "/nowhere/target/ros")]);
        assert!(own.0 == Verdict::Warn && own.1.starts_with("/nowhere/target/ros is not made yet"), "{own:?}");
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
