//! The node and its peers as child processes, each test in a ROS domain of its own.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod peer;
mod process;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;

pub use peer::{Peer, status_of};
pub use process::Process;

use crate::support::{fixture_set, say};

pub const SECOND: Duration = Duration::from_secs(1);
/// Discovery, a Python process's start, on a machine that has other things to do.
pub const PATIENCE: Duration = Duration::from_secs(30);

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A ROS domain that no other test uses, and the Python that has rclpy.
pub struct Ros {
    domain: u32,
    python: PathBuf,
    /// As far as discovery goes, and which profile peers have.
    network: Network,
}

/// Who hears of whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Processes of this machine, all of them with fastdds_images.xml.
    Local,
    /// As on a robot: ROS's own defaults, and fastdds_planner.xml for the tuner alone. Raw images are lost there.
    AsOnARobot,
}

static TESTS: AtomicU32 = AtomicU32::new(0);

impl Ros {
    /// `None`, and a line that says so, on a machine without rclpy.
    pub fn find() -> Option<Self> {
        let prefixes = std::env::var_os("AMENT_PREFIX_PATH").unwrap_or_default();
        let prefix = std::env::split_paths(&prefixes).next().unwrap_or_default();
        // A sourced ROS uses the system's Python; a prefix of wheels has its own.
        let own = prefix.join("bin/python3");
        let python = if own.exists() { own } else { "python3".into() };
        let mut look = Command::new(&python);
        look.args(["-c", "import rclpy, PIL"]).stderr(Stdio::null());
        if !look.status().is_ok_and(|status| status.success()) {
            say("skipped: no Python with rclpy and Pillow; run through .ci/with-ros");
            return None;
        }
        let domain = 1 + (std::process::id() * 7 + TESTS.fetch_add(1, Ordering::Relaxed)) % 100;
        Some(Self { domain, python, network: Network::Local })
    }

    /// The same with ROS's own defaults for everything but the tuner.
    pub fn find_as_on_a_robot() -> Option<Self> {
        Some(Self { network: Network::AsOnARobot, ..Self::find()? })
    }

    /// A program in the test's domain.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("ROS_DOMAIN_ID", self.domain.to_string()).env_remove("_ROS_WHEELS_BOOTSTRAP_COMPLETE");
        let profile = match self.network {
            Network::Local => {
                command.env("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST");
                "config/fastdds_images.xml"
            }
            Network::AsOnARobot => {
                // A machine without multicast has its peers named, which changes nothing on one that has it.
                command.env("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET").env("ROS_STATIC_PEERS", "127.0.0.1");
                "config/fastdds_planner.xml"
            }
        };
        command.env("FASTRTPS_DEFAULT_PROFILES_FILE", Path::new(ROOT).join(profile));
        command
    }

    /// A script of this folder.
    pub fn python(&self, script: &str) -> Command {
        let mut command = self.command(&self.python);
        if self.network == Network::AsOnARobot {
            command.env_remove("FASTRTPS_DEFAULT_PROFILES_FILE");
        }
        command.arg(Path::new(ROOT).join("test/ros").join(script));
        command
    }

    /// A peer that has read the demo drive.
    pub fn peer(&self) -> Peer {
        self.peer_with(&Path::new(ROOT).join("test/fixtures/demo_drive"))
    }

    /// A peer that has read a drive: a folder with frames.csv.
    pub fn peer_with(&self, drive: &Path) -> Peer {
        let mut peer = Peer(Process::start("peer", self.python("peer.py")));
        peer.0.event("ready", PATIENCE);
        peer.tell(json!({"do": "drive", "folder": drive}));
        peer.0.event("drive", PATIENCE);
        peer
    }

    /// The planner's nodes, with faults as in fake_nav2.py.
    pub fn nav2(&self, faults: &[&str]) -> Process {
        self.nav2_with_start(faults).0
    }

    /// As [`Self::nav2`], with the moment at which it was ready, by its own clock, seconds.
    pub fn nav2_with_start(&self, faults: &[&str]) -> (Process, f64) {
        let mut command = self.python("fake_nav2.py");
        command.args(faults);
        let mut nav2 = Process::start("nav2", command);
        let ready = nav2.event("ready", PATIENCE);
        (nav2, ready["at"].as_f64().unwrap())
    }

    /// The node with the tiny model. `parameters` are `name:=value`.
    pub fn node(&self, parameters: &[&str]) -> Process {
        let model = fixture_set("tiny_vlm").expect("the project brings its tiny model");
        let path = |name: &str, file: &str| format!("{name}:={}", model.join(file).display());
        let files = [path("base", "base"), path("checkpoint", "checkpoint"), path("policy", "policy/policy_step_1000")];
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        self.start(Path::new(env!("CARGO_BIN_EXE_planner_tuner_node")), &[&files, parameters].concat(), &[])
    }

    /// The node with a stand-in for the model; see `stub_node.rs` for what `stub` may say.
    pub fn stub_node(&self, stub: &str, parameters: &[&str]) -> Process {
        let debug = Path::new(env!("CARGO_BIN_EXE_planner_tuner_node")).parent().unwrap();
        let program = debug.join("examples/stub_node");
        self.start(&program, parameters, &[("STUB", stub)])
    }

    /// A node with any arguments; remappings and the like come as they are.
    pub fn start(&self, program: &Path, parameters: &[&str], environment: &[(&str, &str)]) -> Process {
        let mut command = self.command(program);
        command.envs(environment.iter().copied()).arg("--ros-args");
        for parameter in parameters {
            if parameter.starts_with('-') || parameter.starts_with('@') {
                command.arg(parameter.trim_start_matches('@'));
            } else {
                command.args(["-p", parameter]);
            }
        }
        Process::start("node", command)
    }
}
