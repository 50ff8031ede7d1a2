//! Controllers that differ in what cannot be set while driving.
//!
//! Nav2's DWB reads sample counts and critic scales once, when it is configured. Several instances of it in
//! `controller_plugins`, each configured with other values, can be switched in mid-drive through the topic
//! `controller_selector`, which every default behaviour tree listens to. What a bank chooses is never set: nothing is freed
//! while Nav2's control loop reads it (navigation2#5706).

use std::time::Duration;

use super::mapping::{PLUGIN, known_parameter, target};
use super::mapping_file::{BankEntry, TargetEntry};
use super::{InvalidMapping, NodeName, RosValue};
use crate::planner::guard::Moment;
use crate::planner::{ParameterSpec, PlannerParameters, PlannerSpec};

/// One controller of a bank.
#[derive(Debug, Clone, PartialEq)]
pub struct BankedController {
    id: String,
    /// Planner parameter, its value there, and the width of its range.
    values: Vec<(String, f64, f64)>,
    /// Planner parameter, the ROS parameter, and the value that it is configured with.
    expected: Vec<(String, String, RosValue)>,
}

impl BankedController {
    /// Its id in `controller_plugins`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Planner parameters with the controller's value.
    pub fn values(&self) -> impl Iterator<Item = (&str, f64)> {
        self.values.iter().map(|(name, value, _)| (name.as_str(), *value))
    }

    /// Planner parameter, ROS parameter, and the value that Nav2's own file must give it.
    pub fn expected(&self) -> &[(String, String, RosValue)] {
        &self.expected
    }

    /// Distance from a set of parameters: root mean square over the bank's parameters, in fractions of their ranges.
    fn distance(&self, parameters: &PlannerParameters) -> f64 {
        let square = |(name, value, range): &(String, f64, f64)| {
            parameters.get(name).map_or(0.0, |wanted| ((wanted - value) / range).powi(2))
        };
        (self.values.iter().map(square).sum::<f64>() / self.values.len().max(1) as f64).sqrt()
    }
}

/// The controllers to choose among.
#[derive(Debug, Clone, PartialEq)]
pub struct ControllerBank {
    controllers: Vec<BankedController>,
    margin: f64,
    min_dwell: Duration,
    node: Option<NodeName>,
}

impl ControllerBank {
    /// The node that the controllers belong to.
    pub fn node(&self) -> Option<&NodeName> {
        self.node.as_ref()
    }

    /// The controller of this id.
    pub fn controller(&self, id: &str) -> Option<&BankedController> {
        self.controllers.iter().find(|controller| controller.id() == id)
    }

    /// Notes where a parameter that the bank chooses lies in each controller.
    pub(super) fn expect(&mut self, spec: &ParameterSpec, entry: &TargetEntry) -> Result<(), InvalidMapping> {
        let wrong = |field, found: &str, expected| {
            Err(InvalidMapping::Field { parameter: spec.name().to_owned(), field, found: found.to_owned(), expected })
        };
        if !entry.ros_parameter.contains(PLUGIN) {
            let expected = "{plugin} in it, because the controller_bank chooses it";
            return wrong("ros_parameter", &entry.ros_parameter, expected);
        }
        for controller in &mut self.controllers {
            let place = target(spec, entry, &controller.id)?;
            if self.node.get_or_insert_with(|| place.node.clone()) != place.node() {
                return wrong("node", &entry.node, "one node for all that the controller_bank chooses");
            }
            if let Some((_, value, _)) = controller.values.iter().find(|(name, ..)| name == spec.name()) {
                let value = place.value_for(*value);
                controller.expected.push((spec.name().to_owned(), place.ros_parameter().to_owned(), value));
            }
        }
        Ok(())
    }

    /// The controllers in the order of the file. The first is the one that runs at the start.
    pub fn controllers(&self) -> &[BankedController] {
        &self.controllers
    }

    /// Whether this planner parameter is one that the controllers differ in.
    pub fn chooses(&self, parameter: &str) -> bool {
        self.controllers.iter().any(|controller| controller.values.iter().any(|(name, ..)| name == parameter))
    }

