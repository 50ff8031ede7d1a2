//! A planner's parameters as the simulated planner's, and back.

use crate::planner::{PlannerParameters, PlannerSpec};
use crate::simulation::move_base::Tuning;
use crate::simulation::trajectory_planner::TunedParameters;

/// The simulated planner is the dynamic window approach, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("planner {planner} has no {parameter}; simulated drives have the planner dwa")]
pub struct OtherPlanner {
    /// The planner's name.
    pub planner: String,
    /// The parameter that it lacks.
    pub parameter: &'static str,
}

/// The simulated planner's parameters.
///
/// # Errors
/// [`OtherPlanner`].
pub fn tuning_of(parameters: &PlannerParameters) -> Result<Tuning, OtherPlanner> {
    let planner = || parameters.spec().name().to_owned();
    tuning_with(|parameter| parameters.get(parameter).ok_or_else(|| OtherPlanner { planner: planner(), parameter }))
}

/// The simulated planner's parameters with these values by name. Counts are rounded.
///
/// # Errors
/// The first that `value` gives.
pub fn tuning_with<E>(value: impl Fn(&'static str) -> Result<f64, E>) -> Result<Tuning, E> {
    Ok(Tuning {
        planner: TunedParameters {
            max_vel_x: value("max_vel_x")?,
            max_vel_theta: value("max_vel_theta")?,
            vx_samples: value("vx_samples")?.round() as u32,
            vtheta_samples: value("vtheta_samples")?.round() as u32,
            path_distance_bias: value("path_distance_bias")?,
            goal_distance_bias: value("goal_distance_bias")?,
        },
        inflation_radius: value("inflation_radius")?,
    })
}

/// Values by the planner's names, in the order of its action; `None` for a name that the simulated planner does not have.
pub fn parameters_of(tuning: &Tuning, planner: &PlannerSpec) -> Option<Vec<f64>> {
    planner.parameters().iter().map(|parameter| value_of(tuning, parameter.name())).collect()
}

/// The value of a parameter; `None` for a name that the simulated planner does not have.
pub fn value_of(tuning: &Tuning, name: &str) -> Option<f64> {
    let Tuning { planner: tuned, inflation_radius } = tuning;
    match name {
        "max_vel_x" => Some(tuned.max_vel_x),
        "max_vel_theta" => Some(tuned.max_vel_theta),
        "vx_samples" => Some(f64::from(tuned.vx_samples)),
        "vtheta_samples" => Some(f64::from(tuned.vtheta_samples)),
        "path_distance_bias" => Some(tuned.path_distance_bias),
        "goal_distance_bias" => Some(tuned.goal_distance_bias),
        "inflation_radius" => Some(*inflation_radius),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn dwa_goes_there_and_back() {
        let dwa = PlannerSpec::builtin("dwa").unwrap();
        let tuning = tuning_of(&dwa.safe_defaults()).unwrap();
        assert_eq!(tuning, Tuning::default());
        let values: Vec<f64> = dwa.safe_defaults().iter().map(|(_, value)| value).collect();
        assert_eq!(parameters_of(&tuning, &dwa), Some(values));
    }

    #[test]
    fn another_planner_is_refused_by_name() {
        let teb = PlannerSpec::builtin("teb").unwrap();
        let said = tuning_of(&teb.safe_defaults()).unwrap_err().to_string();
        assert!(said.starts_with(&format!("planner {} has no ", teb.name())), "{said}");
        assert_eq!(parameters_of(&Tuning::default(), &teb), None);
    }
}
