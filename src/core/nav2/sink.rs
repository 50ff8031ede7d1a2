//! All nodes of a mapping together: what the ROS side talks to.

use super::bank_check::{self, BankCheck, Found};
use super::{
    Applier, ApplierLimits, ApplierLimitsError, Command, ControllerChoice, Counts, Event, LifecycleState, Mapping,
    NodeName, Notice, RosValue, SpeedLimit, TargetStatus, plan_under,
};
use crate::planner::PlannerParameters;
use crate::planner::guard::Moment;

/// Sets a planner's parameters on its nodes and knows what became of each.
///
/// Carry out each [`Command`] for its node and bring back the answer as an [`Event`] with the same call number; call
/// [`Self::tick`] every 50 ms or so. Answers that come too late may be brought back too, they are ignored.
#[derive(Debug, Clone)]
pub struct PlannerSink {
    mapping: Mapping,
    appliers: Vec<Applier>,
    notices: Vec<Notice>,
    choice: Option<ControllerChoice>,
    check: Option<BankCheck>,
    /// Somebody subscribes to the topic that controllers are chosen by.
    selector_is_heard: bool,
    published: Option<PlannerParameters>,
    limit: Option<SpeedLimit>,
}

/// How a node does.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeReport {
    /// The node.
    pub node: NodeName,
    /// Its parameter services are there.
    pub is_there: bool,
    /// The state that it told of.
    pub lifecycle: Option<LifecycleState>,
    /// What happened there.
    pub counts: Counts,
    /// Why nothing is set on it any more, if so.
    pub halted: Option<String>,
}

/// What became of a planner parameter in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterStatus {
    /// The planner parameter.
    pub parameter: String,
    /// The node and the ROS parameter; `None` where nothing is set.
    pub place: Option<(NodeName, String)>,
    /// The value that the node took, that the chosen controller has, or that was published.
    pub value: Option<RosValue>,
    /// The value that it should have, where something is set: what is not worth a set yet, or waits for its turn, differs.
    pub wanted: Option<RosValue>,
    /// What became of it.
    pub status: TargetStatus,
}

impl PlannerSink {
    /// A sink that has set nothing yet. What will not take effect is said at once ([`Self::take_notices`]).
    ///
    /// # Errors
    /// [`ApplierLimitsError`] for a limit that cannot be.
    pub fn new(mapping: Mapping, limits: ApplierLimits) -> Result<Self, ApplierLimitsError> {
        limits.check()?;
        let mut nodes: Vec<NodeName> = Vec::new();
        let mut notices = Vec::new();
        for target in mapping.targets() {
            if !nodes.contains(target.node()) {
                nodes.push(target.node().clone());
            }
            if let Some(remedy) = target.remedy() {
                let (ros_parameter, remedy) = (target.ros_parameter().to_owned(), remedy.to_owned());
                notices.push(Notice::NotLive { node: target.node().clone(), ros_parameter, remedy });
            }
        }
        let appliers = nodes.iter().map(|node| {
            let targets = mapping.targets().iter().filter(|target| target.node() == node).cloned();
            Applier::new(node.clone(), targets, limits.clone(), *mapping.apply_rules())
        });
        let appliers = appliers.collect();
        let choice = mapping.bank().map(super::ControllerBank::choice);
        let check = mapping.bank().and_then(BankCheck::new);
        Ok(Self { appliers, notices, choice, check, selector_is_heard: false, published: None, limit: None, mapping })
    }

