//! `planner_tuner search`: parameters, or rules, that drive well, found by driving.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::policies::Policy;
use super::robot::RobotArgs;
use super::workers::{Done, all_of};
use super::worlds::{ChosenWorld, WorldsArg, WorldsFrom};
use crate::cli::destination::check_file;
use crate::cli::interrupt::Interrupt;
use crate::cli::progress::counting_bar;
use crate::cli::{Outcome, stdout};
use crate::planner::{ParameterSpec, PlannerSpec};
use crate::simulated::{ExpertRules, SimulatedError, tuning_of};
use crate::simulation::search::{CrossEntropySearch, Tried};
use planner_tuner_core::durable::replace_file;

/// Share of a generation that says where the next one is.
const BEST: f64 = 0.25;

/// Find fixed parameters, or rules, that drive well
#[derive(Debug, Args)]
#[command(after_help = "\
The cross-entropy method: candidates are drawn at random, each drives through the same few worlds, and the best quarter decides
where the next ones are drawn. Every generation takes the next of the given worlds, so that the result does not fit only a few of
them. The score is the nav metric. Use `evaluate` to compare the result in worlds that were not searched.

Examples:
  planner_tuner search --worlds generated:1000-1999
  planner_tuner search --form expert --worlds generated:1000-1999 --generations 20 -o rules.yaml
  planner_tuner evaluate --worlds generated:0-49 --policy default --policy expert:rules.yaml")]
pub struct SearchArgs {
    /// What is searched for
    #[arg(long, value_enum, default_value_t = Form::Fixed)]
    form: Form,
    /// Worlds: generated:SEED, generated:FIRST-LAST, barn, barn:ID, barn:FIRST-LAST or map:FILE.yaml; may be given several times
    #[arg(long, value_name = "WORLDS", default_value = "generated:1000-1999")]
    worlds: Vec<WorldsArg>,
    #[command(flatten)]
    from: WorldsFrom,
    #[command(flatten)]
    robot: RobotArgs,
    /// Rounds of drawing, driving and choosing
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    generations: u32,
    /// Candidates in each
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u16).range(4..=10_000))]
    candidates: u16,
    /// Worlds that each candidate drives through
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    worlds_each: u16,
    /// Standard deviation that the search begins with, as a share of every range
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, value_parser = spread)]
    spread: f64,
    /// With --form expert, rules to begin around [default: those that come with the program]
    #[arg(long, value_name = "FILE")]
    around: Option<PathBuf>,
    /// Seed of everything that is random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Drives at a time [default: one per core]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Write rules to this file, instead of to stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn spread(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.01..=1.0).contains(number));
    number.ok_or_else(|| "expected a number from 0.01 to 1".to_owned())
}

/// What can be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One set of parameters, all the way
    Fixed,
    /// Rules that choose among three sets by room, bend and speed
    Expert,
}

/// Runs the command.
///
/// # Errors
/// Worlds and rules that cannot be read, and a file that cannot be written.
pub fn run(args: &SearchArgs) -> anyhow::Result<Outcome> {
    if let Some(path) = &args.output {
        check_file("--output", path)?;
    }
    let planner = PlannerSpec::builtin("dwa")?;
    let worlds = args.from.open(&args.worlds)?;
    let search = Search { args, planner: &planner, worlds: &worlds };
    let interrupt = Interrupt::listen()?;
    let (found, lost) = search.run(&interrupt)?;
    let text = match args.form {
        Form::Fixed => format!("{}\n", fixed(&found, &planner)?),
        Form::Expert => ExpertRules::from_unit(&found, &planner).to_yaml()?,
    };
    match &args.output {
        Some(path) => {
            replace_file(path, text.as_bytes())
                .with_context(|| format!("--output {}: cannot be written", path.display()))?;
            log::info!("wrote {}", path.display());
        }
        None => {
            stdout::write(&text)?;
        }
    }
    if let Some(code) = interrupt.asked() {
        log::warn!("stopped early; the best result so far is kept");
        return Ok(Outcome::Interrupted(code));
    }
    Ok(if lost == 0 { Outcome::Complete } else { Outcome::DataLost })
}

