//! The launch files, visited by a stand-in for `launch` (see launch_files.py): what would be started, with what.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Packages of others, as launch files see them, and a home.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Option<Self> {
        if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
            support::say("skipped: no python3 to read launch files with");
            return None;
        }
        let machine = Self(tempfile::tempdir().unwrap());
        // Reports what it was given, some of it later: as simulators do, whose robot comes when a generator has ended.
        let included = |names: &str, later: bool| {
            format!(
                "from launch import LaunchDescription\n\
                 from launch.actions import ExecuteProcess, TimerAction\n\
                 from launch.substitutions import LaunchConfiguration\n\
                 def generate_launch_description():\n\
                 \x20   seen = ExecuteProcess(cmd=['seen', *(LaunchConfiguration(name) for name in {names})])\n\
                 \x20   return LaunchDescription([TimerAction(period=1.0, actions=[seen]) if {} else seen])\n",
                if later { "True" } else { "False" }
            )
        };
        let nav2 = "['map', 'slam', 'namespace', 'use_namespace', 'params_file', 'use_composition', 'use_sim_time']";
        machine.write("nav2_bringup/launch/bringup_launch.py", &included(nav2, false));
        machine.write("clearpath_gz/launch/simulation.launch.py", &included("['setup_path', 'world']", true));
        machine.write("home/map.yaml", "image: map.pgm\n");
        machine.write("home/bag/metadata.yaml", "");
        Some(machine)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn launch(&self, file: &str, arguments: &[&str]) -> Value {
        let mut command = Command::new("python3");
        command.arg(Path::new(ROOT).join("test/cli/launch_files.py")).args([Path::new(ROOT), self.0.path()]);
        command
            .env("HOME", self.path("home"))
            .env("MAPS", self.path("home"))
            .env_remove("FASTRTPS_DEFAULT_PROFILES_FILE");
        let output = command.arg(file).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What was refused, with nothing started.
    #[track_caller]
    fn refused(&self, file: &str, arguments: &[&str]) -> String {
        let found = self.launch(file, arguments);
        assert_eq!(found["started"], json!([]), "{found}");
        found["refused"].as_str().unwrap_or_else(|| panic!("not refused: {found}")).to_owned()
    }
}

fn started(found: &Value) -> &Vec<Value> {
    assert!(found["refused"].is_null(), "{found}");
    found["started"].as_array().unwrap()
}

fn node<'a>(found: &'a Value, executable: &str) -> &'a Value {
    let mut nodes = started(found).iter().filter(|started| started["executable"] == executable);
    nodes.next().unwrap_or_else(|| panic!("no {executable} in {found}"))
}

/// What an included file of another package saw.
fn seen_by(found: &Value) -> Vec<Vec<String>> {
    let processes = started(found).iter().filter_map(|started| started["process"].as_array());
    let words = processes.map(|words| words.iter().map(|word| word.as_str().unwrap().to_owned()).collect());
    words.filter(|words: &Vec<String>| words[0] == "seen").collect()
}

#[test]
fn r3_and_r4_a_simulator_that_waits_finds_its_arguments_with_the_home_in_them() {
    let Some(machine) = Machine::new() else { return };
    let home = machine.path("home").display().to_string();
    let found = machine.launch("gazebo.launch.py", &["map:=~/map.yaml", "checkpoint:=$HOME/dwa", "world:=office"]);
    let seen = seen_by(&found);
    let simulator = seen.last().unwrap();
    assert_eq!(simulator[1..], [format!("{home}/clearpath/"), "office".into()]);
    assert_eq!(seen[0][1], format!("{home}/map.yaml"));
    assert_eq!(seen[0][7], "true", "Nav2 is on simulation time");
    let parameters = &node(&found, "planner_tuner_node")["parameters"];
    assert_eq!(parameters[1]["checkpoint"], format!("{home}/dwa"));
    assert_eq!((&parameters[1]["mode"], &parameters[1]["use_sim_time"]), (&"active".into(), &true.into()));

    let other = ["map:=$MAPS/map.yaml", "setup_path:=${MAPS}/robots/"];
    let found = machine.launch("gazebo.launch.py", &other);
    assert_eq!(seen_by(&found).last().unwrap()[1], format!("{home}/robots/"));
    let said = machine.refused("gazebo.launch.py", &["map:=~/map.yaml", "simulator_package:=nowhere"]);
    assert!(said.contains("nowhere"), "{said}");
}

