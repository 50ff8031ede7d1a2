//! The ROS graph, as the node sees it: this program knows no ROS, and asks the one that does.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::finding::Finding;
use crate::live::{FoundParameter, GraphReport, PlannerReport, Settings, TopicProblem, TopicReport};

/// The node's program, beside this one in every installation.
const NODE: &str = "planner_tuner_node";
/// Discovery takes 4 s.
const PATIENCE: Duration = Duration::from_secs(20);

const GRAPH: &str = "ROS graph";
const TOPIC: &str = "topic";
const PLANNER: &str = "planner node";
const PARAMETER: &str = "planner parameter";
const TUNER: &str = "other tuner";

/// Topics, their QoS, and the planner's parameters, with the arguments that the node would be started with.
pub(super) fn check(planner: &str, mapping: &str, ros_args: &[String]) -> Vec<Finding> {
    let Some(node) = std::env::current_exe().ok().map(|own| own.with_file_name(NODE)).filter(|node| node.is_file())
    else {
        let remedy = "build with --features ros; topics and the planner's parameters were not looked at";
        return vec![Finding::warn(GRAPH, format!("there is no {NODE} beside this program"), remedy)];
    };
    match survey(node, planner, mapping, ros_args) {
        Ok(report) => judge(&report),
        Err(problem) => {
            vec![Finding::error(GRAPH, problem, format!("correct the arguments after --; {NODE} says the same"))]
        }
    }
}

fn survey(node: PathBuf, planner: &str, mapping: &str, ros_args: &[String]) -> Result<GraphReport, String> {
    let defaults = Settings::default();
    let mut command = Command::new(node);
    command.args(["--survey", "--ros-args"]);
    // A parameters file has its own.
    for (name, value, default) in [("planner", planner, defaults.planner), ("mapping", mapping, defaults.mapping)] {
        if *value != default {
            command.args(["-p", &format!("{name}:={value}")]);
        }
    }
    command.args(ros_args.iter().filter(|argument| *argument != "--ros-args"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{NODE} does not start: {error}"))?;
    let deadline = Instant::now() + PATIENCE;
    // What it writes fits into the pipes.
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
                return Err(format!("{NODE} --survey has not ended after {} s", PATIENCE.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let (mut report, mut talk) = (String::new(), String::new());
    child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut report));
    child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut talk));
    if !status.success() {
        return Err(talk.lines().last().unwrap_or("it ended without a word").to_owned());
    }
    let report = report.lines().last().unwrap_or_default();
    serde_json::from_str(report).map_err(|error| format!("{NODE} is of another version: {error}"))
}

fn judge(report: &GraphReport) -> Vec<Finding> {
    let mut findings = vec![Finding::ok(GRAPH, format!("as {} sees it after {:.0} s", report.node, report.listened_s))];
    findings.extend(report.topics.iter().flat_map(topic));
    findings.extend(report.planner.iter().flat_map(planner));
    let others = report.tuners.iter().map(|tuner| {
        let remedy = "end it before another is started, or set force; the second one sets nothing";
        Finding::warn(TUNER, format!("{tuner} tunes the planner already"), remedy)
    });
    findings.extend(others);
    findings
}

fn topic(topic: &TopicReport) -> Vec<Finding> {
    let what = format!("{} ({}, {})", topic.topic, topic.asked.purpose.as_str(), topic.asked.type_name);
    let problems = topic.problems();
    if problems.is_empty() {
        let by: Vec<&str> = topic.publishers.iter().map(|publisher| publisher.node.as_str()).collect();
        return match by.as_slice() {
            [_] => vec![Finding::ok(TOPIC, format!("{what} from {}", by.join(", ")))],
            _ => vec![Finding::warn(TOPIC, format!("{what} from {}", by.join(" and ")), "leave one publisher")],
        };
    }
    let finding = |problem: &TopicProblem| match problem {
        TopicProblem::Nobody if topic.asked.is_needed => {
            let remedy = match topic.alternatives.as_slice() {
                [] => "start its publisher; nobody publishes this type".to_owned(),
                others => format!("start its publisher, or remap to one of {}", others.join(", ")),
            };
            Finding::warn(TOPIC, format!("{what}: {problem}"), remedy)
        }
        TopicProblem::Nobody => Finding::ok(TOPIC, format!("{what}: {problem}, and it is not needed")),
        TopicProblem::Type { .. } => {
            Finding::error(TOPIC, format!("{what}: {problem}"), "remap, or correct image_transport and image_source")
        }
        TopicProblem::NotReliable { .. } | TopicProblem::NotTransientLocal { .. } => {
            Finding::error(TOPIC, format!("{what}: {problem}"), "correct the publisher's QoS, or remap")
        }
    };
    problems.iter().map(finding).collect()
}

fn planner(planner: &PlannerReport) -> Vec<Finding> {
    if !planner.is_there {
        let remedy = "start the planner; if it runs, compare namespace, ROS_DOMAIN_ID and the mapping's node names";
        return vec![Finding::warn(PLANNER, format!("{} is not there", planner.node), remedy)];
    }
    let parameters = planner.parameters.iter().map(|parameter| {
        let name = format!("{} {}", planner.node, parameter.ros_parameter);
        let live = if parameter.is_live { "live" } else { "stored, and not used while driving" };
        match (&parameter.found, parameter.is_settable()) {
            (FoundParameter::NoAnswer, _) => {
                Finding::warn(PARAMETER, format!("{name}: no answer"), "is the node configured, and not overloaded?")
            }
            (FoundParameter::NotDeclared, _) => Finding::error(
                PARAMETER,
                format!("{name}: not declared"),
                "configure the node; the controller's id in controller_plugins must be the one in the mapping",
            ),
            (FoundParameter::Double(value), Some(true)) => Finding::ok(PARAMETER, format!("{name}: {value:?}, {live}")),
            (FoundParameter::Integer(value), Some(true)) => Finding::ok(PARAMETER, format!("{name}: {value}, {live}")),
            (other, _) => Finding::error(
                PARAMETER,
                format!("{name}: has another type than the mapping's ({other:?})"),
                "correct the type in the mapping: a set would be refused",
            ),
        }
    });
    std::iter::once(Finding::ok(PLANNER, format!("{} answers", planner.node))).chain(parameters).collect()
}
