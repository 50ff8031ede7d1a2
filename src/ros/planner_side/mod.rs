//! The planner's side of things: what it should have, whether it may be set, and what it says.

mod lines;

use std::time::Duration;

use r2r::std_msgs::msg::String as RosString;
use r2r::{Publisher, QosProfile};
use tokio::sync::mpsc::Sender;

use super::costmap_watch::CostmapNews;
use super::graph::GraphFacts;
use super::planner_clients::PlannerClients;
use super::publishers::publish;
use super::{Input, NodeError};
use vlm_planner_tuner::live::Settings;
use vlm_planner_tuner::nav2::{self, Mapping, NodeName, ParameterStatus, PlannerSink, SpeedLimit, TargetStatus};
use vlm_planner_tuner::planner::PlannerParameters;
use vlm_planner_tuner::planner::guard::{Level, Mode, Moment, Operator};

/// How long a planner may take to take its start values back when the node ends.
const LAST_CALL: Duration = Duration::from_millis(500);

/// A robot that is slower than this, m/s and rad/s, stands.
const STANDING_BELOW: f64 = 0.01;

/// Owner of all that is said to the planner.
pub(super) struct PlannerSide {
    mode: Mode,
    /// Another tuner at the same planner does not matter.
    force: bool,
    sink: PlannerSink,
    clients: PlannerClients,
    /// Where the controller of a bank is chosen, and the one that was.
    selector: Publisher<RosString>,
    controller: Option<String>,
    /// What the planner should have, kept while it may not be set yet.
    wanted: Option<PlannerParameters>,
    /// Another tuner that serves the same planner.
    other_tuner: Option<String>,
    /// This node has told others that the planner is its own.
    is_claimed: bool,
    /// Why the planner was given up on.
    fault: Option<String>,
    costmaps: CostmapNews,
    /// Switched to shadow because a costmap is blind, to be active again when it sees.
    waits_for_sight: bool,
}

impl PlannerSide {
    pub(super) fn new(
        node: &mut r2r::Node,
        settings: &Settings,
        mapping: Mapping,
        inputs: Sender<Input>,
    ) -> Result<Self, NodeError> {
        let sink = PlannerSink::new(mapping, settings.applier_limits())?;
        let latched = QosProfile::default().keep_last(1).transient_local();
        Ok(Self {
            mode: settings.operating_mode(),
            force: settings.force,
            clients: PlannerClients::new(node, sink.nodes(), inputs)?,
            sink,
            selector: node.create_publisher("controller_selector", latched)?,
            controller: None,
            wanted: None,
            other_tuner: None,
            is_claimed: false,
            fault: None,
            costmaps: CostmapNews::default(),
            waits_for_sight: false,
        })
    }

    pub(super) fn mapping(&self) -> &Mapping {
        self.sink.mapping()
    }

