//! All nodes of a mapping together: what the ROS side talks to.

use super::{
    Applier, ApplierLimits, ApplierLimitsError, Command, ControllerChoice, Event, Mapping, MappingKind, NodeName,
    Notice, RosValue, TargetStatus, plan,
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
    published: Option<PlannerParameters>,
}

/// What became of a planner parameter in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterStatus {
    /// The planner parameter.
    pub parameter: String,
    /// The node and the ROS parameter; `None` where nothing is set.
    pub place: Option<(NodeName, String)>,
    /// The value that the node took, or that was published.
    pub value: Option<RosValue>,
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
            Applier::new(node.clone(), targets, limits.clone())
        });
        let appliers = appliers.collect();
        let choice = mapping.bank().map(super::ControllerBank::choice);
        Ok(Self { appliers, notices, choice, published: None, mapping })
    }

    /// The mapping in use.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The nodes that parameters are set on. Each needs clients for `set_parameters`, `set_parameters_atomically` and
    /// `get_parameters`.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.appliers.iter().map(|applier| &applier.node)
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

    /// Wants these parameters set from now on, after every respawn too.
    pub fn apply(&mut self, now: Moment, parameters: &PlannerParameters) -> Vec<(NodeName, Command)> {
        self.published = Some(parameters.clone());
        if let Some(choice) = &mut self.choice {
            choice.update(now, parameters);
        }
        let batches = plan(&self.mapping, parameters);
        let mut commands = Vec::new();
        for applier in &mut self.appliers {
            let batch = batches.iter().find(|batch| batch.node == applier.node);
            let command = batch.and_then(|batch| applier.want(now, batch));
            commands.extend(command.map(|command| (applier.node.clone(), command)));
        }
        commands
    }

    /// Something happened at a node.
    pub fn handle(&mut self, now: Moment, node: &NodeName, event: Event) -> Option<(NodeName, Command)> {
        let applier = self.appliers.iter_mut().find(|applier| applier.node == *node)?;
        let command = applier.handle(now, event)?;
        Some((node.clone(), command))
    }

    /// Time passed: finds calls that were not answered, reads back, tries again.
    pub fn tick(&mut self, now: Moment) -> Vec<(NodeName, Command)> {
        let tick = |applier: &mut Applier| Some((applier.node.clone(), applier.handle(now, Event::Tick)?));
        self.appliers.iter_mut().filter_map(tick).collect()
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
            lines.extend(places.map(|(target, value, status)| ParameterStatus {
                parameter: parameter.to_owned(),
                place: Some((target.node().clone(), target.ros_parameter().to_owned())),
                value,
                status,
            }));
            if lines.len() == before {
                let value = self.published.as_ref().and_then(|published| published.get(parameter));
                let status = self.status_without_place(parameter, value.is_some());
                let value = value.map(RosValue::Double);
                lines.push(ParameterStatus { parameter: parameter.to_owned(), place: None, value, status });
            }
        }
        lines
    }

    /// Of a parameter that is not set anywhere: chosen through the bank, published, or without a twin.
    fn status_without_place(&self, parameter: &str, known: bool) -> TargetStatus {
        let chosen = self.mapping.bank().is_some_and(|bank| bank.chooses(parameter));
        match self.mapping.kind() {
            _ if !known => TargetStatus::Pending,
            MappingKind::SetParameters if chosen => TargetStatus::Applied,
            _ => TargetStatus::Published,
        }
    }
}
