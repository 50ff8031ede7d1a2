//! From planner parameters to one batch of ROS parameters for each node.

use super::{Mapping, NodeName, RosValue};
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
    let mut batches: Vec<Batch> = Vec::new();
    if parameters.spec() != mapping.planner() {
        return batches;
    }
    for target in mapping.targets() {
        let Some(value) = parameters.get(target.parameter()) else { continue };
        let ros_parameter = target.ros_parameter().to_owned();
        let planned = PlannedValue { ros_parameter, value: target.value_for(value) };
        match batches.iter_mut().find(|batch| batch.node == *target.node()) {
            Some(batch) => batch.values.push(planned),
            None => batches.push(Batch { node: target.node().clone(), values: vec![planned] }),
        }
    }
    batches
}