/// As `--policy` takes them.
fn fixed(numbers: &[f64], planner: &PlannerSpec) -> anyhow::Result<String> {
    let parameters = planner.from_regression(&in_units(numbers, planner))?.parameters;
    let named = parameters.iter().map(|(parameter, value)| {
        let digits = if parameter.is_integer() { 0 } else { 3 };
        format!("{}={value:.digits$}", parameter.name())
    });
    Ok(format!("fixed:{}", named.collect::<Vec<_>>().join(",")))
}

fn in_units(numbers: &[f64], planner: &PlannerSpec) -> Vec<f32> {
    let of = |(number, parameter): (&f64, &ParameterSpec)| {
        (parameter.min() + (parameter.max() - parameter.min()) * number) as f32
    };
    numbers.iter().zip(planner.parameters()).map(of).collect()
}

/// A search that runs.
struct Search<'a> {
    args: &'a SearchArgs,
    planner: &'a PlannerSpec,
    worlds: &'a [ChosenWorld],
}

/// A drive of a candidate.
struct Job<'a> {
    candidate: usize,
    world: &'a ChosenWorld,
}

impl Search<'_> {
    /// What was found, and how many drives were lost.
    fn run(&self, interrupt: &Interrupt) -> anyhow::Result<(Vec<f64>, usize)> {
        let args = self.args;
        let mut search = CrossEntropySearch::around(self.start()?, args.spread, args.seed);
        let each = usize::from(args.worlds_each).min(self.worlds.len());
        let bar = counting_bar(u64::from(args.generations) * u64::from(args.candidates) * each as u64, "drives");
        let mut worlds = self.worlds.iter().cycle();
        let mut all_lost = 0;
        for generation in 1..=args.generations {
            let candidates = search.candidates(args.candidates.into());
            let chosen: Vec<&ChosenWorld> = worlds.by_ref().take(each).collect();
            let jobs: Vec<Job<'_>> = (0..candidates.len())
                .flat_map(|candidate| chosen.iter().map(move |world| Job { candidate, world }))
                .collect();
            let one = |job: &Job<'_>| {
                let numbers = candidates.get(job.candidate).map_or(&[][..], Vec::as_slice);
                self.nav_metric(numbers, job.world)
            };
            let Done { results, lost } = all_of(&jobs, args.workers, (interrupt, &bar), one);
            all_lost += lost;
            if interrupt.asked().is_some() {
                break;
            }
            let mut scores = vec![0.0; candidates.len()];
            for (job, metric) in jobs.iter().zip(results) {
                if let Some(score) = scores.get_mut(job.candidate) {
                    *score += metric.unwrap_or_default() / each as f64;
                }
            }
            let middle = scores.first().copied().unwrap_or_default();
            let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let tried = candidates.into_iter().zip(scores).map(|(numbers, score)| Tried { numbers, score });
            search.learn(tried.collect(), (f64::from(args.candidates) * BEST).ceil() as usize);
            bar.suspend(|| {
                log::info!(
                    "generation {generation}: nav metric {middle:.3} at the centre, {best:.3} for the best candidate; width {:.3}",
                    search.width()
                );
            });
        }
        bar.finish_and_clear();
        Ok((search.mean().to_vec(), all_lost))
    }

    /// Where it begins: the planner's own parameters, or rules.
    fn start(&self) -> anyhow::Result<Vec<f64>> {
        let planner = self.planner;
        match self.args.form {
            Form::Fixed => {
                let defaults = planner.safe_defaults();
                let on = |(parameter, value): (&ParameterSpec, f64)| {
                    (value - parameter.min()) / (parameter.max() - parameter.min())
                };
                Ok(defaults.iter().map(on).collect())
            }
            Form::Expert => Ok(match &self.args.around {
                Some(path) => ExpertRules::load(path, planner)?.to_unit(),
                None => ExpertRules::builtin(planner)?.to_unit(),
            }),
        }
    }

    fn nav_metric(&self, numbers: &[f64], chosen: &ChosenWorld) -> Result<f64, SimulatedError> {
        let RobotArgs { latency, .. } = self.args.robot;
        let policy = match self.args.form {
            Form::Fixed => {
                let parameters = self.planner.from_regression(&in_units(numbers, self.planner))?.parameters;
                Policy::fixed(tuning_of(&parameters)?, self.planner)
            }
            Form::Expert => Policy::rules(ExpertRules::from_unit(numbers, self.planner), self.planner),
        };
        let report = policy.drive(&chosen.world, &self.args.robot.settings(), latency, self.args.seed)?;
        Ok(report.nav_metric())
    }
}
