//! A planner as data: its name, its parameters in the order of the action, what supervised heads predict besides.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::Error as _;

use super::{ParameterSpec, PlannerError, PlannerParameters, Prediction};

/// The shipped planner files, built into every binary.
const BUILT_IN: [(&str, &str); 4] = [
    ("dwa", include_str!("../../../config/planners/dwa.yaml")),
    ("teb", include_str!("../../../config/planners/teb.yaml")),
    ("mppi", include_str!("../../../config/planners/mppi.yaml")),
    ("ddp", include_str!("../../../config/planners/ddp.yaml")),
];

/// A planner's parameters, their ranges and safe defaults. Cheap to clone.
///
/// ```
/// use planner_tuner_core::planner::PlannerSpec;
///
/// let dwa = PlannerSpec::builtin("dwa")?;
/// let parameters = dwa.from_action(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])?;
/// assert_eq!(parameters.get("max_vel_x"), Some(1.1));
/// assert_eq!(parameters.get("inflation_radius"), Some(0.6));
/// # Ok::<(), planner_tuner_core::planner::PlannerError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PlannerSpec {
    content: Arc<Content>,
}

#[derive(Debug, PartialEq)]
struct Content {
    name: String,
    description: String,
    parameters: Vec<ParameterSpec>,
    predictions: Vec<Prediction>,
}

impl PlannerSpec {
    /// A shipped planner: `dwa`, `teb`, `mppi` or `ddp`, in either case.
    ///
    /// # Errors
    /// [`PlannerError::UnknownPlanner`] for any other name.
    pub fn builtin(name: &str) -> Result<Self, PlannerError> {
        match BUILT_IN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((known, text)) => Self::from_yaml(text, &format!("config/planners/{known}.yaml")),
            None => Err(PlannerError::UnknownPlanner {
                name: name.to_owned(),
                known: Self::builtin_names().collect::<Vec<_>>().join(", "),
                hint: did_you_mean(&name.to_lowercase(), Self::builtin_names()),
            }),
        }
    }

    /// Names of the shipped planners, lower case.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// A planner file of the user's own.
    ///
    /// # Errors
    /// [`PlannerError::Read`] when it cannot be read, [`PlannerError::Invalid`] as for [`Self::from_yaml`].
    pub fn load(path: &Path) -> Result<Self, PlannerError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| PlannerError::Read { path: path.to_owned(), source })?;
        Self::from_yaml(&text, &path.display().to_string())
    }

    /// A planner from YAML text; `file` names it in errors.
    ///
    /// # Errors
    /// [`PlannerError::Invalid`] with line and column for an unknown, missing or repeated key, a range that is reversed
    /// or not finite, a safe default outside it, a fraction where `integer` is set, a repeated or missing parameter.
    pub fn from_yaml(text: &str, file: &str) -> Result<Self, PlannerError> {
        let parsed = serde_yaml::from_str::<PlannerFile>(text).and_then(Content::try_from);
        match parsed {
            Ok(content) => Ok(Self { content: Arc::new(content) }),
            Err(problem) => {
                let hint = nearest_key(text, &problem.to_string());
                Err(PlannerError::Invalid { file: file.to_owned(), problem, hint })
            }
        }
    }

    /// The name as prompts write it: upper case, `DWA`.
    pub fn name(&self) -> &str {
        &self.content.name
    }

    /// What the planner does, one sentence.
    pub fn description(&self) -> &str {
        &self.content.description
    }

    /// The parameters in the order of the action.
    pub fn parameters(&self) -> &[ParameterSpec] {
        &self.content.parameters
    }

    /// What a supervised head predicts after the parameters.
    pub fn predictions(&self) -> &[Prediction] {
        &self.content.predictions
    }

    /// The values to fall back to when there is no valid decision.
    pub fn safe_defaults(&self) -> PlannerParameters {
        let values = self.parameters().iter().map(ParameterSpec::safe_default).collect();
        PlannerParameters::in_range(self.clone(), values)
    }
}

/// The keys of a planner file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlannerFile {
    name: String,
    description: String,
    parameters: Vec<ParameterSpec>,
    #[serde(default)]
    predictions: Vec<Prediction>,
}

impl TryFrom<PlannerFile> for Content {
    type Error = serde_yaml::Error;

    fn try_from(file: PlannerFile) -> Result<Self, serde_yaml::Error> {
        let PlannerFile { name, description, parameters, predictions } = file;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let problem = format!("name '{}' is not made of letters, digits and _", name.escape_debug());
            return Err(serde_yaml::Error::custom(problem));
        }
        if parameters.is_empty() {
            return Err(serde_yaml::Error::custom("parameters is empty, expected at least one entry"));
        }
        let mut seen = BTreeSet::new();
        let names = parameters.iter().map(ParameterSpec::name).chain(predictions.iter().map(Prediction::name));
        for name in names {
            if !seen.insert(name) {
                return Err(serde_yaml::Error::custom(format!(
                    "two entries are called '{name}'; remove or rename one"
                )));
            }
        }
        Ok(Self { name: name.to_uppercase(), description, parameters, predictions })
    }
}

const FILE_KEYS: [&str; 4] = ["name", "description", "parameters", "predictions"];
const ENTRY_KEYS: [&str; 8] = ["name", "unit", "min", "max", "integer", "safe_default", "loss_weight", "description"];

/// A half-sentence naming the known key that is nearest to the unknown one in `problem`, or nothing.
fn nearest_key(text: &str, problem: &str) -> String {
    let Ok(file) = serde_yaml::from_str::<serde_yaml::Mapping>(text) else { return String::new() };
    let unknown_in = |mapping: &serde_yaml::Mapping, known: &[&'static str]| {
        let mut keys = mapping.keys().filter_map(serde_yaml::Value::as_str);
        let unknown = keys.find(|key| !known.contains(key) && problem.contains(&format!("unknown field `{key}`")))?;
        Some(did_you_mean(unknown, known.iter().copied()))
    };
    let entries = ["parameters", "predictions"].into_iter().filter_map(|list| file.get(list)?.as_sequence()).flatten();
    unknown_in(&file, &FILE_KEYS)
        .or_else(|| entries.filter_map(serde_yaml::Value::as_mapping).find_map(|entry| unknown_in(entry, &ENTRY_KEYS)))
        .unwrap_or_default()
}

/// `; did you mean 'max'?` where a known name is near enough to be a typo, else nothing.
pub fn did_you_mean<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(similarity, _)| *similarity > 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!("; did you mean '{name}'?"))
        .unwrap_or_default()
}

/// A half-sentence naming the known key that is nearest to an unknown one: serde's message quotes both.
pub fn nearest_quoted_key(problem: &str) -> String {
    let Some((_, quoted)) = problem.split_once("unknown field `") else { return String::new() };
    let mut names = quoted.split('`').step_by(2);
    let unknown = names.next().unwrap_or_default();
    did_you_mean(unknown, names.filter(|name| !name.contains(' ')))
}
