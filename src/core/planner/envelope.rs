//! How fast and how far parameters may change: slew rate, hysteresis, and a floor for the inflation radius.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::guard::Moment;
use super::{ParameterSpec, PlannerParameters, PlannerSpec, did_you_mean};

/// The parameter that the inscribed-radius floor is for. TEB's `inflation_dist` is no distance from an obstacle but a
/// buffer behind its minimum distance, so it has no floor.
const INFLATION_RADIUS: &str = "inflation_radius";

/// Longest time that counts for the slew rate: a value that stood still for a minute must not jump for it.
const LONGEST_STEP: Duration = Duration::from_secs(1);

/// How parameters may change from one decision to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvelopeLimits {
    /// Fastest change, as a fraction of a parameter's range per second; `None` for no limit.
    pub slew_rate: Option<f64>,
    /// Slew rates of single parameters, by name, in place of [`Self::slew_rate`].
    pub slew_rate_of: BTreeMap<String, f64>,
    /// A change smaller than this fraction of the range is not worth a call to the planner; 0 passes every change.
    pub hysteresis: f64,
    /// Radius of the largest circle within the robot's footprint, m. Jackal (0.508 m x 0.430 m): 0.215.
    pub inscribed_radius: f64,
    /// What the inflation radius exceeds the inscribed radius by at least, m.
    pub inflation_margin: f64,
    /// Lets the inflation radius go below its floor, where the costmap stops charging for touching an obstacle.
    pub allow_below_inscribed: bool,
}

impl Default for EnvelopeLimits {
    fn default() -> Self {
        Self {
            slew_rate: Some(0.5),
            slew_rate_of: BTreeMap::new(),
            hysteresis: 0.02,
            inscribed_radius: 0.215,
            inflation_margin: 0.02,
            allow_below_inscribed: false,
        }
    }
}

impl EnvelopeLimits {
    /// Lets every set of parameters pass as it was decided.
    pub fn off() -> Self {
        Self { slew_rate: None, hysteresis: 0.0, allow_below_inscribed: true, ..Self::default() }
    }

    fn slew_rate_of(&self, parameter: &ParameterSpec) -> Option<f64> {
        self.slew_rate_of.get(parameter.name()).copied().or(self.slew_rate)
    }

    /// The smallest value of a parameter, its floor included.
    fn floor_of(&self, parameter: &ParameterSpec) -> f64 {
        if parameter.name() != INFLATION_RADIUS || self.allow_below_inscribed {
            return parameter.min();
        }
        let floor = self.inscribed_radius + self.inflation_margin;
        parameter.min().max(if parameter.is_integer() { floor.ceil() } else { floor })
    }

    fn check(&self, planner: &PlannerSpec) -> Result<(), EnvelopeError> {
        let rates = self.slew_rate.iter().map(|rate| ("slew_rate".to_owned(), *rate));
        let rates_of = self.slew_rate_of.iter().map(|(name, rate)| (format!("slew_rate of {name}"), *rate));
        for (field, value) in rates.chain(rates_of) {
            if !(1e-6..=1e6).contains(&value) {
                let expected = "a fraction of the range per second from 1e-6 to 1e6";
                return Err(EnvelopeError::Limit { field, value, expected });
            }
        }
        if !(0.0..=0.5).contains(&self.hysteresis) {
            let (field, expected) = ("hysteresis".to_owned(), "a fraction of the range from 0 to 0.5");
            return Err(EnvelopeError::Limit { field, value: self.hysteresis, expected });
        }
        for (field, value) in [("inscribed_radius", self.inscribed_radius), ("inflation_margin", self.inflation_margin)]
        {
            if !(0.0..=10.0).contains(&value) {
                return Err(EnvelopeError::Limit { field: field.to_owned(), value, expected: "0 to 10 m" });
            }
        }
        let names = || planner.parameters().iter().map(ParameterSpec::name);
        if let Some(unknown) = self.slew_rate_of.keys().find(|name| !names().any(|known| known == *name)) {
            let hint = did_you_mean(unknown, names());
            return Err(EnvelopeError::Parameter { planner: planner.name().to_owned(), name: unknown.clone(), hint });
        }
        for parameter in planner.parameters() {
            let floor = self.floor_of(parameter);
            if floor > parameter.max() {
                return Err(EnvelopeError::Floor { floor, max: parameter.max() });
            }
        }
        Ok(())
    }
}

/// Why limits were refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EnvelopeError {
    /// A number that cannot be a limit.
    #[error("{field} is {value}, expected {expected}")]
    Limit {
        /// The limit.
        field: String,
        /// What was given.
        value: f64,
        /// What would do.
        expected: &'static str,
    },
    /// A slew rate for a parameter that the planner does not have.
    #[error("slew_rate of {name}: {planner} has no such parameter{hint}")]
    Parameter {
        /// The planner's name.
        planner: String,
        /// What was given.
        name: String,
        /// The nearest known name as a half-sentence, or nothing.
        hint: String,
    },
    /// The robot is too large for the planner file.
    #[error(
        "inscribed_radius + inflation_margin is {floor} m, above the planner's largest inflation_radius {max} m; \
         widen its range in the planner file or set allow_below_inscribed"
    )]
    Floor {
        /// The floor, m.
        floor: f64,
        /// Upper end of the range, m.
        max: f64,
    },
}

