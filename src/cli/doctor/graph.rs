//! The ROS graph, as the node sees it: this program knows no ROS, and asks the one that does.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::environment::in_force;
use super::finding::Finding;
use crate::live::{
    CostmapsReport, FoundParameter, GraphReport, MessageProblem, PlannerReport, Settings, Subscription, TopicProblem,
    TopicReport,
};

/// The node's program, beside this one in every installation.
const NODE: &str = "planner_tuner_node";
/// Discovery and measuring take 6 s.
const PATIENCE: Duration = Duration::from_secs(20);

const GRAPH: &str = "ROS graph";
const TOPIC: &str = "topic";
const COSTMAP: &str = "costmap";
const PLANNER: &str = "planner node";
const PARAMETER: &str = "planner parameter";
const TUNER: &str = "other tuner";
const MESSAGES: &str = "messages";
const CLOCK: &str = "clock";
const TRANSFORMS: &str = "transforms";

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
            vec![Finding::error(
                GRAPH,
                problem.to_string(),
                format!("correct the arguments after --; {NODE} says the same"),
            )]
        }
    }
}

/// Why the node tells nothing of the graph.
#[derive(Debug, thiserror::Error)]
enum SurveyError {
    #[error("{NODE} does not start: {0}")]
    Start(std::io::Error),
    #[error(transparent)]
    Wait(std::io::Error),
    #[error("{NODE} --survey has not ended after {} s", PATIENCE.as_secs())]
    TooLong,
    /// With the last thing that it said.
    #[error("{}", .0.as_deref().unwrap_or("it exited without output"))]
    Refused(Option<String>),
    #[error("{NODE} is of another version: {0}")]
    Version(serde_json::Error),
}

fn survey(node: PathBuf, planner: &str, mapping: &str, ros_args: &[String]) -> Result<GraphReport, SurveyError> {
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
    let mut child = command.spawn().map_err(SurveyError::Start)?;
    let deadline = Instant::now() + PATIENCE;
    // What it writes fits into the pipes.
    let status = loop {
        match child.try_wait().map_err(SurveyError::Wait)? {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                child.kill().and_then(|()| child.wait()).map_err(SurveyError::Wait)?;
                return Err(SurveyError::TooLong);
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let (mut report, mut talk) = (String::new(), String::new());
    child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut report));
    child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut talk));
    if !status.success() {
        return Err(SurveyError::Refused(talk.lines().last().map(str::to_owned)));
    }
    let report = report.lines().last().unwrap_or_default();
    serde_json::from_str(report).map_err(SurveyError::Version)
}

fn judge(report: &GraphReport) -> Vec<Finding> {
    let force = in_force(|name| std::env::var(name).ok());
    if report.others.is_empty() {
        // One finding in place of one for each topic and node: what is missing is everything.
        let remedy = "start the robot's nodes; if they run, give this shell their ROS_DOMAIN_ID and RMW_IMPLEMENTATION, and a \
                      discovery range that reaches them";
        let found = format!("{} finds no other node in {:.0} s: {force}", report.node, report.listened_s);
        return vec![Finding::warn(GRAPH, found, remedy)];
    }
    let found = format!("as {} sees it after {:.0} s: {force}", report.node, report.listened_s);
    let mut findings = vec![Finding::ok(GRAPH, found)];
    findings.extend(report.topics.iter().flat_map(|topic| judge_topic(report, topic)));
    findings.extend(clock(report));
    findings.extend(transforms(report));
    findings.extend(report.planner.iter().flat_map(planner));
    findings.extend(costmaps(report));
    let others = report.tuners.iter().map(|tuner| {
        let remedy = "end it before another is started, or set force; the second one sets nothing";
        Finding::warn(TUNER, format!("{tuner} tunes the planner already"), remedy)
    });
    findings.extend(others);
    findings
}

/// A costmap that is not there is told of as a planner's node.
fn costmaps(report: &GraphReport) -> Vec<Finding> {
    let CostmapsReport { blind, known } = &report.costmaps;
    let seen = known.iter().map(|(costmap, word)| match blind {
        Some(why) if why == word => {
            let remedy = "give its observation sources full topic names, or start Nav2 with nav2.launch.py; nothing is set \
                          until it sees";
            Finding::error(COSTMAP, format!("{costmap}: {why}"), remedy)
        }
        _ => Finding::ok(COSTMAP, format!("{costmap} {word}")),
    });
    seen.collect()
}