#[test]
fn every_path_of_the_tuner_is_expanded() {
    let Some(machine) = Machine::new() else { return };
    machine.write("home/own.yaml", "");
    let names = ["base", "checkpoint", "policy", "policy_folder", "log_folder", "planner", "mapping"];
    let arguments: Vec<String> = names.iter().map(|name| format!("{name}:=~/{name}")).collect();
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    arguments.extend(["params_file:=~/own.yaml", "dds_profile:=$HOME/own.yaml"]);
    let found = machine.launch("tuner.launch.py", &arguments);
    let tuner = node(&found, "planner_tuner_node");
    let at = |name: &str| machine.path("home").join(name).display().to_string();
    for name in names {
        assert_eq!(tuner["parameters"][1][name], at(name), "{name}");
    }
    assert_eq!(tuner["parameters"][0], at("own.yaml"));
    assert_eq!(tuner["additional_env"]["FASTRTPS_DEFAULT_PROFILES_FILE"], at("own.yaml"));
    let said = machine.refused("tuner.launch.py", &["params_file:=jackal.yaml"]);
    assert!(said.contains("there is no file") && said.contains("jackal_dwb.yaml"), "{said}");
    assert!(machine.refused("tuner.launch.py", &["rviz:=ture"]).contains("rviz:=ture is neither true nor false"));
}

#[test]
fn r23_rviz_follows_the_namespace() {
    let Some(machine) = Machine::new() else { return };
    let found = machine.launch("tuner.launch.py", &["rviz:=true", "namespace:=j100_0001", "scan_topic:=front/scan"]);
    let rviz = node(&found, "rviz2");
    assert_eq!(rviz["namespace"], "j100_0001");
    let remappings = rviz["remappings"].as_array().unwrap();
    // Every topic of the file is led to a relative name.
    let file = std::fs::read_to_string(Path::new(ROOT).join("config/tuner.rviz")).unwrap();
    let topics: Vec<&str> = file.lines().filter_map(|line| line.trim().strip_prefix("Value: /")).collect();
    assert!(topics.len() > 4, "{topics:?}");
    for topic in topics.into_iter().chain(["tf", "tf_static"]) {
        let to = remappings.iter().find(|rule| rule[0] == format!("/{topic}"));
        let to = to.unwrap_or_else(|| panic!("/{topic} is not remapped"))[1].as_str().unwrap();
        assert!(!to.starts_with('/'), "{topic}: {to}");
    }
    assert!(remappings.contains(&json!(["/sensors/lidar2d_0/scan", "front/scan"])));
}

#[test]
fn r24_nav2_has_a_map_or_makes_one_with_either_controller() {
    let Some(machine) = Machine::new() else { return };
    let config = |name: &str| Path::new(ROOT).join("config").join(name).display().to_string();
    let found = machine.launch("nav2.launch.py", &["slam:=true", "controller:=mppi", "namespace:=j100_0001"]);
    let expected = ["", "True", "j100_0001", "True", &config("jackal_nav2_mppi.yaml"), "False", "false"];
    assert_eq!(seen_by(&found)[0][1..], expected.map(str::to_owned));
    assert_eq!(node(&found, "planner_tuner_node")["parameters"][0], config("jackal_mppi.yaml"));
    let found = machine.launch("nav2.launch.py", &["map:=~/map.yaml"]);
    let map = machine.path("home/map.yaml").display().to_string();
    let expected = [&map, "False", "", "False", &config("jackal_nav2_dwb.yaml"), "False", "false"];
    assert_eq!(seen_by(&found)[0][1..], expected.map(str::to_owned));

    let said = machine.refused("nav2.launch.py", &[]);
    assert!(said.contains("give map:=") && said.contains("slam:=True"), "{said}");
    assert!(machine.refused("nav2.launch.py", &["map:=/nowhere.yaml"]).contains("there is no file /nowhere.yaml"));
    assert!(machine.refused("nav2.launch.py", &["slam:=True", "controller:=teb"]).contains("one of dwb, mppi"));
}

