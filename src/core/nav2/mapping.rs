//! Where a planner's parameters live among the ROS parameters of its nodes.

use std::path::Path;

use serde::Deserialize;

use super::mapping_file::{MappingFile, TargetEntry};
use super::speed_limit::SpeedLimitRule;
use super::{ApplyRules, ControllerBank, InvalidMapping, MappingError, NodeName, RosType, Target};
use crate::planner::{ParameterSpec, PlannerSpec, did_you_mean, nearest_quoted_key};

/// The shipped mappings, built into every binary.
const BUILT_IN: [(&str, &str); 4] = [
    ("nav2_dwb", include_str!("../../../config/nav2/nav2_dwb.yaml")),
    ("nav2_mppi", include_str!("../../../config/nav2/nav2_mppi.yaml")),
    ("topic", include_str!("../../../config/nav2/topic.yaml")),
    ("shadow", include_str!("../../../config/nav2/shadow.yaml")),
];

/// Stands for the plugin's id in the ROS parameters of a mapping file.
pub(super) const PLUGIN: &str = "{plugin}";

/// Largest magnitude of a gain, an offset or a limit: keeps integers exact.
const LARGEST: f64 = 1e6;

/// What a mapping does with parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MappingKind {
    /// Sets ROS parameters.
    SetParameters,
    /// Publishes them; somebody else sets them.
    Topic,
    /// Computes and publishes, and says that nothing is set.
    Shadow,
}

/// A checked mapping for one planner.
///
/// ```
/// use planner_tuner_core::nav2::Mapping;
/// use planner_tuner_core::planner::PlannerSpec;
///
/// let mapping = Mapping::named("nav2_dwb", &PlannerSpec::builtin("dwa")?)?;
/// let live: Vec<_> = mapping.targets().iter().filter(|t| t.is_live()).map(|t| t.ros_parameter()).collect();
/// assert_eq!(live, ["FollowPath.max_vel_x", "FollowPath.max_vel_theta", "inflation_layer.inflation_radius"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    name: String,
    description: String,
    kind: MappingKind,
    planner: PlannerSpec,
    targets: Vec<Target>,
    without_twin: Vec<(String, String)>,
    bank: Option<ControllerBank>,
    apply: ApplyRules,
    costmaps: Vec<NodeName>,
    speed_limit: Option<SpeedLimitRule>,
}

