//! Who tunes.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use clap::Args;

use crate::cli::demo::Demo;
use crate::cli::model_args::{ComputeArgs, ModelArgs, missing};
use crate::planner::envelope::EnvelopeLimits;
use crate::planner::{PlannerSpec, did_you_mean};
use crate::policy::LaserNetwork;
use crate::simulated::{
    ExpertRules, ExpertTuner, LaserTuner, Latency, RandomTuner, SimulatedError, VisionTuner, tuning_with, value_of,
};
use crate::simulation::drive::{Decision, DriveReport, DriveSettings, Moment, Tuner, drive};
use crate::simulation::move_base::Tuning;
use crate::simulation::world::World;
use crate::tuner;

/// A policy as it is named on the command line.
#[derive(Debug, Clone, PartialEq)]
pub enum PolicyArg {
    /// The planner's own parameters, all the way.
    Default,
    /// Other ones, all the way.
    Fixed(Vec<(String, f64)>),
    /// A policy of APPLR.
    Laser(PathBuf),
    /// Other ones at every decision, at random.
    Random,
    /// Rules: those that come with the program, or a file of them.
    Expert(Option<PathBuf>),
    /// The small model that comes with the source code.
    Demo,
    /// The supervised checkpoint's regression.
    Supervised,
    /// A policy checkpoint.
    Policy(PathBuf),
}

impl FromStr for PolicyArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.split_once(':')) {
            ("default", _) => Ok(Self::Default),
            ("supervised", _) => Ok(Self::Supervised),
            ("random", _) => Ok(Self::Random),
            ("demo", _) => Ok(Self::Demo),
            ("expert", _) => Ok(Self::Expert(None)),
            (_, Some(("expert", path))) => Ok(Self::Expert(Some(path.into()))),
            (_, Some(("laser", path))) => Ok(Self::Laser(path.into())),
            (_, Some(("fixed", values))) => {
                let value = |pair: &str| {
                    let (name, value) = pair.split_once('=').ok_or_else(|| format!("'{pair}' is not NAME=VALUE"))?;
                    let number = value.parse::<f64>().map_err(|_| format!("{name}: '{value}' is not a number"))?;
                    Ok((name.trim().to_owned(), number))
                };
                values.split(',').map(value).collect::<Result<_, String>>().map(Self::Fixed)
            }
            _ => Ok(Self::Policy(text.into())),
        }
    }
}

impl std::fmt::Display for PolicyArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Supervised => f.write_str("supervised"),
            Self::Random => f.write_str("random"),
            Self::Demo => f.write_str("demo"),
            Self::Laser(path) => write!(f, "laser:{}", path.display()),
            Self::Expert(None) => f.write_str("expert"),
            Self::Expert(Some(path)) => write!(f, "expert:{}", path.display()),
            Self::Policy(path) => write!(f, "{}", path.display()),
            Self::Fixed(values) => {
                let values: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "fixed:{}", values.join(","))
            }
        }
    }
}

/// What the model is loaded from, for policies that have one.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
pub struct PolicyModelArgs {
    /// Base model: a folder, or an id on the Hugging Face Hub (owner/name[@revision])
    #[arg(long, value_name = "DIR|ID")]
    base: Option<String>,
    /// Supervised checkpoint: a folder with adapter, regression_head, history_encoder and normalization
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// How policies drive that are compared.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Policies")]
pub struct ComparedArgs {
    #[command(flatten)]
    model: PolicyModelArgs,
    /// Let the model's parameters pass as they are decided, without the envelope that a robot has
    #[arg(long, help_heading = "Policies")]
    no_envelope: bool,
    /// Standard deviation of the noise on a laser policy's actions, as when its training data was collected
    #[arg(long, value_name = "STD", default_value_t = 0.0, value_parser = noise, help_heading = "Policies")]
    noise: f64,
}

impl ComparedArgs {
    /// Whether laser policies are disturbed.
    pub fn has_laser_noise(&self) -> bool {
        self.noise > 0.0
    }

