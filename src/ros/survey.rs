//! `--survey`: what a node with these arguments would find, as JSON; it listens for a while, and sets nothing.

mod tally;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use r2r::QosProfile;
use r2r::qos::{DurabilityPolicy, ReliabilityPolicy};
use r2r::rcl_interfaces::srv::GetParameters;

use super::costmap_watch::CostmapsWatch;
use super::graph::{answers_topic, claim_topic, name};
use super::planner_clients::{DOUBLE, INTEGER};
use super::{NODE_NAME, NodeError, context};
use tally::{Clock, Tally};
use vlm_planner_tuner::live::{
    CostmapsReport, Expected, FoundParameter, GraphReport, Names, PlannerParameterReport, PlannerReport,
    PublishedTopic, Publisher, RosArguments, SubscribedTopic, Subscription, TopicReport, read_parameters,
};
use vlm_planner_tuner::nav2::{Mapping, Target};

/// Discovery is over by then: nodes announce themselves every 3 s, unless they are told otherwise.
const DISCOVER: Duration = Duration::from_millis(3500);
/// Long enough for a rate of 1 Hz to show.
const MEASURE: Duration = Duration::from_millis(2500);
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

    let mut costmaps = CostmapsWatch::new(&mut node, &mapping, &names)?;
    let mut seen = CostmapsReport::default();
    let mut spin = |node: &mut r2r::Node, time: Duration, tallies: &mut [Tally]| {
        let end = Instant::now() + time;
        while Instant::now() < end {
            node.spin_once(SPIN);
            planner.iter_mut().for_each(|questions| questions.go_on(node));
            if let Some(news) = costmaps.observe(node, Instant::now()) {
                seen = news.into();
            }
            tallies.iter_mut().for_each(Tally::take);
        }
    };
    spin(&mut node, DISCOVER, &mut []);
    let asked: Vec<SubscribedTopic> =
        Subscription::ALL.into_iter().filter_map(|topic| topic.topic(&settings)).collect();
    let clock = settings.use_sim_time.then(|| Clock::listen(&mut node)).transpose()?;
    let mut tallies = Vec::new();
    for asked in &asked {
        let publishers = publishers(&node, &names.resolve(&asked.name));
        if publishers.iter().any(|publisher| publisher.type_name == asked.type_name) {
            tallies.extend(Tally::listen(&mut node, asked, clock.as_ref())?);
        }
    }
    spin(&mut node, MEASURE, &mut tallies);

    let own = node.fully_qualified_name()?;
    let (published, others) = published(&node, &own)?;
    let topics = asked.into_iter().map(|asked| {
        let topic = names.resolve(&asked.name);
        let measured =
            tallies.iter().find(|tally| tally.purpose() == asked.purpose).map(|tally| tally.measured(MEASURE));
        TopicReport { publishers: publishers(&node, &topic), topic, asked, measured }
    });
    let nodes = |topics: &[&str]| {
        let all = topics.iter().flat_map(|topic| publishers(&node, &names.resolve(topic)));
        all.map(|publisher| publisher.node).collect::<BTreeSet<String>>().into_iter().collect::<Vec<_>>()
    };
    let claim = mapping.targets().first().map(|target| claim_topic(&names, target.node()));
    let mut tuners: Vec<String> =
        claim.iter().flat_map(|claim| publishers(&node, claim)).map(|publisher| publisher.node).collect();
    tuners.sort();
    let report = GraphReport {
        node: own,
        listened_s: (DISCOVER + MEASURE).as_secs_f64(),
        topics: topics.collect(),
        planner: planner.into_iter().map(|questions| questions.report).collect(),
        tuners,
        others,
        published,
        use_sim_time: settings.use_sim_time,
        clocks: nodes(&["/clock"]),
        transforms: settings.draws_images().then(|| nodes(&["/tf", "/tf_static"])),
        costmaps: seen,
        expected: Expected {
            image_size: settings.expected_size(),
            decision_rate_hz: settings.decision_rate,
            max_image_age_s: settings.max_frame_age,
            future_tolerance_s: settings.future_tolerance,
        },
    };
    let written = serde_json::to_string(&report).map_err(std::io::Error::from);
    written.and_then(|text| writeln!(std::io::stdout(), "{text}")).map_err(NodeError::Output)
}

/// What others publish, and who they are. Every node has /rosout and /parameter_events: they tell of nodes only.
fn published(node: &r2r::Node, own: &str) -> Result<(Vec<PublishedTopic>, Vec<String>), NodeError> {
    let (mut topics, mut nodes) = (Vec::new(), BTreeSet::new());
    for topic in node.get_topic_names_and_types()?.into_keys() {
        for publisher in publishers(node, &topic).into_iter().filter(|publisher| publisher.node != own) {
            topics.push(PublishedTopic { topic: topic.clone(), type_name: publisher.type_name });
            nodes.insert(publisher.node);
        }
    }
    topics.sort_by(|a, b| (&a.topic, &a.type_name).cmp(&(&b.topic, &b.type_name)));
    topics.dedup();
    Ok((topics, nodes.into_iter().collect()))
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