impl Mapping {
    /// A shipped mapping (`nav2_dwb`, `nav2_mppi`, `topic`, `shadow`), or a file: anything with a `/` or that ends in
    /// `.yaml` or `.yml`.
    ///
    /// # Errors
    /// [`MappingError`] when there is none of that name, or the file is unreadable, wrong, or for another planner.
    pub fn named(name: &str, planner: &PlannerSpec) -> Result<Self, MappingError> {
        if name.contains('/') || name.ends_with(".yaml") || name.ends_with(".yml") {
            let path = Path::new(name);
            let text =
                std::fs::read_to_string(path).map_err(|source| MappingError::Read { path: path.to_owned(), source })?;
            return Self::from_yaml(&text, name, planner);
        }
        match BUILT_IN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((known, text)) => Self::from_yaml(text, &format!("config/nav2/{known}.yaml"), planner),
            None => Err(MappingError::Unknown {
                name: name.to_owned(),
                known: Self::builtin_names().collect::<Vec<_>>().join(", "),
                hint: did_you_mean(&name.to_lowercase(), Self::builtin_names()),
            }),
        }
    }

    /// Names of the shipped mappings.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// A mapping from YAML text; `file` names it in errors.
    ///
    /// # Errors
    /// [`MappingError::Syntax`] with line and column, [`MappingError::Invalid`] for what cannot be.
    pub fn from_yaml(text: &str, file: &str, planner: &PlannerSpec) -> Result<Self, MappingError> {
        let parsed = serde_yaml::from_str::<MappingFile>(text).map_err(|problem| {
            let hint = nearest_quoted_key(&problem.to_string());
            MappingError::Syntax { file: file.to_owned(), problem, hint }
        })?;
        Self::checked(parsed, planner).map_err(|problem| MappingError::Invalid { file: file.to_owned(), problem })
    }

    /// The mapping's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for, one sentence.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What it does with parameters.
    pub fn kind(&self) -> MappingKind {
        self.kind
    }

    /// The planner whose parameters it takes.
    pub fn planner(&self) -> &PlannerSpec {
        &self.planner
    }

    /// Where the parameters go, in the order of the file.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Planner parameters that have no place on these nodes, and why.
    pub fn without_twin(&self) -> &[(String, String)] {
        &self.without_twin
    }

    /// Controllers to choose among, if the file has a bank.
    pub fn bank(&self) -> Option<&ControllerBank> {
        self.bank.as_ref()
    }

    /// When a change is worth a set.
    pub fn apply_rules(&self) -> &ApplyRules {
        &self.apply
    }

    /// The costmaps that the robot drives by: they must see obstacles before anything is set.
    pub fn costmaps(&self) -> &[NodeName] {
        &self.costmaps
    }

    /// Where speed limits come from, and what they cap.
    pub fn speed_limit(&self) -> Option<&SpeedLimitRule> {
        self.speed_limit.as_ref()
    }

    fn checked(file: MappingFile, planner: &PlannerSpec) -> Result<Self, InvalidMapping> {
        let MappingFile { name, description, sink: kind, planner: made_for, plugin, parameters, without_twin, .. } =
            &file;
        if let Some(expected) = made_for.as_ref().filter(|name| !name.eq_ignore_ascii_case(planner.name())) {
            let (expected, found) = (expected.to_uppercase(), planner.name().to_owned());
            return Err(InvalidMapping::Planner { expected, found });
        }
        let mut bank =
            file.controller_bank.as_ref().map(|entry| ControllerBank::checked(entry, planner)).transpose()?;
        let plugins: Vec<String> = match (&bank, plugin) {
            (Some(bank), _) => bank.controllers().iter().map(|controller| controller.id().to_owned()).collect(),
            (None, plugin) => vec![plugin.clone().unwrap_or_else(|| "FollowPath".to_owned())],
        };
        let sets = *kind == MappingKind::SetParameters;
        if sets == parameters.0.is_empty() {
            let (sink, expected) = match kind {
                MappingKind::SetParameters => ("set_parameters", "must name where they go"),
                MappingKind::Topic => ("topic", "must be left out"),
                MappingKind::Shadow => ("shadow", "must be left out"),
            };
            return Err(InvalidMapping::Sink { sink, expected });
        }

        let mut targets = Vec::new();
        for (parameter, entries) in &parameters.0 {
            let spec = known_parameter("parameters", parameter, planner)?;
            for entry in entries {
                // What the bank chooses a controller for is not set as well: it is only expected there.
                if let Some(bank) = bank.as_mut().filter(|bank| bank.chooses(parameter)) {
                    bank.expect(spec, entry)?;
                    continue;
                }
                let per_plugin = entry.ros_parameter.contains(PLUGIN);
                for plugin in plugins.iter().take(if per_plugin { plugins.len() } else { 1 }) {
                    targets.push(target(spec, entry, plugin)?);
                }
            }
        }
        for (parameter, _) in &without_twin.0 {
            known_parameter("without_twin", parameter, planner)?;
        }
        check_once(&targets)?;
        check_floors(&mut targets)?;
        let apply = ApplyRules::checked(&file.apply)?;
        let costmap = |name: &String| {
            NodeName::new(name).ok_or_else(|| InvalidMapping::Field {
                parameter: "costmaps".to_owned(),
                field: "a name",
                found: format!("'{}'", name.escape_debug()),
                expected: "a ROS node name such as local_costmap/local_costmap",
            })
        };
        let costmaps = file.costmaps.iter().map(costmap).collect::<Result<Vec<_>, _>>()?;
        let speed_limit = file.speed_limit.as_ref().map(|entry| SpeedLimitRule::checked(entry, planner)).transpose()?;
        let mapped = |name: &str| parameters.0.iter().any(|(known, entries)| known == name && !entries.is_empty());
        let excused = |name: &str| without_twin.0.iter().any(|(known, _)| known == name);
        let mut names = planner.parameters().iter().map(ParameterSpec::name);
        if let Some(name) = names.find(|name| sets && !mapped(name) && !excused(name)) {
            let (planner, name) = (planner.name().to_owned(), name.to_owned());
            return Err(InvalidMapping::Forgotten { planner, name });
        }
        Ok(Self {
            name: name.clone(),
            description: description.clone(),
            kind: *kind,
            planner: planner.clone(),
            targets,
            without_twin: without_twin.0.clone(),
            bank,
            apply,
            costmaps,
            speed_limit,
        })
    }
}

/// The parameter of this name, or the nearest one in the error.
pub(super) fn known_parameter<'p>(
    place: &'static str,
    name: &str,
    planner: &'p PlannerSpec,
) -> Result<&'p ParameterSpec, InvalidMapping> {
    planner.parameters().iter().find(|known| known.name() == name).ok_or_else(|| InvalidMapping::Parameter {
        place,
        planner: planner.name().to_owned(),
        name: name.to_owned(),
        hint: did_you_mean(name, planner.parameters().iter().map(ParameterSpec::name)),
    })
}

