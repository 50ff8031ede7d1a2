//! Who publishes what: asked once a second, as r2r has no graph events.

use std::time::{Duration, Instant};

use r2r::std_msgs::msg::String as RosString;
use r2r::{Publisher, QosProfile};
use tokio::sync::mpsc::Sender;

use super::{Input, NodeError};
use vlm_planner_tuner::live::{Claim, ClaimAction, Claimant, Names, Settings, SubscribedTopic, Subscription};
use vlm_planner_tuner::nav2::{Event, NodeName, ProcessWatch};

const EVERY: Duration = Duration::from_secs(1);
/// Between two looks whether a planner's node is another process than before.
const RESPAWN_EVERY: Duration = Duration::from_millis(50);

/// What the graph looks like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct GraphFacts {
    /// The image topic's final name.
    image_topic: String,
    /// Its publishers: node, type, reliability.
    image_publishers: Vec<String>,
    /// Of those, the ones that this node can hear.
    image_publishers_of_our_type: usize,
    /// The odometry topic's final name.
    odometry_topic: String,
    /// How many publish odometry.
    odometry_publishers: usize,
    /// The plan topic's final name, where images are drawn.
    plan_topic: Option<String>,
    /// How many publish plans.
    plan_publishers: usize,
    /// Another tuner that sets the same planner's parameters.
    other_tuner: Option<String>,
    /// Whether this node has told others that the planner is its own.
    claimed: bool,
}

impl GraphFacts {
    /// The final name of the topic that images, or the scans that they are drawn of, come from.
    pub(super) fn image_topic(&self) -> &str {
        &self.image_topic
    }

    /// Its publishers: node, type, reliability.
    pub(super) fn image_publishers(&self) -> &[String] {
        &self.image_publishers
    }

    /// Whether one of them publishes what this node subscribes to.
    pub(super) fn has_images_of_our_type(&self) -> bool {
        self.image_publishers_of_our_type > 0
    }

    /// The odometry topic's final name.
    pub(super) fn odometry_topic(&self) -> &str {
        &self.odometry_topic
    }

    /// How many publish odometry.
    pub(super) fn odometry_publishers(&self) -> usize {
        self.odometry_publishers
    }

    /// The plan topic's final name; empty where there is none.
    pub(super) fn plan_topic(&self) -> &str {
        self.plan_topic.as_deref().unwrap_or_default()
    }

    /// How many publish plans.
    pub(super) fn plan_publishers(&self) -> usize {
        self.plan_publishers
    }

    /// Another tuner that sets the same planner's parameters.
    pub(super) fn other_tuner(&self) -> Option<&str> {
        self.other_tuner.as_deref()
    }

    /// Whether this node has told others that the planner is its own.
    pub(super) fn is_claimed(&self) -> bool {
        self.claimed
    }
}

/// Looks at the graph, and claims the planner: a tuner publishes on `<planner node>/tuned_by` for as long as it runs,
/// and one that finds another there sets nothing.
pub(super) struct GraphWatch {
    facts: GraphFacts,
    image_type: String,
    own_name: String,
    claim_topic: Option<String>,
    claim: Claim,
    claim_publisher: Option<Publisher<RosString>>,
    inputs: Sender<Input>,
    next: Instant,
    planner: Vec<PlannerNode>,
    next_presence: Instant,
}

/// A node of the planner, and the process that it is.
struct PlannerNode {
    name: NodeName,
    /// DDS topic of the answers to `get_parameters`. It tells of a new process some 2 s before the names of its nodes
    /// do, which come in a topic of their own; and a process that has it can be asked.
    answers: String,
    is_there: bool,
    process: ProcessWatch,
}

impl GraphWatch {
    /// `planner` are the planner's nodes; the first of them is claimed.
    pub(super) fn new(
        node: &r2r::Node,
        settings: &Settings,
        planner: Vec<NodeName>,
        inputs: Sender<Input>,
    ) -> Result<Self, NodeError> {
        let names = Names::new(std::env::args(), &node.namespace()?, &node.name()?);
        let images = if settings.draws_images() { Subscription::Scans } else { Subscription::Images }.topic(settings);
        let resolved =
            |topic: Option<&SubscribedTopic>| topic.map(|topic| names.resolve(&topic.name)).unwrap_or_default();
        let facts = GraphFacts {
            image_topic: resolved(images.as_ref()),
            odometry_topic: resolved(Subscription::Odometry.topic(settings).as_ref()),
            plan_topic: Subscription::Plan.topic(settings).map(|plan| names.resolve(&plan.name)),
            ..GraphFacts::default()
        };
        let from = if settings.draws_images() { "drawn from" } else { "from" };
        let plan = facts.plan_topic.as_ref().map(|plan| format!(", plan from {plan}")).unwrap_or_default();
        log::info!("images {from} {}{plan}, odometry from {}", facts.image_topic, facts.odometry_topic);
        Ok(Self {
            facts,
            image_type: images.map(|images| images.type_name).unwrap_or_default(),
            claim: Claim::new(node.fully_qualified_name()?),
            own_name: node.fully_qualified_name()?,
            claim_topic: planner.first().map(|node| claim_topic(&names, node)),
            claim_publisher: None,
            inputs,
            // Discovery takes a moment: who claims before it, claims what is not free.
            next: Instant::now() + EVERY,
            next_presence: Instant::now(),
            planner: planner
                .into_iter()
                .map(|name| PlannerNode {
                    answers: answers_topic(&names.resolve(name.as_str())),
                    name,
                    is_there: false,
                    process: ProcessWatch::default(),
                })
                .collect(),
        })
    }