#[test]
fn r21_and_r24_a_replay_checks_first_and_ends_with_its_bag() {
    let Some(machine) = Machine::new() else { return };
    let found = machine.launch("replay.launch.py", &["bag:=~/bag", "checkpoint:=~/dwa"]);
    let bag = machine.path("home/bag").display().to_string();
    let all = started(&found);
    let at = |what: &dyn Fn(&Value) -> bool| all.iter().position(what).unwrap();
    let delay = at(&|started| started["timer"] == 20.0);
    let player = at(&|started| started["process"][3] == bag.as_str());
    let end = at(&|started| started["shutdown"] == "the recording has ended");
    assert!(delay < player && player < end, "{found}");

    for bad in ["delay:=soon", "delay:=-1", "delay:=nan", "rate:=0", "rate:=fast", "loop:=maybe", "bag:=/nowhere"] {
        let name = bad.split_once(":=").unwrap().0;
        let said = machine.refused("replay.launch.py", &["bag:=~/bag", bad]);
        assert!(said.starts_with(name), "{said}");
    }
    // The recording starts while the node still waits.
    let replay = std::fs::read_to_string(Path::new(ROOT).join("config/replay.yaml")).unwrap();
    let hold = replay.lines().find_map(|line| line.trim().strip_prefix("hold_timeout: ")).unwrap();
    assert!(hold.parse::<f64>().unwrap() > 20.0, "hold_timeout is {hold}");
}

#[test]
fn r7_nav2_files_name_what_a_jackal_has() {
    // Of Clearpath's own files for the j100.
    let (scan, base) = ("sensors/lidar2d_0/scan", "base_link");
    for file in ["jackal_nav2_dwb.yaml", "jackal_nav2_mppi.yaml"] {
        let text = std::fs::read_to_string(Path::new(ROOT).join("config").join(file)).unwrap();
        let all: Value = serde_yaml::from_str(&text).unwrap();
        let of = |node: &str| &all[node]["ros__parameters"];
        assert_eq!((&of("amcl")["scan_topic"], &of("amcl")["base_frame_id"]), (&scan.into(), &base.into()), "{file}");
        let slam = of("slam_toolbox");
        assert_eq!((&slam["scan_topic"], &slam["base_frame"]), (&scan.into(), &base.into()), "{file}");
    }
    let text = std::fs::read_to_string(Path::new(ROOT).join("config/jackal_nav2_mppi.yaml")).unwrap();
    let all: Value = serde_yaml::from_str(&text).unwrap();
    let controller = &all["controller_server"]["ros__parameters"]["FollowPath"];
    assert_eq!(controller["plugin"], "nav2_mppi_controller::MPPIController");
    // What the tuner sets is declared there, with the type that it sets.
    let mapping = std::fs::read_to_string(Path::new(ROOT).join("config/nav2/nav2_mppi.yaml")).unwrap();
    let mapping: Value = serde_yaml::from_str(&mapping).unwrap();
    let targets = mapping["parameters"].as_object().unwrap().values().flat_map(|targets| targets.as_array().unwrap());
    for target in targets.filter(|target| target["node"] == "controller_server") {
        let name = target["ros_parameter"].as_str().unwrap().trim_start_matches("{plugin}.");
        let found = &controller[name];
        assert!(if target["type"] == "integer" { found.is_i64() } else { found.is_f64() }, "{name}: {found}");
    }
}

#[test]
fn r22_package_xml_names_what_a_build_and_a_launch_take() {
    let text = std::fs::read_to_string(Path::new(ROOT).join("package.xml")).unwrap();
    for (kind, keys) in [
        ("build_depend", &["build-essential", "clang", "libclang-dev"][..]),
        ("exec_depend", &["ros2bag", "rosbag2_storage_mcap", "ros2launch", "launch_ros", "nav2_bringup", "rviz2"]),
    ] {
        for key in keys {
            assert!(text.contains(&format!("<{kind}>{key}</{kind}>")), "{kind} {key}");
        }
    }
}