    /// What the model is loaded from.
    pub fn model(&self) -> &PolicyModelArgs {
        &self.model
    }
}

impl PolicyModelArgs {
    /// The model behind a policy.
    ///
    /// # Errors
    /// A usage error when an option is missing, and for a policy that has no model.
    pub fn of(&self, arg: &PolicyArg) -> anyhow::Result<ModelArgs> {
        let policy = match arg {
            PolicyArg::Demo => return self.demo(),
            PolicyArg::Supervised => None,
            PolicyArg::Policy(path) => Some(path.clone()),
            PolicyArg::Default
            | PolicyArg::Fixed(_)
            | PolicyArg::Laser(_)
            | PolicyArg::Expert(_)
            | PolicyArg::Random => {
                anyhow::bail!("--policy {arg} has no model; give a policy checkpoint, or supervised")
            }
        };
        let needed = [("--base <DIR|ID>", self.base.is_some()), ("--checkpoint <DIR>", self.checkpoint.is_some())];
        if let Some((option, _)) = needed.iter().find(|(_, is_given)| !is_given) {
            return Err(missing(&format!("{option} (for --policy {arg})")).into());
        }
        Ok(self.with(self.base.clone(), self.checkpoint.clone(), policy))
    }

    fn demo(&self) -> anyhow::Result<ModelArgs> {
        let demo = Demo::find()?;
        Ok(self.with(Some(demo.base.display().to_string()), Some(demo.checkpoint), Some(demo.policy)))
    }

    fn with(&self, base: Option<String>, checkpoint: Option<PathBuf>, policy: Option<PathBuf>) -> ModelArgs {
        let compute = self.compute.clone();
        ModelArgs { base, checkpoint, policy, head: None, planner: "dwa".to_owned(), compute }
    }
}

fn noise(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=2.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 2".to_owned()),
    }
}

/// The envelope of a simulated drive: a robot's, but for the floor of the inflation radius. This planner holds the robot's whole
/// outline against the obstacles, and fixed parameters have no floor either.
fn drive_limits() -> EnvelopeLimits {
    EnvelopeLimits { allow_below_inscribed: true, ..EnvelopeLimits::default() }
}

/// A policy that can drive.
pub struct Policy {
    name: String,
    kind: Kind,
    planner: PlannerSpec,
    limits: EnvelopeLimits,
}

enum Kind {
    Fixed(Tuning),
    Random,
    Expert(Box<ExpertRules>),
    Laser {
        network: LaserNetwork,
        noise: f64,
    },
    /// One drive at a time: a model is large, and computes on all cores.
    Model(Box<Mutex<tuner::Tuner>>),
}

impl Policy {
    /// Loads what a policy needs.
    ///
    /// # Errors
    /// A usage error when an option is missing; otherwise what cannot be read.
    pub fn open(arg: &PolicyArg, compared: &ComparedArgs) -> anyhow::Result<Self> {
        let planner = PlannerSpec::builtin("dwa")?;
        let with_model = || compared.model.of(arg)?.load().map(|tuner| Kind::Model(Box::new(Mutex::new(tuner))));
        let kind = match arg {
            PolicyArg::Default => Kind::Fixed(Tuning::default()),
            PolicyArg::Fixed(values) => Kind::Fixed(fixed(values, &planner)?),
            PolicyArg::Laser(path) => {
                Kind::Laser { network: LaserNetwork::open(path, planner.parameters().len())?, noise: compared.noise }
            }
            PolicyArg::Random => Kind::Random,
            PolicyArg::Expert(None) => Kind::Expert(Box::new(ExpertRules::builtin(&planner)?)),
            PolicyArg::Expert(Some(path)) => Kind::Expert(Box::new(ExpertRules::load(path, &planner)?)),
            PolicyArg::Demo | PolicyArg::Supervised | PolicyArg::Policy(_) => with_model()?,
        };
        let limits = if compared.no_envelope { EnvelopeLimits::off() } else { drive_limits() };
        Ok(Self { name: arg.to_string(), kind, planner, limits })
    }

    /// Fixed parameters.
    pub fn fixed(tuning: Tuning, planner: &PlannerSpec) -> Self {
        Self::of(Kind::Fixed(tuning), planner)
    }

    /// Rules.
    pub fn rules(rules: ExpertRules, planner: &PlannerSpec) -> Self {
        Self::of(Kind::Expert(Box::new(rules)), planner)
    }

    fn of(kind: Kind, planner: &PlannerSpec) -> Self {
        Self { name: String::new(), kind, planner: planner.clone(), limits: drive_limits() }
    }

