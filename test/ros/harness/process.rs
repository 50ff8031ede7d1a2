//! A child process, what it says, and what it costs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::say;

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

    /// The first line that fits, heard already or still to come.
    pub fn heard_or_comes(&mut self, what: &str, patience: Duration, fits: impl Fn(&Value) -> bool) -> Value {
        let known = self.heard.iter().find(|line| fits(line)).cloned();
        known.unwrap_or_else(|| self.wait_for(what, patience, fits))
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