/// The place of an entry for one plugin.
pub(super) fn target(spec: &ParameterSpec, entry: &TargetEntry, plugin: &str) -> Result<Target, InvalidMapping> {
    let ros_parameter = entry.ros_parameter.replace(PLUGIN, plugin);
    let ros_parameter = ros_parameter.as_str();
    let wrong = |field, found: String, expected| {
        Err(InvalidMapping::Field { parameter: spec.name().to_owned(), field, found, expected })
    };
    let Some(node) = NodeName::new(&entry.node) else {
        return wrong("node", format!("'{}'", entry.node.escape_debug()), "a ROS node name such as controller_server");
    };
    let part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !ros_parameter.split('.').all(part) {
        let expected = "a ROS parameter such as FollowPath.max_vel_x or {plugin}.max_vel_x";
        return wrong("ros_parameter", format!("'{}'", ros_parameter.escape_debug()), expected);
    }
    if node.base() == "controller_server" && !ros_parameter.contains('.') {
        let (parameter, ros_parameter) = (spec.name().to_owned(), ros_parameter.to_owned());
        return Err(InvalidMapping::TopLevel { parameter, node: node.to_string(), ros_parameter });
    }
    let limits = [("min", entry.min), ("max", entry.max)].into_iter().filter_map(|(key, limit)| Some((key, limit?)));
    for (field, number) in [("gain", entry.gain), ("offset", entry.offset)].into_iter().chain(limits) {
        if !(-LARGEST..=LARGEST).contains(&number) {
            return wrong(field, number.to_string(), "a finite number within ±1e6");
        }
    }
    if entry.gain.abs() < 1.0 / LARGEST {
        return wrong("gain", entry.gain.to_string(), "a number other than 0");
    }
    if let (Some(min), Some(max)) = (entry.min, entry.max)
        && min >= max
    {
        return wrong("min", min.to_string(), "less than max");
    }
    let whole = |limit: Option<f64>| limit.is_none_or(|limit| limit.fract() == 0.0);
    if entry.ros_type == RosType::Integer && !(whole(entry.min) && whole(entry.max)) {
        return wrong("min or max", "a fraction".to_owned(), "a whole number because type is integer");
    }
    if let Some(share) = entry.min_change.filter(|share| !(0.0..=0.5).contains(share)) {
        return wrong("min_change", share.to_string(), "a share of the range from 0 to 0.5");
    }
    if let Some(floor) = entry.at_least.as_ref().filter(|floor| !(0.0..=LARGEST).contains(&floor.share)) {
        return wrong("at_least", floor.share.to_string(), "a share from 0 to 1e6");
    }
    match (&entry.remedy, entry.live) {
        (None, false) => return wrong("remedy", "missing".to_owned(), "what to do about it, because live is false"),
        (Some(_), true) => return wrong("remedy", "given".to_owned(), "none, because live is true"),
        _ => {}
    }
    Ok(Target {
        parameter: spec.name().to_owned(),
        node,
        ros_parameter: ros_parameter.to_owned(),
        ros_type: entry.ros_type,
        gain: entry.gain,
        offset: entry.offset,
        min: entry.min,
        max: entry.max,
        live: entry.live,
        remedy: entry.remedy.clone(),
        range: entry.gain.abs() * (spec.max() - spec.min()),
        min_change: entry.min_change,
        at_least: entry.at_least.as_ref().map(|floor| (floor.share, floor.of.replace(PLUGIN, plugin))),
    })
}

/// Finds what floors are shares of, and counts their range to the range of what they raise.
fn check_floors(targets: &mut [Target]) -> Result<(), InvalidMapping> {
    let known: Vec<(NodeName, String, f64)> =
        targets.iter().map(|target| (target.node.clone(), target.ros_parameter.clone(), target.range)).collect();
    for target in targets {
        let Some((share, of)) = &target.at_least else { continue };
        let other =
            known.iter().find(|(node, name, _)| *node == target.node && name == of && *of != target.ros_parameter);
        match other {
            Some((_, _, range)) if target.ros_type == RosType::Double => target.range = target.range.max(share * range),
            _ => {
                let expected = "another ROS parameter of the same node in this file, for one of type double";
                let (parameter, found) = (target.parameter.clone(), of.clone());
                return Err(InvalidMapping::Field { parameter, field: "at_least", found, expected });
            }
        }
    }
    Ok(())
}

fn check_once(targets: &[Target]) -> Result<(), InvalidMapping> {
    for (index, target) in targets.iter().enumerate() {
        let same = |other: &&Target| other.node == target.node && other.ros_parameter == target.ros_parameter;
        if let Some(first) = targets.iter().take(index).find(same) {
            return Err(InvalidMapping::Twice {
                first: first.parameter.clone(),
                second: target.parameter.clone(),
                ros_parameter: target.ros_parameter.clone(),
                node: target.node.to_string(),
            });
        }
    }
    Ok(())
}