    /// The planner's nodes. The first stands for all of them when tuners agree on who sets its parameters.
    pub(super) fn nodes(&self) -> Vec<NodeName> {
        self.sink.nodes().cloned().collect()
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// What the planner should have, as far as an active node sets it.
    pub(super) fn sent(&self) -> Option<&PlannerParameters> {
        self.wanted.as_ref().filter(|_| self.mode == Mode::Active)
    }

    /// What became of each parameter.
    pub(super) fn status(&self) -> Vec<ParameterStatus> {
        self.sink.status()
    }

    /// Whether nothing more is to be said about the parameters at present.
    pub(super) fn is_settled(&self, statuses: &[ParameterStatus]) -> bool {
        self.mode != Mode::Active || !statuses.iter().any(|parameter| parameter.status == TargetStatus::Pending)
    }

    /// The controller of a bank that was asked for.
    pub(super) fn controller(&self) -> Option<&str> {
        self.sink.controller()
    }

    /// Why a costmap is blind.
    pub(super) fn blindness(&self) -> Option<&str> {
        self.costmaps.blind()
    }

    /// Another tuner that serves the same planner.
    pub(super) fn other_tuner(&self) -> Option<&str> {
        self.other_tuner.as_deref()
    }

    /// Why an active node sets nothing at present: another tuner has the planner, or it was given up on.
    pub(super) fn held_back(&self) -> Option<&str> {
        match (&self.fault, &self.other_tuner) {
            (Some(why), _) => Some(why),
            (None, Some(other)) if !self.force => Some(other),
            _ => None,
        }
    }

    /// The robot's velocity, m/s and rad/s: some sets wait until it stands.
    pub(super) fn velocity(&mut self, linear: f64, angular: f64) {
        self.sink.standing(linear.abs() < STANDING_BELOW && angular.abs() < STANDING_BELOW);
    }

    pub(super) fn new_goal(&mut self) {
        self.sink.new_goal();
    }

    /// Takes what the graph says about other tuners; why this one must leave the planner alone, if so.
    pub(super) fn take_graph(&mut self, now: Moment, facts: &GraphFacts) -> Option<String> {
        let claimed_now = facts.is_claimed() && !self.is_claimed;
        self.is_claimed = facts.is_claimed();
        self.other_tuner = facts.other_tuner().map(str::to_owned);
        match &self.other_tuner {
            Some(other) if !self.force => return Some(format!("{other} tunes the same planner")),
            _ if claimed_now || self.force => self.apply_wanted(now, false),
            _ => {}
        }
        None
    }

    /// Sets parameters if they may be: safe defaults at once, decisions when they are worth it.
    pub(super) fn want(&mut self, now: Moment, parameters: &PlannerParameters, at_once: bool) {
        self.wanted = Some(parameters.clone());
        self.apply_wanted(now, at_once);
    }

    /// Sets what is wanted, unless another tuner may have the planner.
    fn apply_wanted(&mut self, now: Moment, at_once: bool) {
        let is_ours = self.is_claimed || self.force || self.sink.nodes().next().is_none();
        let Some(wanted) = self.wanted.as_ref().filter(|_| is_ours && self.mode == Mode::Active) else { return };
        let commands = match at_once {
            true => self.sink.apply_at_once(now, wanted),
            false => self.sink.apply(now, wanted),
        };
        self.carry_out(commands);
        let controller = self.sink.controller().filter(|id| Some(*id) != self.controller.as_deref());
        if let Some(id) = controller.map(str::to_owned) {
            publish("controller_selector", &self.selector, &RosString { data: id.clone() });
            self.controller = Some(id);
        }
    }

    /// A planner's node answered, came or went.
    pub(super) fn take_event(&mut self, now: Moment, node: &NodeName, event: nav2::Event) {
        let commands = self.sink.handle(now, node, event);
        self.carry_out(commands);
    }

    pub(super) fn tick(&mut self, now: Moment) {
        let commands = self.sink.tick(now);
        self.carry_out(commands);
    }

    pub(super) fn take_speed_limit(&mut self, now: Moment, limit: Option<SpeedLimit>) {
        if limit != self.sink.speed_limit() {
            log::info!("speed limit: {limit:?}");
            let commands = self.sink.speed_limited(now, limit);
            self.carry_out(commands);
        }
    }

    fn carry_out(&self, commands: impl IntoIterator<Item = (NodeName, nav2::Command)>) {
        commands.into_iter().for_each(|(node, command)| self.clients.carry_out(node, command));
    }

    /// What is to be done about the mode: a costmap that sees nothing is no planner to speed up, and nothing is set until
    /// it sees.
    pub(super) fn take_costmaps(&mut self, news: CostmapNews) -> Option<Operator> {
        let before = std::mem::replace(&mut self.costmaps, news);
        match (before.blind(), self.costmaps.blind()) {
            (was, Some(why)) if was != Some(why) => {
                log::error!("{why}");
                if self.mode != Mode::Active {
                    return None;
                }
                // A planner that was given up on stays given up on.
                self.waits_for_sight = self.fault.is_none();
                Some(Operator::Shadow)
            }
            (Some(_), None) => {
                log::info!("no costmap is known to be blind any more");
                let resumes = std::mem::take(&mut self.waits_for_sight) && self.mode == Mode::Shadow;
                resumes.then_some(Operator::Enable)
            }
            _ => None,
        }
    }

    /// The operator has said what the mode is to be, whatever the costmaps see.
    pub(super) fn forget_sight(&mut self) {
        self.waits_for_sight = false;
    }

    /// Takes what the operator asks for, as far as it is about the planner.
    pub(super) fn operate(&mut self, request: Operator) {
        match request {
            Operator::Enable => {
                self.mode = Mode::Active;
                self.fault = None;
                self.sink.resume();
            }
            Operator::Shadow => self.mode = Mode::Shadow,
            Operator::Disable => self.mode = Mode::Disabled,
            Operator::Hold(_) | Operator::ResetHistory => {}
        }
        if self.mode != Mode::Active {
            self.sink.release();
            self.wanted = None;
        }
    }

    /// Takes changed settings; the words of a refusal.
    pub(super) fn set_limits(&mut self, settings: &Settings) -> Option<String> {
        self.force = settings.force;
        self.sink.set_limits(&settings.applier_limits()).err().map(|error| error.to_string())
    }

    /// Logs what the sink has to say; why nothing is set any more, if so.
    pub(super) fn watch(&mut self) -> Option<String> {
        if self.sink.mapping().bank().is_some() {
            self.sink.selector_is_heard(self.selector_listeners() > 0);
        }
        for notice in self.sink.take_notices() {
            match notice.level() {
                Level::Ok => log::info!("{notice}"),
                Level::Warn => log::warn!("{notice}"),
                Level::Error => log::error!("{notice}"),
            }
        }
        self.sink.halted()
    }

    /// Whether the planner was given up on for this very reason.
    pub(super) fn is_given_up_for(&self, why: &str) -> bool {
        self.fault.as_deref() == Some(why)
    }

    pub(super) fn give_up(&mut self, why: String) {
        self.fault = Some(why);
    }

    /// How many listen to which controller is to be used.
    fn selector_listeners(&self) -> usize {
        self.selector.get_inter_process_subscription_count().unwrap_or(0)
    }

    /// Gives the planner its start values back, on the way out.
    pub(super) async fn restore(&self) {
        for (node, values) in self.sink.start_values() {
            if self.clients.set_and_wait(&node, &values, LAST_CALL).await {
                log::info!("{node} has its start values again");
            } else {
                log::error!("{node} did not take its start values back");
            }
        }
    }
}
