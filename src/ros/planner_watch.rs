//! What the planner's nodes say of themselves: their states, the sets that they took, and the speed limits that they obey.
//! Runs on the thread that spins.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use r2r::QosProfile;
use r2r::lifecycle_msgs::msg::TransitionEvent;
use r2r::lifecycle_msgs::srv::GetState;
use r2r::rcl_interfaces::msg::ParameterEvent;
use tokio::sync::mpsc::Sender;

use super::costmap_watch::CostmapsWatch;
use super::intake::{Messages, next};
use super::planner_clients::to_value;
use super::{Input, NodeError};
use vlm_planner_tuner::live::Names;
use vlm_planner_tuner::nav2::{Event, LifecycleState, Mapping, NodeName};

/// Between two questions for a node's state. Its own word usually comes first.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// A question that is not answered for so long is given up: the node is there and not spun.
const ANSWER_TAKES: Duration = Duration::from_secs(1);
/// Longest pause between questions that are not answered.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

type Answer<T> = BoxFuture<'static, r2r::Result<T>>;

/// A question to a node, one at a time, with longer and longer pauses while nobody answers.
pub(super) struct Question<T> {
    asked: Option<(Answer<T>, Instant)>,
    next: Instant,
    pause: Duration,
}

impl<T> Question<T> {
    pub(super) fn new() -> Self {
        Self { asked: None, next: Instant::now(), pause: ANSWER_TAKES }
    }

    /// Asks, if it is time to, and returns the answer when it is there; the next question comes `every` later.
    pub(super) fn go_on(
        &mut self,
        now: Instant,
        every: Duration,
        ask: impl FnOnce() -> Option<Answer<T>>,
    ) -> Option<T> {
        if let Some((mut answer, since)) = self.asked.take() {
            match (&mut answer).now_or_never() {
                Some(Ok(answer)) => {
                    (self.next, self.pause) = (now + every, ANSWER_TAKES);
                    return Some(answer);
                }
                None if now.saturating_duration_since(since) < ANSWER_TAKES => self.asked = Some((answer, since)),
                Some(Err(_)) | None => {
                    self.next = now + self.pause;
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
            }
        } else if now >= self.next {
            self.asked = ask().map(|answer| (answer, now));
            if self.asked.is_none() {
                self.next = now + every;
            }
        }
        None
    }

    /// Asks at the next opportunity.
    pub(super) fn soon(&mut self, now: Instant) {
        (self.next, self.pause) = (now, ANSWER_TAKES);
    }
}

/// A node of the planner.
struct Watched {
    name: NodeName,
    full_name: String,
    /// DDS topic of the answers to `get_state`: there is one while the node has such a service.
    answers: String,
    transitions: Option<Messages<TransitionEvent>>,
    client: r2r::Client<GetState::Service>,
    question: Question<GetState::Response>,
}

/// The subscriptions and questions.
pub(super) struct PlannerWatch {
    nodes: Vec<Watched>,
    events: Option<Messages<ParameterEvent>>,
    #[cfg(nav2_msgs)]
    limits: Option<Messages<r2r::nav2_msgs::msg::SpeedLimit>>,
    costmaps: CostmapsWatch,
    inputs: Sender<Input>,
}

impl PlannerWatch {
    pub(super) fn new(
        node: &mut r2r::Node,
        mapping: &Mapping,
        planner: &[NodeName],
        inputs: Sender<Input>,
    ) -> Result<Self, NodeError> {
        let names = Names::new(std::env::args(), &node.namespace()?, &node.name()?);
        let mut nodes = Vec::new();
        for name in planner {
            let full_name = names.resolve(name.as_str());
            let transitions = node.subscribe(&format!("{full_name}/transition_event"), QosProfile::default())?;
            nodes.push(Watched {
                name: name.clone(),
                answers: format!("rr{full_name}/get_stateReply"),
                transitions: Some(Box::pin(transitions)),
                client: node.create_client(&format!("{full_name}/get_state"), QosProfile::services_default())?,
                question: Question::new(),
                full_name,
            });
        }
        let events: Option<Messages<ParameterEvent>> = match nodes.is_empty() {
            true => None,
            false => Some(Box::pin(node.subscribe("/parameter_events", QosProfile::default().keep_last(1000))?)),
        };
        #[cfg(nav2_msgs)]
        let limits: Option<Messages<r2r::nav2_msgs::msg::SpeedLimit>> = match mapping.speed_limit() {
            Some(rule) => Some(Box::pin(node.subscribe(rule.topic(), QosProfile::default())?)),
            None => None,
        };
        #[cfg(not(nav2_msgs))]
        if mapping.speed_limit().is_some() {
            log::info!(
                "speed limits are not heard: built without nav2_msgs; a set may lift a percentage that is in force"
            );
        }
        Ok(Self {
            nodes,
            events,
            #[cfg(nav2_msgs)]
            limits,
            costmaps: CostmapsWatch::new(node, mapping, &names)?,
            inputs,
        })
    }

    /// Takes what has come, and asks. Call after every spin.
    pub(super) fn look(&mut self, node: &mut r2r::Node, now: Instant) {
        while let Some(event) = next(&mut self.events) {
            let Some(watched) = self.nodes.iter().find(|watched| watched.full_name == event.node) else { continue };
            let changed = event.changed_parameters.iter();
            let values = changed.map(|parameter| (parameter.name.clone(), to_value(&parameter.value))).collect();
            self.tell(Input::Planner(watched.name.clone(), Event::Changed(values)));
        }
        let mut news = Vec::new();
        for watched in &mut self.nodes {
            while let Some(event) = next(&mut watched.transitions) {
                news.extend(LifecycleState::from_id(event.goal_state.id).map(|state| (watched.name.clone(), state)));
                watched.question.soon(now + ASK_EVERY);
            }
            let Watched { client, question, answers, name, .. } = watched;
            let answer = question.go_on(now, ASK_EVERY, || {
                let is_there = node.get_publishers_info_by_topic(answers, true).is_ok_and(|all| !all.is_empty());
                is_there.then(|| client.request(&GetState::Request {}).ok())?.map(|answer| answer.boxed())
            });
            let state = answer.and_then(|answer| LifecycleState::from_id(answer.current_state.id));
            news.extend(state.map(|state| (name.clone(), state)));
        }
        for (name, state) in news {
            self.tell(Input::Planner(name, Event::Lifecycle(state)));
        }
        #[cfg(nav2_msgs)]
        while let Some(limit) = next(&mut self.limits) {
            let limit = vlm_planner_tuner::nav2::SpeedLimit::from_message(limit.percentage, limit.speed_limit);
            self.tell(Input::SpeedLimit(limit));
        }
        self.costmaps.look(node, now, &self.inputs);
    }

    fn tell(&self, input: Input) {
        if let Err(lost) = self.inputs.try_send(input) {
            log::error!("the node is too busy to take what the planner says: {lost}");
        }
    }
}