    /// Looks, if it is time to.
    pub(super) fn look(&mut self, node: &mut r2r::Node, now: Instant) {
        if now >= self.next_presence {
            self.next_presence = now + RESPAWN_EVERY;
            self.look_for_respawns(node);
        }
        if now < self.next {
            return;
        }
        self.next = now + EVERY;
        let publishers = node.get_publishers_info_by_topic(&self.facts.image_topic, false).unwrap_or_default();
        self.facts.image_publishers = publishers
            .iter()
            .map(|publisher| {
                let name = name(&publisher.node_namespace, &publisher.node_name);
                format!("{name} ({}, {:?})", publisher.topic_type, publisher.qos_profile.reliability)
            })
            .collect();
        self.facts.image_publishers_of_our_type =
            publishers.iter().filter(|publisher| publisher.topic_type == self.image_type).count();
        let odometry = node.get_publishers_info_by_topic(&self.facts.odometry_topic, false).unwrap_or_default();
        self.facts.odometry_publishers = odometry.len();
        if let Some(topic) = &self.facts.plan_topic {
            self.facts.plan_publishers = node.get_publishers_info_by_topic(topic, false).unwrap_or_default().len();
        }
        self.look_for_other_tuners(node);
        // A full inbox has a newer look coming.
        self.inputs.try_send(Input::Graph(self.facts.clone())).ok();
    }

    fn look_for_respawns(&mut self, node: &r2r::Node) {
        for planner in &mut self.planner {
            let answering = node.get_publishers_info_by_topic(&planner.answers, true).unwrap_or_default();
            let is_gone = std::mem::replace(&mut planner.is_there, !answering.is_empty()) && answering.is_empty();
            if is_gone {
                self.inputs.try_send(Input::Planner(planner.name.clone(), Event::Left)).ok();
            }
            if planner.process.is_replaced(answering.into_iter().map(|endpoint| endpoint.endpoint_gid.to_vec())) {
                log::debug!("{} is another process than before", planner.name);
                // A full inbox: the sink finds out by reading, half a second later.
                self.inputs.try_send(Input::Planner(planner.name.clone(), Event::Replaced)).ok();
            }
        }
    }

    fn look_for_other_tuners(&mut self, node: &mut r2r::Node) {
        let Some(topic) = &self.claim_topic else { return };
        let topic = topic.clone();
        let found = claimants(node, &topic);
        let (action, other) = self.claim.look(&found);
        match action {
            ClaimAction::Keep => {}
            ClaimAction::Publish => {
                let qos = QosProfile::default().keep_last(1).transient_local();
                self.claim_publisher = node.create_publisher(&topic, qos).ok();
                if let Some(publisher) = &self.claim_publisher {
                    publisher.publish(&RosString { data: self.own_name.clone() }).ok();
                    self.claim.published(&found);
                    self.claim.find_own(&claimants(node, &topic));
                }
            }
            ClaimAction::Withdraw => {
                if let Some(publisher) = self.claim_publisher.take() {
                    node.destroy_publisher(publisher);
                }
            }
        }
        self.facts.other_tuner = other;
        self.facts.claimed = self.claim.is_held();
    }
}

/// Who publishes on the topic of claims.
fn claimants(node: &r2r::Node, topic: &str) -> Vec<Claimant> {
    let publishers = node.get_publishers_info_by_topic(topic, false).unwrap_or_default();
    let claimants = publishers.into_iter().map(|publisher| Claimant {
        node: name(&publisher.node_namespace, &publisher.node_name),
        gid: publisher.endpoint_gid.to_vec(),
    });
    claimants.collect()
}

/// DDS topic of a node's answers to `get_parameters`, by its final name.
pub(super) fn answers_topic(node: &str) -> String {
    format!("rr{node}/get_parametersReply")
}

/// Where a tuner says that a planner's node is its own.
pub(super) fn claim_topic(names: &Names, node: &NodeName) -> String {
    names.resolve(&format!("{}/tuned_by", node.as_str()))
}

/// A node's full name.
pub(super) fn name(namespace: &str, node: &str) -> String {
    format!("{}/{node}", namespace.trim_end_matches('/'))
}
