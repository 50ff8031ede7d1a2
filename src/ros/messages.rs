//! What messages say.
//!
//! `~/decision` is a `diagnostic_msgs/DiagnosticArray`: its header carries the image's stamp, every ROS tool shows it
//! without a message package of ours, and levels, words and named values are what it has fields for.

use r2r::diagnostic_msgs::msg::{DiagnosticStatus, KeyValue};
use r2r::sensor_msgs::msg::Image;
use r2r::std_msgs::msg::{MultiArrayDimension, MultiArrayLayout};

use super::{NodeError, clock};
use vlm_planner_tuner::frame::{Frame, Stamp};
use vlm_planner_tuner::live::inference::Decided;
use vlm_planner_tuner::nav2::{ParameterStatus, TargetStatus};
use vlm_planner_tuner::planner::guard::{Level, Mode, Status};
use vlm_planner_tuner::tuner::Stage;

/// The layout of a list of numbers.
pub(super) fn labelled(label: &str, length: usize) -> MultiArrayLayout {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let dimension = MultiArrayDimension { label: label.to_owned(), size: length, stride: length };
    MultiArrayLayout { dim: vec![dimension], data_offset: 0 }
}

pub(super) fn image_message(frame: &Frame, stamp: Stamp, frame_id: &str) -> Image {
    let mut image = Image {
        height: frame.height(),
        width: frame.width(),
        encoding: "rgb8".into(),
        step: frame.width() * 3,
        data: frame.rgb().to_vec(),
        ..Default::default()
    };
    image.header.stamp = clock::time(stamp);
    image.header.frame_id = frame_id.to_owned();
    image
}

/// Whom lines of diagnostics come from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The node's name without namespace and slash, which names of lines begin with, as diagnostic_updater has it.
    node: String,
    /// The robot.
    hardware_id: String,
}

impl Source {
    /// The robot is called as the parameter says, or else as the namespace, or else as the machine.
    pub(super) fn of(node: &r2r::Node, hardware_id: &str) -> Result<Self, NodeError> {
        let namespace = node.namespace()?;
        let machine = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let named = [hardware_id, namespace.trim_matches('/')].into_iter().find(|name| !name.is_empty());
        let hardware_id = named.map_or_else(|| machine().trim().to_owned(), str::to_owned);
        Ok(Self { node: node.name()?, hardware_id })
    }
}

/// A line of diagnostics, filled step by step.
pub(super) struct Line(DiagnosticStatus);

impl Line {
    pub(super) fn new(source: &Source, name: &str, level: Level, message: impl Into<String>) -> Self {
        Self(DiagnosticStatus {
            level: level as u8,
            name: format!("{}: {name}", source.node),
            message: message.into(),
            hardware_id: source.hardware_id.clone(),
            values: Vec::new(),
        })
    }

    pub(super) fn value(mut self, key: &str, value: impl ToString) -> Self {
        self.0.values.push(KeyValue { key: key.to_owned(), value: value.to_string() });
        self
    }

    pub(super) fn done(self) -> DiagnosticStatus {
        self.0
    }
}

/// The line that tells how the tuner as a whole does.
pub(super) const TUNER: &str = "tuner";

/// State, reason and counts of the guard.
pub(super) fn guard_line(source: &Source, status: &Status) -> Line {
    let mut message = format!("{}: {}", status.state.as_str(), status.reason);
    for warning in &status.warnings {
        message.push_str(&format!("; {warning}"));
    }
    let counts = &status.counts;
    Line::new(source, TUNER, status.level, message)
        .value("state", status.state.as_str())
        .value("health", status.health.as_str())
        .value("reason", status.reason.name())
        .value("warnings", status.warnings.iter().map(|warning| warning.name()).collect::<Vec<_>>().join(","))
        .value("since_valid_s", status.since_valid.map_or("never".into(), |time| format!("{:.2}", time.as_secs_f64())))
        .value("frames", counts.frames)
        .value("frames_refused", counts.frames_refused)
        .value("frames_repeated", counts.frames_repeated)
        .value("not_admitted", counts.not_admitted)
        .value("decisions", counts.decisions)
        .value("decisions_failed", counts.decisions_failed)
        .value("decisions_dropped", counts.decisions_dropped)
        .value("safe_defaults", counts.safe_defaults)
}