    /// The choice at the start: none has been asked for.
    pub fn choice(&self) -> ControllerChoice {
        ControllerChoice { bank: self.clone(), chosen: None }
    }

    pub(super) fn checked(entry: &BankEntry, planner: &PlannerSpec) -> Result<Self, InvalidMapping> {
        let wrong = |field, found: String, expected| {
            Err(InvalidMapping::Field { parameter: "controller_bank".to_owned(), field, found, expected })
        };
        if !(0.0..=1.0).contains(&entry.margin) {
            return wrong("margin", entry.margin.to_string(), "a fraction of the range from 0 to 1");
        }
        if !(0.0..=3600.0).contains(&entry.min_dwell) {
            return wrong("min_dwell", entry.min_dwell.to_string(), "0 to 3600 s");
        }
        let mut controllers: Vec<BankedController> = Vec::new();
        for (id, values) in &entry.controllers.0 {
            if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return wrong("controllers", format!("'{}'", id.escape_debug()), "ids of letters, digits and _");
            }
            let mut checked = Vec::new();
            for (name, value) in &values.0 {
                let spec = known_parameter("controller_bank", name, planner)?;
                if !(spec.min()..=spec.max()).contains(value) {
                    let expected = "a value within the planner's range";
                    return wrong("controllers", format!("{name} {value} of {id}"), expected);
                }
                checked.push((name.clone(), *value, spec.max() - spec.min()));
            }
            checked.sort_by(|a, b| a.0.cmp(&b.0));
            let names = |values: &[(String, f64, f64)]| values.iter().map(|v| v.0.clone()).collect::<Vec<_>>();
            if checked.is_empty() || controllers.first().is_some_and(|first| names(&first.values) != names(&checked)) {
                return wrong(
                    "controllers",
                    format!("{id} with {:?}", names(&checked)),
                    "the same parameters for each",
                );
            }
            controllers.push(BankedController { id: id.clone(), values: checked, expected: Vec::new() });
        }
        if controllers.len() < 2 {
            return wrong("controllers", controllers.len().to_string(), "at least two to choose among");
        }
        let min_dwell = Duration::from_secs_f64(entry.min_dwell);
        Ok(Self { controllers, margin: entry.margin, min_dwell, node: None })
    }
}

/// The controller in use.
#[derive(Debug, Clone, PartialEq)]
pub struct ControllerChoice {
    bank: ControllerBank,
    chosen: Option<(usize, Moment)>,
}

impl ControllerChoice {
    /// The id to publish, when it is another one from now on: the nearest controller, if it is nearer than the one in
    /// use by more than the bank's margin and that one has run for its least time.
    pub fn update(&mut self, now: Moment, parameters: &PlannerParameters) -> Option<&str> {
        let (margin, min_dwell) = (self.bank.margin, self.bank.min_dwell);
        self.choose(now, parameters, margin, min_dwell)
    }

    /// As [`Self::update`], with neither margin nor least time: the safe defaults do not wait.
    pub fn update_at_once(&mut self, now: Moment, parameters: &PlannerParameters) -> Option<&str> {
        self.choose(now, parameters, 0.0, Duration::ZERO)
    }

    fn choose(
        &mut self,
        now: Moment,
        parameters: &PlannerParameters,
        margin: f64,
        min_dwell: Duration,
    ) -> Option<&str> {
        let distances = self.bank.controllers.iter().map(|controller| controller.distance(parameters));
        let (nearest, distance) = distances.clone().enumerate().min_by(|a, b| a.1.total_cmp(&b.1))?;
        if let Some((current, since)) = self.chosen {
            let gained = distances.clone().nth(current)? - distance;
            if nearest == current || gained <= margin || now.since(since) < min_dwell {
                return None;
            }
        }
        self.chosen = Some((nearest, now));
        self.id()
    }

    /// The id of the controller in use; `None` before the first decision.
    pub fn id(&self) -> Option<&str> {
        self.bank.controllers.get(self.chosen?.0).map(BankedController::id)
    }

    /// Forgets the choice, as when the planner restarts with its own.
    pub fn forget(&mut self) {
        self.chosen = None;
    }
}