    /// What it is called in tables.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One drive.
    ///
    /// # Errors
    /// What the policy cannot go on from.
    pub fn drive(
        &self,
        world: &World,
        settings: &DriveSettings,
        latency: Latency,
        seed: u64,
    ) -> Result<DriveReport, SimulatedError> {
        self.with_tuner(world, latency, seed, |tuner| drive(world, settings, seed, tuner))
    }

    /// Hands a tuner for one drive through a world to `go`.
    ///
    /// # Errors
    /// Those of `go`, and what does not fit the planner.
    pub fn with_tuner<R>(
        &self,
        world: &World,
        latency: Latency,
        seed: u64,
        go: impl FnOnce(Driver<'_>) -> Driven<R>,
    ) -> Driven<R> {
        match &self.kind {
            Kind::Fixed(tuning) => go(&mut Steady(*tuning)),
            Kind::Random => go(&mut RandomTuner::new(self.planner.clone(), seed)),
            Kind::Expert(rules) => go(&mut ExpertTuner::new(rules, self.limits.clone(), latency.at_once_s())?),
            Kind::Laser { network, noise } => go(&mut LaserTuner::new(network, self.planner.clone(), *noise, seed)),
            Kind::Model(model) => {
                // A drive that panicked left nothing behind in the model: its history is the tuner's own.
                let mut model = model.lock().unwrap_or_else(PoisonError::into_inner);
                let mut tuner = VisionTuner::new(&mut *model, &self.planner, self.limits.clone(), latency)?;
                let came = go(&mut tuner)?;
                if tuner.failures() > 0 {
                    log::warn!("{}: {} decisions failed in {}", self.name, tuner.failures(), world.name());
                }
                Ok(came)
            }
        }
    }
}

/// Who decides in one drive.
pub type Driver<'a> = &'a mut dyn Tuner<Error = SimulatedError>;
/// What came of a drive.
pub type Driven<R> = Result<R, SimulatedError>;

/// The same parameters all the way: it cannot fail.
struct Steady(Tuning);

impl Tuner for Steady {
    type Error = SimulatedError;

    fn decide(&mut self, _: &Moment<'_>) -> Driven<Option<Decision>> {
        Ok(Some(Decision { tuning: self.0, latency_s: 0.0 }))
    }
}

/// The default parameters with some of them replaced.
fn fixed(values: &[(String, f64)], planner: &PlannerSpec) -> anyhow::Result<Tuning> {
    for (name, value) in values {
        let known = || planner.parameters().iter();
        let Some(parameter) = known().find(|parameter| parameter.name() == name) else {
            let hint = did_you_mean(name, known().map(|parameter| parameter.name()));
            anyhow::bail!("--policy fixed: {} has no parameter {name}{hint}", planner.name());
        };
        anyhow::ensure!(
            (parameter.min()..=parameter.max()).contains(value),
            "--policy fixed: {name} is {value}, expected {} to {} {}",
            parameter.min(),
            parameter.max(),
            parameter.unit().symbol()
        );
    }
    let default = Tuning::default();
    tuning_with(|name| {
        // Of a name that is given twice, the last value counts, as of any option.
        let given = values.iter().rev().find(|(given, _)| given == name).map(|(_, value)| *value);
        given.or_else(|| value_of(&default, name)).ok_or_else(|| anyhow::anyhow!("{name} has no default"))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn policies_are_named_as_they_are_printed() {
        for text in [
            "default",
            "supervised",
            "expert",
            "expert:my.yaml",
            "laser:policies/dwa",
            "fixed:max_vel_x=1,inflation_radius=0.25",
            "runs/policy",
        ] {
            assert_eq!(text.parse::<PolicyArg>().unwrap().to_string(), text);
        }
        assert!("fixed:max_vel_x".parse::<PolicyArg>().is_err());
        assert!("fixed:max_vel_x=fast".parse::<PolicyArg>().is_err());
    }

    #[test]
    fn fixed_values_are_in_range_and_known() {
        let dwa = PlannerSpec::builtin("dwa").unwrap();
        let given = |name: &str, value| fixed(&[(name.to_owned(), value)], &dwa);
        assert_eq!(given("max_vel_x", 1.5).unwrap().planner.max_vel_x, 1.5);
        assert_eq!(given("inflation_radius", 0.2).unwrap().inflation_radius, 0.2);
        assert!(given("max_vel_x", 9.0).unwrap_err().to_string().contains("expected 0.2 to 2"));
        assert!(given("max_vel_y", 1.0).unwrap_err().to_string().contains("max_vel_x"));
    }
}
