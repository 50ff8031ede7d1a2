//! From what a head gives to what a planner takes.

use super::{ParameterSpec, PlannerError, PlannerParameters, PlannerSpec};

/// A value that a head gave outside the range of its parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct ClampedValue {
    /// The parameter (or prediction).
    pub name: String,
    /// What the head gave, in the parameter's unit.
    pub value: f64,
    /// The limit that was taken instead.
    pub limit: f64,
}

/// A supervised head's output in the planner's terms.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    /// The parameters, cut to their ranges.
    pub parameters: PlannerParameters,
    /// Name and value of what the head predicts besides, cut to its range; never sent to a planner.
    pub predictions: Vec<(String, f64)>,
    /// What had to be cut.
    pub clamped: Vec<ClampedValue>,
}

const ACTION: &str = "policy action";
const REGRESSION: &str = "regression head";

impl PlannerSpec {
    /// Parameters from an action in [-1, 1], one number a parameter: `action * (max - min)/2 + (max + min)/2`, cut to
    /// the range (exploration noise leads beyond it), integers rounded to nearest with halves away from zero.
    /// Computed in double precision.
    ///
    /// # Errors
    /// [`PlannerError::Length`] for another number of values, [`PlannerError::NotFinite`] for NaN and infinities.
    pub fn from_action(&self, action: &[f32]) -> Result<PlannerParameters, PlannerError> {
        let parameters = self.parameters();
        if action.len() != parameters.len() {
            return Err(self.length(ACTION, parameters.len().to_string(), action.len()));
        }
        let scale = |(parameter, &value): (&ParameterSpec, &f32)| {
            let value = self.finite(ACTION, parameter.name(), value)?;
            let (min, max) = (parameter.min(), parameter.max());
            Ok(parameter.settable(value * (max - min) / 2.0 + (max + min) / 2.0))
        };
        let values = parameters.iter().zip(action).map(scale).collect::<Result<_, PlannerError>>()?;
        Ok(PlannerParameters::in_range(self.clone(), values))
    }

    /// Parameters from a supervised head's denormalised output (`out * param_std + param_mean`): one value a parameter
    /// in its unit, then as many of the predictions as the head was trained for. Values are cut to their ranges and
    /// integers rounded as in [`Self::from_action`]; what was cut is reported.
    ///
    /// # Errors
    /// [`PlannerError::Length`] for another number of values, [`PlannerError::NotFinite`] for NaN and infinities.
    pub fn from_regression(&self, outputs: &[f32]) -> Result<Regression, PlannerError> {
        let count = self.parameters().len();
        let most = count + self.predictions().len();
        let (Some((parameter_outputs, prediction_outputs)), true) =
            (outputs.split_at_checked(count), outputs.len() <= most)
        else {
            let expected = if most > count { format!("{count} to {most}") } else { count.to_string() };
            return Err(self.length(REGRESSION, expected, outputs.len()));
        };

        let mut clamped = Vec::new();
        let mut cut = |name: &str, value: f64, min: f64, max: f64| {
            let limit = value.clamp(min, max);
            if limit != value {
                clamped.push(ClampedValue { name: name.to_owned(), value, limit });
            }
            limit
        };
        let mut values = Vec::with_capacity(count);
        for (parameter, &output) in self.parameters().iter().zip(parameter_outputs) {
            let value = self.finite(REGRESSION, parameter.name(), output)?;
            values.push(parameter.settable(cut(parameter.name(), value, parameter.min(), parameter.max())));
        }
        let mut predictions = Vec::with_capacity(prediction_outputs.len());
        for (prediction, &output) in self.predictions().iter().zip(prediction_outputs) {
            let value = self.finite(REGRESSION, prediction.name(), output)?;
            let value = cut(prediction.name(), value, prediction.min(), prediction.max());
            predictions.push((prediction.name().to_owned(), value));
        }
        Ok(Regression { parameters: PlannerParameters::in_range(self.clone(), values), predictions, clamped })
    }

    fn finite(&self, head: &'static str, parameter: &str, value: f32) -> Result<f64, PlannerError> {
        if value.is_finite() {
            return Ok(value.into());
        }
        let (planner, parameter) = (self.name().to_owned(), parameter.to_owned());
        Err(PlannerError::NotFinite { planner, parameter, head, value })
    }

    fn length(&self, head: &'static str, expected: String, found: usize) -> PlannerError {
        PlannerError::Length { planner: self.name().to_owned(), head, expected, found }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::OnceLock;

    use proptest::prelude::*;

    use super::*;

    fn every_planner() -> &'static [PlannerSpec] {
        static PLANNERS: OnceLock<Vec<PlannerSpec>> = OnceLock::new();
        PLANNERS.get_or_init(|| PlannerSpec::builtin_names().map(|name| PlannerSpec::builtin(name).unwrap()).collect())
    }

