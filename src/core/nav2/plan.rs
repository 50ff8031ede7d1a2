//! From planner parameters to one batch of ROS parameters for each node.

use super::{Mapping, NodeName, RosValue, SpeedLimit};
use crate::planner::PlannerParameters;

/// A ROS parameter with the value to set.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedValue {
    /// The ROS parameter.
    pub ros_parameter: String,
    /// Its value, of the type that the server expects.
    pub value: RosValue,
}

/// What one node gets, for a single call of `set_parameters_atomically`.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The node.
    pub node: NodeName,
    /// Its parameters, in the order of the mapping file.
    pub values: Vec<PlannedValue>,
}

/// What to set where. Empty for a mapping that sets nothing, and for parameters of another planner.
pub fn plan(mapping: &Mapping, parameters: &PlannerParameters) -> Vec<Batch> {
    plan_under(mapping, parameters, None)
}

/// As [`plan`], under a speed limit. One below the parameter's range is followed all the same: it is the place's, and the
/// smaller speed is the safer one.
pub fn plan_under(mapping: &Mapping, parameters: &PlannerParameters, limit: Option<SpeedLimit>) -> Vec<Batch> {
    let cap = mapping.speed_limit().zip(limit).map(|(rule, limit)| (rule.parameter(), rule.cap(limit)));
    let mut batches: Vec<Batch> = Vec::new();
    if parameters.spec() != mapping.planner() {
        return batches;
    }
    for target in mapping.targets() {
        let Some(value) = parameters.get(target.parameter()) else { continue };
        let value = match cap {
            Some((parameter, cap)) if parameter == target.parameter() => value.min(cap),
            _ => value,
        };
        let ros_parameter = target.ros_parameter().to_owned();
        let planned = PlannedValue { ros_parameter, value: target.value_for(value) };
        match batches.iter_mut().find(|batch| batch.node == *target.node()) {
            Some(batch) => batch.values.push(planned),
            None => batches.push(Batch { node: target.node().clone(), values: vec![planned] }),
        }
    }
    batches.iter_mut().for_each(|batch| raise_to_floors(mapping, batch));
    batches
}

/// Raises what another parameter of the batch gives a floor.
fn raise_to_floors(mapping: &Mapping, batch: &mut Batch) {
    for target in mapping.targets().iter().filter(|target| *target.node() == batch.node) {
        let Some((share, of)) = target.at_least() else { continue };
        let Some(other) = batch.values.iter().find(|planned| planned.ros_parameter == of) else { continue };
        let floor = other.value.as_f64() * share;
        let mut own = batch.values.iter_mut().filter(|planned| planned.ros_parameter == target.ros_parameter());
        if let Some(planned) = own.next().filter(|planned| planned.value.as_f64() < floor) {
            planned.value = RosValue::Double(floor);
        }
    }
}
