//! `--survey`: what a node with these arguments would find, as JSON; it subscribes to nothing and sets nothing.

use std::io::Write as _;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use r2r::QosProfile;
use r2r::qos::{DurabilityPolicy, ReliabilityPolicy};
use r2r::rcl_interfaces::srv::GetParameters;

use super::graph::{answers_topic, claim_topic, name};
use super::planner_clients::{DOUBLE, INTEGER};
use super::{NODE_NAME, NodeError, context};
use vlm_planner_tuner::live::{
    FoundParameter, GraphReport, Heard, Names, PlannerParameterReport, PlannerReport, Publisher, RosArguments,
    TopicReport, read_parameters,
};
use vlm_planner_tuner::nav2::{Mapping, Target};

/// Discovery is over by then: nodes announce themselves every 3 s, unless they are told otherwise.
const LISTEN: Duration = Duration::from_secs(4);
/// A question that is not answered for so long is asked again.
const ANSWER_TAKES: Duration = Duration::from_millis(500);
const SPIN: Duration = Duration::from_millis(20);

type Answer = Pin<Box<dyn Future<Output = r2r::Result<GetParameters::Response>> + Send>>;

/// Looks around, and prints what was found.
pub(super) fn run() -> Result<(), NodeError> {
    let arguments = RosArguments::read(std::env::args());
    let mut node = r2r::Node::create(context::create(&arguments)?, NODE_NAME, "")?;
    let settings = read_parameters(&arguments.parameters, &node.fully_qualified_name()?)?.settings;
    let mapping = Mapping::named(&settings.mapping, &settings.planner_spec()?)?;
    let names = Names::new(std::env::args(), &node.namespace()?, &node.name()?);
    let mut planner = Vec::<Questions>::new();
    for target in mapping.targets() {
        let node_name = names.resolve(target.node().as_str());
        match planner.iter_mut().find(|questions| questions.report.node == node_name) {
            Some(questions) => questions.report.parameters.push(unanswered(target)),
            None => planner.push(Questions::new(&mut node, node_name, target)?),
        }
    }

    let end = Instant::now() + LISTEN;
    while Instant::now() < end {
        node.spin_once(SPIN);
        planner.iter_mut().for_each(|questions| questions.go_on(&node));
    }

    let known = node.get_topic_names_and_types()?;
    let topics = Heard::ALL.into_iter().filter_map(|heard| heard.topic(&settings)).map(|asked| {
        let topic = names.resolve(&asked.name);
        let of_the_type = |types: &Vec<String>| types.contains(&asked.type_name);
        let mut alternatives: Vec<String> = known
            .iter()
            .filter(|(other, types)| **other != topic && of_the_type(types))
            .map(|(other, _)| other.clone())
            .collect();
        alternatives.sort();
        TopicReport { publishers: publishers(&node, &topic), topic, asked, alternatives }
    });
    let claim = mapping.targets().first().map(|target| claim_topic(&names, target.node()));
    let mut tuners: Vec<String> =
        claim.iter().flat_map(|claim| publishers(&node, claim)).map(|publisher| publisher.node).collect();
    tuners.sort();
    let report = GraphReport {
        node: node.fully_qualified_name()?,
        listened_s: LISTEN.as_secs_f64(),
        topics: topics.collect(),
        planner: planner.into_iter().map(|questions| questions.report).collect(),
        tuners,
    };
    let written = serde_json::to_string(&report).map_err(std::io::Error::from);
    written.and_then(|text| writeln!(std::io::stdout(), "{text}")).map_err(NodeError::Output)
}

fn publishers(node: &r2r::Node, topic: &str) -> Vec<Publisher> {
    let found = node.get_publishers_info_by_topic(topic, false).unwrap_or_default();
    let publishers = found.into_iter().map(|info| Publisher {
        node: name(&info.node_namespace, &info.node_name),
        type_name: info.topic_type,
        is_reliable: info.qos_profile.reliability == ReliabilityPolicy::Reliable,
        is_transient_local: info.qos_profile.durability == DurabilityPolicy::TransientLocal,
    });
    publishers.collect()
}

fn unanswered(target: &Target) -> PlannerParameterReport {
    PlannerParameterReport {
        parameter: target.parameter().to_owned(),
        ros_parameter: target.ros_parameter().to_owned(),
        expected: target.ros_type(),
        is_live: target.is_live(),
        found: FoundParameter::NoAnswer,
    }
}

/// One node of the planner, asked for one parameter after the other: an answer about several is empty when one of them
/// is not declared.
struct Questions {
    report: PlannerReport,
    client: r2r::Client<GetParameters::Service>,
    answers: String,
    asked: Option<(Answer, Instant)>,
}

impl Questions {
    fn new(node: &mut r2r::Node, node_name: String, target: &Target) -> Result<Self, NodeError> {
        let client = node.create_client(&format!("{node_name}/get_parameters"), QosProfile::services_default())?;
        let answers = answers_topic(&node_name);
        let report = PlannerReport { node: node_name, is_there: false, parameters: vec![unanswered(target)] };
        Ok(Self { report, client, answers, asked: None })
    }

    fn go_on(&mut self, node: &r2r::Node) {
        self.report.is_there = node.get_publishers_info_by_topic(&self.answers, true).is_ok_and(|all| !all.is_empty());
        let open = |parameter: &&mut PlannerParameterReport| parameter.found == FoundParameter::NoAnswer;
        let Some(parameter) = self.report.parameters.iter_mut().find(open).filter(|_| self.report.is_there) else {
            return;
        };
        match self.asked.take() {
            Some((mut answer, since)) => match (&mut answer).now_or_never() {
                Some(Ok(response)) => {
                    parameter.found = match response.values.first() {
                        Some(value) if value.type_ == DOUBLE => FoundParameter::Double(value.double_value),
                        Some(value) if value.type_ == INTEGER => FoundParameter::Integer(value.integer_value),
                        // rclcpp answers with a value that is not set, rclpy with none.
                        Some(value) if value.type_ != 0 => FoundParameter::OtherType,
                        _ => FoundParameter::NotDeclared,
                    };
                }
                None if since.elapsed() < ANSWER_TAKES => self.asked = Some((answer, since)),
                // Asked again.
                Some(Err(_)) | None => {}
            },
            None => {
                let request = GetParameters::Request { names: vec![parameter.ros_parameter.clone()] };
                self.asked = self.client.request(&request).ok().map(|answer| (answer.boxed(), Instant::now()));
            }
        }
    }
}