    /// The mapping in use.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The nodes that parameters are set on. Each needs clients for `set_parameters`, `set_parameters_atomically` and
    /// `get_parameters`.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        let bank = self.check.as_ref().map(BankCheck::node);
        let others = self.appliers.iter().map(|applier| &applier.node).filter(move |node| Some(*node) != bank);
        bank.into_iter().chain(others)
    }

    /// Whether somebody subscribes to the topic that controllers are chosen by.
    pub fn selector_is_heard(&mut self, heard: bool) {
        self.selector_is_heard = heard;
    }

    /// A goal has come: what is set before the robot has moved far costs little.
    pub fn new_goal(&mut self) {
        self.appliers.iter_mut().for_each(|applier| applier.occasion.new_goal = true);
    }

    /// Whether the robot stands.
    pub fn standing(&mut self, standing: bool) {
        self.appliers.iter_mut().for_each(|applier| applier.occasion.standing = standing);
    }

    /// A speed limit is in force from now on, or none.
    pub fn speed_limited(&mut self, now: Moment, limit: Option<SpeedLimit>) -> Vec<(NodeName, Command)> {
        self.limit = limit;
        match self.published.clone() {
            Some(published) => self.want(now, &published, false),
            None => Vec::new(),
        }
    }

    /// The speed limit in force.
    pub fn speed_limit(&self) -> Option<SpeedLimit> {
        self.limit
    }

    /// How each node does, for the operator.
    pub fn reports(&self) -> Vec<NodeReport> {
        let report = |applier: &Applier| NodeReport {
            node: applier.node.clone(),
            is_there: applier.available,
            lifecycle: applier.lifecycle,
            counts: applier.counts.clone(),
            halted: applier.halted.clone(),
        };
        self.appliers.iter().map(report).collect()
    }

    /// Takes other limits from now on.
    ///
    /// # Errors
    /// [`ApplierLimitsError`] for a limit that cannot be; the old ones stay.
    pub fn set_limits(&mut self, limits: &ApplierLimits) -> Result<(), ApplierLimitsError> {
        limits.check()?;
        self.appliers.iter_mut().for_each(|applier| applier.limits = limits.clone());
        Ok(())
    }

    /// Wants these parameters set from now on, after every respawn too, as the mapping's rules allow.
    pub fn apply(&mut self, now: Moment, parameters: &PlannerParameters) -> Vec<(NodeName, Command)> {
        self.want(now, parameters, false)
    }

    /// As [`Self::apply`], and at once, however small the change: the safe defaults.
    pub fn apply_at_once(&mut self, now: Moment, parameters: &PlannerParameters) -> Vec<(NodeName, Command)> {
        self.want(now, parameters, true)
    }

    fn want(&mut self, now: Moment, parameters: &PlannerParameters, urgent: bool) -> Vec<(NodeName, Command)> {
        self.published = Some(parameters.clone());
        if let Some(choice) = &mut self.choice {
            if urgent {
                choice.update_at_once(now, parameters);
            } else {
                choice.update(now, parameters);
            }
        }
        let batches = plan_under(&self.mapping, parameters, self.limit);
        let mut commands = Vec::new();
        for applier in &mut self.appliers {
            let batch = batches.iter().find(|batch| batch.node == applier.node);
            let command = batch.and_then(|batch| applier.want(now, batch, urgent));
            commands.extend(command.map(|command| (applier.node.clone(), command)));
        }
        commands
    }

    /// Something happened at a node.
    pub fn handle(&mut self, now: Moment, node: &NodeName, event: Event) -> Vec<(NodeName, Command)> {
        let mut commands = Vec::new();
        if let Some(check) = self.check.as_mut().filter(|check| check.node() == node) {
            commands.extend(check.handle(now, &event));
        }
        let of_the_check = match &event {
            Event::GetResult { call, .. } | Event::CallFailed { call } => bank_check::is_ours(*call),
            _ => false,
        };
        if let Some(applier) = self.appliers.iter_mut().find(|applier| applier.node == *node && !of_the_check) {
            commands.extend(applier.handle(now, event));
        }
        commands.into_iter().map(|command| (node.clone(), command)).collect()
    }

    /// Time passed: finds calls that were not answered, reads back, tries again.
    pub fn tick(&mut self, now: Moment) -> Vec<(NodeName, Command)> {
        let tick = |applier: &mut Applier| Some((applier.node.clone(), applier.handle(now, Event::Tick)?));
        let mut commands: Vec<_> = self.appliers.iter_mut().filter_map(tick).collect();
        if let Some(check) = &mut self.check {
            let command = check.handle(now, &Event::Tick);
            commands.extend(command.map(|command| (check.node().clone(), command)));
        }
        commands
    }

    /// What has happened since the last call, in order.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        let mut notices = std::mem::take(&mut self.notices);
        self.appliers.iter_mut().for_each(|applier| notices.append(&mut applier.notices));
        notices
    }

    /// Why nothing is set on a node any more, if so: the guard must hear of it
    /// ([`crate::planner::guard::Guard::planner_failing`]).
    pub fn halted(&self) -> Option<String> {
        let halted = |applier: &Applier| Some(format!("{}: {}", applier.node, applier.halted.as_ref()?));
        self.appliers.iter().find_map(halted)
    }

    /// The operator enabled again: others' values, refusals and deaths are forgotten.
    pub fn resume(&mut self) {
        self.appliers.iter_mut().for_each(Applier::resume);
    }

    /// Sets nothing from now on until [`Self::apply`] is called: shadow mode, or switched off.
    pub fn release(&mut self) {
        self.appliers.iter_mut().for_each(Applier::release);
        self.choice.iter_mut().for_each(ControllerChoice::forget);
    }

    /// What the nodes had before they were touched, to be given back on exit with one `set_parameters_atomically` each.
    /// Parameters that were never set, or that somebody else has changed since, are not among them.
    pub fn start_values(&self) -> Vec<(NodeName, Vec<(String, RosValue)>)> {
        let of = |applier: &Applier| {
            let touched =
                |slot: &&super::slot::Slot| slot.yielded.is_none() && slot.accepted.or(slot.in_doubt).is_some();
            let slots = applier.slots.iter().filter(touched);
            let values: Vec<_> = slots.filter_map(|slot| Some((slot.name().to_owned(), slot.start?))).collect();
            (!values.is_empty()).then(|| (applier.node.clone(), values))
        };
        self.appliers.iter().filter_map(of).collect()
    }

    /// The controller to publish on `controller_selector`; `None` without a bank or before the first parameters.
    pub fn controller(&self) -> Option<&str> {
        self.choice.as_ref()?.id()
    }

    /// What became of each parameter: a line for each place it goes to, in the order of the planner.
    pub fn status(&self) -> Vec<ParameterStatus> {
        let mut lines = Vec::new();
        for spec in self.mapping.planner().parameters() {
            let parameter = spec.name();
            let places = self.appliers.iter().flat_map(Applier::status).filter(|(t, ..)| t.parameter() == parameter);
            let before = lines.len();
            lines.extend(places.map(|(target, value, wanted, status)| ParameterStatus {
                parameter: parameter.to_owned(),
                place: Some((target.node().clone(), target.ros_parameter().to_owned())),
                value,
                wanted,
                status,
            }));
            if lines.len() == before {
                lines.push(self.chosen_line(parameter).unwrap_or_else(|| self.line_without_place(parameter)));
            }
        }
        lines
    }

    /// Of a parameter that the bank chooses a controller for: it is what the chosen one has.
    fn chosen_line(&self, parameter: &str) -> Option<ParameterStatus> {
        let (bank, check) = (self.mapping.bank()?, self.check.as_ref()?);
        if !bank.chooses(parameter) {
            return None;
        }
        let chosen = self.controller().and_then(|id| bank.controller(id));
        let place = chosen.and_then(|controller| {
            let mut expected = controller.expected().iter();
            expected.find(|(name, ..)| name == parameter).map(|(_, ros_parameter, value)| (ros_parameter, *value))
        });
        let status = match chosen {
            None => TargetStatus::Pending,
            Some(controller) => self.chosen_status(check, controller.id()),
        };
        Some(ParameterStatus {
            parameter: parameter.to_owned(),
            place: place.map(|(ros_parameter, _)| (check.node().clone(), ros_parameter.clone())),
            value: place.map(|(_, value)| value),
            wanted: None,
            status,
        })
    }

    fn chosen_status(&self, check: &BankCheck, id: &str) -> TargetStatus {
        if let Some(state) = check.lifecycle.filter(|state| *state != LifecycleState::Active) {
            return TargetStatus::NotInUse { state };
        }
        let node = check.node();
        let why = match check.found(id) {
            _ if !self.selector_is_heard => {
                "nobody subscribes to the controller selector's topic: does the behaviour tree have a ControllerSelector?"
                    .to_owned()
            }
            Found::Unknown => format!("{node} has not been heard of its controller {id} yet"),
            Found::Missing => {
                format!("{node} has no controller {id} as the bank has it: start Nav2 with the bank's own parameters")
            }
            Found::Differs { ros_parameter, expected, found } => {
                let found = found.map_or_else(|| "no number".to_owned(), |found| found.to_string());
                format!("{ros_parameter} of {node} is {found}, and the bank says {expected}: start Nav2 with its parameters")
            }
            Found::There => return TargetStatus::Selected,
        };
        TargetStatus::NotSelected { why }
    }

    /// Of a parameter that is not set anywhere: published, or without a twin.
    fn line_without_place(&self, parameter: &str) -> ParameterStatus {
        let value = self.published.as_ref().and_then(|published| published.get(parameter));
        let status = if value.is_some() { TargetStatus::Published } else { TargetStatus::Pending };
        let value = value.map(RosValue::Double);
        ParameterStatus { parameter: parameter.to_owned(), place: None, value, wanted: None, status }
    }
}
