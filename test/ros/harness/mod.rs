//! The node and its peers as child processes, each test in a ROS domain of its own.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

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
    /// Processes of this machine, over shared memory too, all of them with the shipped profile.
    Local,
    /// As on a robot: ROS's own defaults, and the shipped profile for the tuner alone.
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
        match self.network {
            Network::Local => command.env("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"),
            // A machine without multicast has its peers named, which changes nothing on one that has it.
            Network::AsOnARobot => {
                command.env("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET").env("ROS_STATIC_PEERS", "127.0.0.1")
            }
        };
        command.env("FASTRTPS_DEFAULT_PROFILES_FILE", Path::new(ROOT).join("config/fastdds_images.xml"));
        command
    }

    fn python(&self, script: &str) -> Command {
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

/// A child process that says JSON lines on stdout. What it says on stderr is shown with its name.
pub struct Process {
    name: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    talk: Receiver<String>,
    pub heard: Vec<Value>,
    pub said: Vec<String>,
}

impl Process {
    pub fn start(name: &'static str, mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let values = stdout.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
            values.for_each(|value| drop(sender.send(value)));
        });
        let (sender, talk) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if std::env::var_os("ROS_TEST_TALK").is_some() {
                    say(&format!("{name}| {line}"));
                }
                sender.send(line).ok();
            }
        });
        let stdin = child.stdin.take();
        Self { name, child, stdin, lines, talk, heard: Vec::new(), said: Vec::new() }
    }

    pub fn tell(&mut self, command: Value) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{command}").unwrap();
        stdin.flush().unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that fits, within `patience`. Lines that do not fit are kept in `heard`, too.
    pub fn wait_for(&mut self, what: &str, patience: Duration, fits: impl Fn(&Value) -> bool) -> Value {
        self.try_for(patience, fits).unwrap_or_else(|| {
            self.listen(Duration::ZERO);
            let talk = self.talk().join("\n");
            let last: Vec<String> = self.heard.iter().rev().take(3).map(Value::to_string).collect();
            panic!("{}: no {what} within {patience:?}; last heard:\n{}\nsaid:\n{talk}", self.name, last.join("\n"));
        })
    }

    pub fn try_for(&mut self, patience: Duration, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        let deadline = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.heard.push(line.clone());
                    if fits(&line) {
                        return Some(line);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    pub fn event(&mut self, name: &str, patience: Duration) -> Value {
        self.wait_for(&format!("event '{name}'"), patience, |line| line["event"] == name)
    }

    /// Listens for this long, whatever comes.
    pub fn listen(&mut self, time: Duration) {
        self.try_for(time, |_| false);
    }

    /// What was heard of one event so far.
    pub fn heard(&self, event: &str) -> Vec<&Value> {
        self.heard.iter().filter(|line| line["event"] == event).collect()
    }

    /// All of stderr so far.
    pub fn talk(&mut self) -> &[String] {
        self.said.extend(self.talk.try_iter());
        &self.said
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    pub fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Seconds of CPU this process has used.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }

    /// Resident memory, MiB.
    pub fn memory_mib(&self) -> f64 {
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", self.pid())).unwrap();
        pages.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0 / (1 << 20) as f64
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A [`Process`] of peer.py.
pub struct Peer(pub Process);

impl Peer {
    pub fn tell(&mut self, command: Value) {
        self.0.tell(command);
    }

    /// Waits until the tuner is in a state, and returns its status.
    pub fn state(&mut self, state: &str, patience: Duration) -> Value {
        self.0.wait_for(&format!("state {state}"), patience, |line| {
            line["event"] == "status" && line["values"]["state"] == state
        })
    }

    /// As [`Self::state`] for what lies below Shadow and Disabled.
    pub fn health(&mut self, health: &str, patience: Duration) -> Value {
        self.0.wait_for(&format!("health {health}"), patience, |line| {
            line["event"] == "status" && line["values"]["health"] == health
        })
    }

    pub fn reason(&mut self, reason: &str, patience: Duration) -> Value {
        self.0.wait_for(&format!("reason {reason}"), patience, |line| {
            line["event"] == "status" && line["values"]["reason"] == reason
        })
    }

    pub fn decision(&mut self, patience: Duration) -> Value {
        self.0.event("decision", patience)
    }

    pub fn answer(&mut self, service: &str) -> Value {
        self.0.wait_for(&format!("answer of {service}"), PATIENCE, |line| {
            line["event"] == "answer" && line["service"].as_str().is_some_and(|name| name.ends_with(service))
        })
    }

    /// The decision of which every parameter has a status that fits.
    pub fn decision_with(&mut self, what: &str, patience: Duration, fits: impl Fn(&Value) -> bool) -> Value {
        self.0.wait_for(what, patience, |line| line["event"] == "decision" && fits(line))
    }
}

/// The status of one parameter in a decision.
pub fn status_of(decision: &Value, parameter: &str) -> String {
    let lines = decision["parameters"].as_array().unwrap();
    let name = format!("/planner_tuner: {parameter}");
    lines
        .iter()
        .find(|line| line["name"] == *name)
        .map_or("absent".into(), |line| line["status"].as_str().unwrap().into())
}