    fn assert_settable(parameters: &PlannerParameters) {
        for (parameter, value) in parameters.iter() {
            assert!(parameter.min() <= value && value <= parameter.max(), "{} = {value}", parameter.name());
            assert!(!parameter.is_integer() || value.fract() == 0.0, "{} = {value}", parameter.name());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn any_bit_pattern_is_in_range_or_refused(bits in proptest::array::uniform8(any::<u32>())) {
            let numbers = bits.map(f32::from_bits);
            for planner in every_planner() {
                let numbers = numbers.iter().copied().take(planner.parameters().len()).collect::<Vec<_>>();
                let finite = numbers.iter().all(|n| n.is_finite());
                match planner.from_action(&numbers) {
                    Ok(parameters) => { prop_assert!(finite); assert_settable(&parameters) }
                    Err(error) => prop_assert!(!finite, "{error}"),
                }
                match planner.from_regression(&numbers) {
                    Ok(regression) => { prop_assert!(finite); assert_settable(&regression.parameters) }
                    Err(error) => prop_assert!(!finite, "{error}"),
                }
            }
        }

        #[test]
        fn actions_scale_linearly(action in -1.0f32..=1.0) {
            let parameters = PlannerSpec::builtin("dwa").unwrap().from_action(&[action; 7]).unwrap();
            prop_assert!((parameters.get("max_vel_x").unwrap() - (1.1 + 0.9 * f64::from(action))).abs() < 1e-12);
            prop_assert_eq!(parameters.get("vx_samples").unwrap(), (8.0 + 4.0 * f64::from(action)).round());
        }
    }

    #[test]
    fn the_ends_of_the_action_are_the_ends_of_the_range() {
        for planner in every_planner() {
            let count = planner.parameters().len();
            for (parameter, value) in planner.from_action(&vec![-1.0; count]).unwrap().iter() {
                assert!((value - parameter.min()).abs() < 1e-12, "{} = {value}", parameter.name());
            }
            for (parameter, value) in planner.from_action(&vec![1.0; count]).unwrap().iter() {
                assert!((value - parameter.max()).abs() < 1e-12, "{} = {value}", parameter.name());
            }
        }
    }

    #[test]
    fn halves_round_away_from_zero() {
        // vx_samples: 0.125 * 4 + 8 = 8.5
        let parameters = PlannerSpec::builtin("dwa").unwrap().from_action(&[0.125; 7]).unwrap();
        assert_eq!(parameters.get("vx_samples"), Some(9.0));
    }

    #[test]
    fn numbers_that_are_none_are_refused_by_name() {
        let dwa = PlannerSpec::builtin("dwa").unwrap();
        let error = dwa.from_action(&[0.0, 0.0, f32::NAN, 0.0, 0.0, 0.0, 0.0]).unwrap_err().to_string();
        assert_eq!(error, "DWA vx_samples: the policy action gave NaN, expected a finite number; nothing is set");
        let error = dwa.from_regression(&[0.0, f32::INFINITY, 0.0, 0.0, 0.0, 0.0, 0.0]).unwrap_err().to_string();
        assert!(error.starts_with("DWA max_vel_theta: the regression head gave inf"), "{error}");
    }

    #[test]
    fn another_number_of_values_is_refused() {
        let dwa = PlannerSpec::builtin("dwa").unwrap();
        let error = dwa.from_action(&[0.0; 8]).unwrap_err().to_string();
        assert!(error.starts_with("DWA takes 7 values from a policy action, found 8"), "{error}");
        for count in [0, 6, 10] {
            let error = dwa.from_regression(&vec![0.0; count]).unwrap_err().to_string();
            assert!(error.contains("takes 7 to 9 values"), "{error}");
        }
    }

    #[test]
    fn regression_reports_what_it_cut() {
        let dwa = PlannerSpec::builtin("dwa").unwrap();
        let regression = dwa.from_regression(&[2.5, 1.0, 7.4, 20.5, 0.5, 0.5, 0.3, -0.75]).unwrap();
        assert_eq!(regression.parameters.get("max_vel_x"), Some(2.0));
        assert_eq!(regression.parameters.get("vx_samples"), Some(7.0));
        assert_eq!(regression.parameters.get("vtheta_samples"), Some(21.0));
        assert_eq!(regression.predictions, [("next_linear_vel".to_owned(), -0.5)]);
        let cut = |name: &str, value, limit| ClampedValue { name: name.to_owned(), value, limit };
        assert_eq!(regression.clamped, [cut("max_vel_x", 2.5, 2.0), cut("next_linear_vel", -0.75, -0.5)]);
    }

    #[test]
    fn integers_are_written_as_integers_in_the_order_of_the_action() {
        let json = serde_json::to_string(&PlannerSpec::builtin("DWA").unwrap().safe_defaults()).unwrap();
        assert_eq!(
            json,
            r#"{"max_vel_x":0.5,"max_vel_theta":1.57,"vx_samples":6,"vtheta_samples":20,"path_distance_bias":0.75,"goal_distance_bias":1.0,"inflation_radius":0.3}"#
        );
    }
}