/// What was decided for one image, where the time went, and what led to it.
pub(super) fn decision_line(
    source: &Source,
    guard: &Status,
    decided: &Decided,
    overhead_ms: f64,
    policy: &str,
) -> Line {
    let ticket = &decided.job.ticket;
    let mut line = Line::new(source, "decision", guard.level, guard.reason.to_string())
        .value("state", guard.state.as_str())
        .value("reason", guard.reason.name())
        .value("stamp_ns", ticket.stamp().nanos())
        .value("age_ms", milliseconds(ticket.age().as_secs_f64()))
        .value("linear_vel", ticket.velocity().linear())
        .value("angular_vel", ticket.velocity().angular())
        .value("policy", policy)
        .value("tokens", decided.decision.sequence_length)
        .value("history", decided.forgotten.map_or("continued".into(), |reason| reason.to_string()));
    for stage in Stage::ALL {
        let took = decided.decision.times.of(stage).as_secs_f64();
        line = line.value(&format!("{}_ms", stage.name()), milliseconds(took));
    }
    line.value("inference_ms", milliseconds(decided.took.as_secs_f64()))
        .value("overhead_ms", format!("{overhead_ms:.3}"))
        // All digits: what is rounded here cannot be compared with `planner_tuner replay`.
        .value("parameters", serde_json::to_string(decided.decision.parameters()).unwrap_or_default())
}

/// What became of each parameter in each place. `held_back` is why an active node sets nothing at present, if so.
pub(super) fn parameter_lines(
    source: &Source,
    mode: Mode,
    held_back: Option<&str>,
    parameters: &[ParameterStatus],
) -> Vec<DiagnosticStatus> {
    let line = |parameter: &ParameterStatus| {
        // An aggregator knows a line by its name: one that is set in several places says where.
        let places = parameters.iter().filter(|other| other.parameter == parameter.parameter).count();
        let name = match &parameter.place {
            Some((node, ros_parameter)) if places > 1 => format!("{} ({node} {ros_parameter})", parameter.parameter),
            _ => parameter.parameter.clone(),
        };
        parameter_line(source, mode, held_back, &name, parameter)
    };
    parameters.iter().map(line).collect()
}

fn parameter_line(
    source: &Source,
    mode: Mode,
    held_back: Option<&str>,
    name: &str,
    parameter: &ParameterStatus,
) -> DiagnosticStatus {
    let not_set = match (mode, held_back) {
        (Mode::Active, None) => None,
        (Mode::Active, Some(why)) if parameter.status == TargetStatus::Pending => Some((Level::Warn, why)),
        (Mode::Active, Some(_)) => None,
        (mode, _) => Some((Level::Ok, mode.as_str())),
    };
    if let Some((level, why)) = not_set {
        let line = Line::new(source, name, level, format!("{why}: not set")).value("status", "not_set");
        return with_place(line, parameter).done();
    }
    let (level, message) = match &parameter.status {
        TargetStatus::Stored { remedy } => (Level::Warn, format!("accepted, but not used while driving. {remedy}")),
        TargetStatus::Refused { words } => (Level::Warn, format!("refused: {words}")),
        TargetStatus::Unreachable => (Level::Warn, "not applied: the node is not there or does not answer".into()),
        TargetStatus::NotInUse { state } => (Level::Warn, format!("not in use: the node is {state}")),
        TargetStatus::NotSelected { why } => (Level::Warn, format!("not selected: {why}")),
        TargetStatus::Stopped { why } => (Level::Error, format!("stopped: {why}")),
        TargetStatus::Yielded { .. } => (Level::Warn, "left as somebody else has set it".into()),
        other => (Level::Ok, other.name().to_owned()),
    };
    let line = Line::new(source, name, level, message).value("status", parameter.status.name());
    let line = with_place(line, parameter);
    let line = match &parameter.value {
        Some(value) => line.value("value", value),
        None => line,
    };
    match &parameter.wanted {
        Some(wanted) => line.value("wanted", wanted),
        None => line,
    }
    .done()
}

fn with_place(line: Line, parameter: &ParameterStatus) -> Line {
    match &parameter.place {
        Some((node, ros_parameter)) => line.value("node", node).value("ros_parameter", ros_parameter),
        None => line,
    }
}

pub(super) fn milliseconds(seconds: f64) -> String {
    format!("{:.3}", seconds * 1e3)
}