/// Why a value differs from what was proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeCause {
    /// The inflation radius was raised to its floor.
    InscribedRadius,
    /// The step was longer than the slew rate allows.
    SlewRate,
    /// The change was too small to be worth setting: the last value stays.
    Hysteresis,
}

/// A value that is not the proposed one.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvelopeChange {
    /// The parameter.
    pub parameter: String,
    /// What was proposed, in its unit.
    pub proposed: f64,
    /// What is applied instead.
    pub applied: f64,
    /// Why.
    pub cause: ChangeCause,
}

impl fmt::Display for EnvelopeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parameter, proposed, applied, cause } = self;
        let cause = match cause {
            ChangeCause::InscribedRadius => "the robot's inscribed radius plus margin is the floor",
            ChangeCause::SlewRate => "limited by the slew rate",
            ChangeCause::Hysteresis => "the change is within the hysteresis",
        };
        write!(f, "{parameter} {applied} instead of {proposed}: {cause}")
    }
}

/// Parameters that have passed the envelope, with what the next ones are measured against.
#[derive(Debug, Clone, PartialEq)]
pub struct Enveloped {
    parameters: PlannerParameters,
    changes: Vec<EnvelopeChange>,
    /// Where each value is on its way, before rounding and hysteresis; otherwise slow ramps would never arrive.
    ramps: Vec<f64>,
    at: Moment,
}

impl Enveloped {
    /// The parameters to apply.
    pub fn parameters(&self) -> &PlannerParameters {
        &self.parameters
    }

    /// What was changed and why, in the order of the action.
    pub fn changes(&self) -> &[EnvelopeChange] {
        &self.changes
    }
}

/// Turns proposed parameters into those to apply. Pure: the same arguments give the same result.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    planner: PlannerSpec,
    limits: EnvelopeLimits,
}

impl Envelope {
    /// An envelope around a planner's parameters.
    ///
    /// # Errors
    /// [`EnvelopeError`] for invalid limits, or that leave nothing of a parameter's range.
    pub fn new(planner: PlannerSpec, limits: EnvelopeLimits) -> Result<Self, EnvelopeError> {
        limits.check(&planner)?;
        Ok(Self { planner, limits })
    }

    /// The planner whose parameters pass here.
    pub fn planner(&self) -> &PlannerSpec {
        &self.planner
    }

    /// The limits.
    pub fn limits(&self) -> &EnvelopeLimits {
        &self.limits
    }

    /// The parameters to apply at `now` in place of `proposed`, measured against what was applied `last`. Without a
    /// last set (or after one for another planner) only the floor counts. Every value is settable: finite, within its
    /// range and floor, integral where the planner wants integers.
    pub fn apply(&self, proposed: &PlannerParameters, last: Option<&Enveloped>, now: Moment) -> Enveloped {
        let last = last.filter(|last| last.parameters.spec() == proposed.spec());
        let elapsed = last.map_or(Duration::ZERO, |last| now.since(last.at).min(LONGEST_STEP)).as_secs_f64();
        let mut before = last.into_iter().flat_map(|last| last.parameters.iter().map(|(_, v)| v).zip(&last.ramps));
        let (mut values, mut ramps, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for (parameter, proposal) in proposed.iter() {
            let (value, ramp, cause) = self.step(parameter, proposal, before.next().map(|(v, r)| (v, *r)), elapsed);
            if let Some(cause) = cause.filter(|_| value != proposal) {
                let parameter = parameter.name().to_owned();
                changes.push(EnvelopeChange { parameter, proposed: proposal, applied: value, cause });
            }
            values.push(value);
            ramps.push(ramp);
        }
        Enveloped { parameters: PlannerParameters::in_range(proposed.spec().clone(), values), changes, ramps, at: now }
    }

    /// The planner's safe defaults. Only the floor counts: safety does not wait for a slew rate.
    pub fn safe_defaults(&self, now: Moment) -> Enveloped {
        self.apply(&self.planner.safe_defaults(), None, now)
    }

    /// The value to apply, where its ramp is, and why it may differ from the proposal.
    fn step(
        &self,
        parameter: &ParameterSpec,
        proposal: f64,
        before: Option<(f64, f64)>,
        elapsed: f64,
    ) -> (f64, f64, Option<ChangeCause>) {
        let floor = self.limits.floor_of(parameter);
        let target = proposal.max(floor);
        let mut cause = (target != proposal).then_some(ChangeCause::InscribedRadius);
        let Some((last_value, last_ramp)) = before else { return (target, target, cause) };

        let range = parameter.max() - parameter.min();
        let mut ramp = target;
        if let Some(rate) = self.limits.slew_rate_of(parameter) {
            let longest = rate * range * elapsed;
            ramp = target.clamp(last_ramp - longest, last_ramp + longest).max(floor);
            if ramp != target {
                cause = Some(ChangeCause::SlewRate);
            }
        }
        let value = parameter.settable(ramp).max(floor);
        if (value - last_value).abs() < self.limits.hysteresis * range && last_value >= floor {
            return (last_value, ramp, cause.or(Some(ChangeCause::Hysteresis)));
        }
        (value, ramp, cause)
    }
}
