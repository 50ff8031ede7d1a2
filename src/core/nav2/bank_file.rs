//! A bank as files: the tuner's mapping, and Nav2's parameters to match.

use std::fmt::Write as _;

use serde_yaml::{Mapping as YamlMapping, Value};

use super::bank_design::ControllerValues;
use super::{Mapping, MappingError};
use crate::planner::{ParameterSpec, PlannerSpec};

/// The mapping that a bank is added to, and the parameters of Nav2 that its controllers are copies in.
const MAPPING: &str = include_str!("../../../config/nav2/nav2_dwb.yaml");
const NAV2_PARAMETERS: &str = include_str!("../../../config/jackal_nav2_dwb.yaml");
/// The controller in both, and the first of the bank.
const FIRST: &str = "FollowPath";

/// Why a bank cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BankFileError {
    /// The mapping that was made is refused.
    #[error("the bank is none: {0}")]
    Mapping(#[from] MappingError),
    /// Nav2's parameters are no YAML.
    #[error("Nav2's parameters: {0}")]
    Yaml(#[from] serde_yaml::Error),
    /// Nav2's parameters lack what the bank is made of.
    #[error("Nav2's parameters have no {0}; give a file like config/jackal_nav2_dwb.yaml")]
    Lacks(&'static str),
}

/// The parameters that DWB instances can differ in: those of a plugin.
pub fn banked_parameters(planner: &PlannerSpec) -> Result<Vec<&ParameterSpec>, MappingError> {
    let mapping = Mapping::named("nav2_dwb", planner)?;
    let is_of_a_plugin = |parameter: &&ParameterSpec| {
        let mut places = mapping.targets().iter().filter(|target| target.parameter() == parameter.name());
        places.any(|target| target.ros_parameter().starts_with(FIRST))
    };
    Ok(planner.parameters().iter().filter(is_of_a_plugin).collect())
}

/// The mapping file with a bank of these controllers.
pub fn mapping_with_bank(parameters: &[&ParameterSpec], controllers: &[ControllerValues]) -> String {
    let head = MAPPING.split_once("# The way to have all seven").map_or(MAPPING, |(head, _)| head);
    let mut text = head.replacen("name: nav2_dwb", "name: nav2_dwb_bank", 1);
    text.push_str(
        "# Made by `planner_tuner bank`. Nav2 must run with the parameters that were written beside this file: what the\n\
         # controllers have is not set, it is chosen through the topic controller_selector.\n\
         controller_bank:\n  margin: 0.05       # how much nearer another controller must be, as a fraction of the ranges\n  \
         min_dwell: 2.0     # s between two switches\n  controllers:\n",
    );
    for (index, values) in controllers.iter().enumerate() {
        let values = parameters.iter().zip(values).map(|(parameter, value)| format!("{}: {value:?}", parameter.name()));
        let values = values.collect::<Vec<_>>().join(", ");
        // Writing to a string does not fail.
        let _ = writeln!(text, "    {}: {{{values}}}", id(index));
    }
    text
}

/// Nav2's parameters with the controllers of a bank: copies of `FollowPath` in `template`, or in the shipped file.
///
/// # Errors
/// [`BankFileError`] for an invalid template.
pub fn nav2_parameters(mapping: &Mapping, template: Option<&str>) -> Result<String, BankFileError> {
    let bank = mapping.bank().ok_or(BankFileError::Lacks("bank to write"))?;
    let mut file: Value = serde_yaml::from_str(template.unwrap_or(NAV2_PARAMETERS))?;
    let server = file
        .get_mut("controller_server")
        .and_then(|server| server.get_mut("ros__parameters"))
        .and_then(Value::as_mapping_mut)
        .ok_or(BankFileError::Lacks("controller_server.ros__parameters"))?;
    let block = server.get(FIRST).and_then(Value::as_mapping).cloned();
    let block = block.ok_or(BankFileError::Lacks("controller_server.ros__parameters.FollowPath"))?;
    let ids = bank.controllers().iter().map(|controller| Value::from(controller.id())).collect::<Vec<_>>();
    server.insert("controller_plugins".into(), Value::Sequence(ids));
    for controller in bank.controllers() {
        let mut own = block.clone();
        for (_, ros_parameter, value) in controller.expected() {
            let name = ros_parameter.split_once('.').map_or(ros_parameter.as_str(), |(_, name)| name);
            put(
                &mut own,
                name,
                match *value {
                    super::RosValue::Integer(value) => value.into(),
                    super::RosValue::Double(value) => value.into(),
                },
            );
        }
        server.insert(controller.id().into(), Value::Mapping(own));
    }
    let head = "# Made by `planner_tuner bank`: Nav2's parameters with the controllers of a bank. Comments are in the file that it\n\
                # was made from, config/jackal_nav2_dwb.yaml unless another was given.\n";
    Ok(head.to_owned() + &serde_yaml::to_string(&file)?)
}

/// Sets `a.b`, wherever the file has it: as one key or as one within the other.
fn put(block: &mut YamlMapping, name: &str, value: Value) {
    if let Some((outer, inner)) = name.split_once('.')
        && !block.contains_key(name)
        && let Some(nested) = block.get_mut(outer).and_then(Value::as_mapping_mut)
    {
        return put(nested, inner, value);
    }
    block.insert(name.into(), value);
}

fn id(index: usize) -> String {
    if index == 0 { FIRST.to_owned() } else { format!("{FIRST}{}", index + 1) }
}