fn judge_topic(report: &GraphReport, topic: &TopicReport) -> Vec<Finding> {
    let what = format!("{} ({}, {})", topic.topic, topic.asked.purpose.as_str(), topic.asked.type_name);
    let problems = topic.problems();
    if !topic.asked.is_needed && !problems.is_empty() {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        return vec![Finding::ok(TOPIC, format!("{what}: {}; it is not needed", all.join("; ")))];
    }
    if problems.is_empty() {
        let by: Vec<&str> = topic.publishers.iter().map(|publisher| publisher.node.as_str()).collect();
        let heard = match by.as_slice() {
            [_] => Finding::ok(TOPIC, format!("{what} from {}", by.join(", "))),
            _ => Finding::warn(TOPIC, format!("{what} from {}", by.join(" and ")), "leave one publisher"),
        };
        return std::iter::once(heard).chain(messages(report, topic)).collect();
    }
    let remaps = report.remaps(topic);
    let instead = match remaps.as_slice() {
        [] => "nobody publishes this type".to_owned(),
        remaps => format!("start the node with {}", remaps.join("  or  ")),
    };
    let finding = |problem: &TopicProblem| match problem {
        TopicProblem::Nobody => {
            Finding::warn(TOPIC, format!("{what}: {problem}"), format!("start its publisher; or {instead}"))
        }
        TopicProblem::Type { .. } => {
            let remedy = format!("{instead}; or have it publish {}", topic.asked.type_name);
            Finding::error(TOPIC, format!("{what}: {problem}"), remedy)
        }
        TopicProblem::NotReliable { .. } | TopicProblem::NotTransientLocal { .. } => {
            Finding::error(TOPIC, format!("{what}: {problem}"), format!("correct the publisher's QoS; or {instead}"))
        }
    };
    problems.iter().map(finding).collect()
}

/// What came, and what of it would not be used.
fn messages(report: &GraphReport, topic: &TopicReport) -> Vec<Finding> {
    let Some(measured) = &topic.measured else { return Vec::new() };
    let is_image = matches!(topic.asked.purpose, Subscription::Images | Subscription::Scans) && topic.asked.is_needed;
    let problems = measured.problems(&report.expected, is_image);
    if problems.is_empty() {
        return vec![Finding::ok(MESSAGES, format!("{}: {measured}", topic.topic))];
    }
    let finding = |problem: &MessageProblem| {
        let found = format!("{}: {problem} ({measured})", topic.topic);
        match problem.is_error() && topic.asked.is_needed {
            true => Finding::error(MESSAGES, found, problem.remedy()),
            false => Finding::warn(MESSAGES, found, problem.remedy()),
        }
    };
    problems.iter().map(finding).collect()
}

fn clock(report: &GraphReport) -> Option<Finding> {
    let by = report.clocks.join(" and ");
    Some(match (report.use_sim_time, report.clocks.as_slice()) {
        (false, []) => return None,
        (true, [_]) => Finding::ok(CLOCK, format!("/clock from {by}, which use_sim_time follows")),
        (true, []) => {
            let remedy = "start the simulator or the player (ros2 bag play --clock), or leave use_sim_time out";
            Finding::error(CLOCK, "use_sim_time is set and nobody publishes /clock: time stands still", remedy)
        }
        (true, _) => Finding::error(CLOCK, format!("/clock from {by}: time jumps to and fro"), "leave one publisher"),
        (false, _) => {
            let remedy = "start the node with -p use_sim_time:=true if the robot is simulated or replayed";
            Finding::warn(CLOCK, format!("/clock from {by}, and the node takes the system's time"), remedy)
        }
    })
}

fn transforms(report: &GraphReport) -> Option<Finding> {
    let by = report.transforms.as_ref()?;
    Some(match by.as_slice() {
        [] => {
            let remedy = "start what publishes them, remap /tf and /tf_static (-r /tf:=tf), or set assume_same_frame";
            Finding::warn(
                TRANSFORMS,
                "nobody publishes /tf or /tf_static: a plan in another frame is not drawn",
                remedy,
            )
        }
        by => Finding::ok(TRANSFORMS, format!("from {}", by.join(", "))),
    })
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
