//! `planner_tuner evaluate`: how policies fare on many worlds.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::field::way;
use super::page::{Evaluated, Points, Way};
use super::policies::{ComparedArgs, Policy, PolicyArg};
use super::repeats::RepeatArgs;
use super::robot::RobotArgs;
use super::table::{Column, csv_of, json_of, table};
use super::workers::{Done, all_of};
use super::worlds::{ChosenWorld, WorldsArg, WorldsFrom};
use crate::cli::destination::check_file;
use crate::cli::interrupt::Interrupt;
use crate::cli::progress::counting_bar;
use crate::cli::{Outcome, stdout};
use crate::simulated::SimulatedError;
use crate::simulation::comparison::Trial;
use planner_tuner_core::durable::replace_file;

/// Compare policies by simulated drives: success, time and nav metric, with intervals, on the same worlds
#[derive(Debug, Args)]
#[command(after_help = "\
A simulated Jackal, driven by the navigation stack of the original (ROS 1 move_base, navfn, TrajectoryPlannerROS), crosses
fields of obstacles. All policies drive the same worlds with the same seeds. Intervals are those of a bootstrap over worlds,
95 %; the last column is the difference in nav metric to the first policy, world by world.

Exit code 3 means that drives were lost; the table holds the others. Ctrl-C ends with the table of what is finished.

Examples:
  planner_tuner evaluate --worlds generated:0-49 --policy default --policy fixed:max_vel_x=1.0 --html comparison.html
  planner_tuner evaluate --worlds barn --barn BARN/ --policy default --policy laser:policies/dwa --csv drives.csv
  planner_tuner evaluate --worlds generated:0-49 --repeats 3 --policy default --policy runs/policy_step_1000 \\
      --base model/ --checkpoint checkpoint/ --json")]
pub struct EvaluateArgs {
    /// Worlds: generated:SEED, generated:FIRST-LAST, barn, barn:ID, barn:FIRST-LAST or map:FILE.yaml; may be given several times
    #[arg(long, value_name = "WORLDS", default_value = "generated:0-19")]
    worlds: Vec<WorldsArg>,
    #[command(flatten)]
    from: WorldsFrom,
    /// Who tunes: default, fixed:NAME=VALUE,…, expert or expert:FILE (rules), random, laser:DIR (APPLR), demo (the model that comes with the source code), supervised, or a policy checkpoint; several are compared
    #[arg(long, value_name = "POLICY", default_value = "default")]
    policy: Vec<PolicyArg>,
    #[command(flatten)]
    compared: ComparedArgs,
    #[command(flatten)]
    robot: RobotArgs,
    #[command(flatten)]
    repeats: RepeatArgs,
    /// Drives at a time [default: one per core]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Print JSON, with every drive
    #[arg(long)]
    json: bool,
    /// Write a row a drive to this file, too
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a page with charts and sortable tables, too: one file that any browser opens, without a network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Worlds and policies that cannot be read, and a file that cannot be written. A drive that fails is counted instead.
pub fn run(args: &EvaluateArgs) -> anyhow::Result<Outcome> {
    if let Some(path) = &args.csv {
        check_file("--csv", path)?;
    }
    if let Some(path) = &args.html {
        check_file("--html", path)?;
    }
    let worlds = args.from.open(&args.worlds)?;
    let policies =
        args.policy.iter().map(|policy| Policy::open(policy, &args.compared)).collect::<anyhow::Result<Vec<_>>>()?;
    let interrupt = Interrupt::listen()?;
    let evaluation = Evaluation { args, worlds: &worlds, policies: &policies };
    let Driven { trials, ways, lost } = evaluation.drive(&interrupt)?;

    let columns: Vec<Column<'_>> =
        policies.iter().zip(&trials).map(|(policy, trials)| Column { name: policy.name(), trials }).collect();
    let named: Vec<_> = worlds.iter().map(|chosen| (chosen.world.name().to_owned(), chosen.difficulty)).collect();
    if let Some(path) = &args.csv {
        let text = csv_of(&columns, &named)?;
        replace_file(path, &text).with_context(|| format!("--csv {}: cannot be written", path.display()))?;
    }
    if let Some(path) = &args.html {
        let evaluated = Evaluated {
            columns: &columns,
            worlds: &named,
            fields: &worlds,
            ways: &ways,
            wanted: evaluation.drives(),
            lost,
        };
        replace_file(path, evaluated.to_html().as_bytes())
            .with_context(|| format!("--html {}: cannot be written", path.display()))?;
        log::info!("wrote {}", path.display());
    }
    let difficulties: Vec<_> = worlds.iter().map(|chosen| chosen.difficulty).collect();
    let text = match args.json {
        true => format!("{:#}\n", json_of(&columns, &named)),
        false => table(&columns, &difficulties, stdout::terminal_width()),
    };
    stdout::write(&text)?;
    let done: usize = trials.iter().map(Vec::len).sum();
    if let Some(code) = interrupt.asked() {
        log::warn!("stopped after {done} of {} drives; the table is of these", evaluation.drives());
        return Ok(Outcome::Interrupted(code));
    }
    Ok(if lost == 0 { Outcome::Complete } else { Outcome::DataLost })
}

/// All drives of an evaluation.
struct Evaluation<'a> {
    args: &'a EvaluateArgs,
    worlds: &'a [ChosenWorld],
    policies: &'a [Policy],
}

/// What came of them.
struct Driven {
    /// By policy, in the order of the worlds.
    trials: Vec<Vec<Trial>>,
    ways: Vec<Way>,
    /// How many were lost.
    lost: usize,
}

/// A drive that is to be done.
#[derive(Clone, Copy)]
struct Job<'a> {
    policy: (usize, &'a Policy),
    world: (usize, &'a ChosenWorld),
    seed: u64,
}

impl Evaluation<'_> {
    fn drives(&self) -> usize {
        self.policies.len() * self.worlds.len() * self.args.repeats.count() as usize
    }

    /// Repeats first, then worlds: an early end has the same worlds of every policy. Seeds are the same for every policy.
    fn jobs(&self) -> Vec<Job<'_>> {
        let drives =
            self.args.repeats.seeds().flat_map(|seed| self.worlds.iter().enumerate().map(move |world| (seed, world)));
        let with = |(seed, world)| self.policies.iter().enumerate().map(move |policy| Job { policy, world, seed });
        drives.flat_map(with).collect()
    }

    /// Drives on as many threads as are wanted. The drives by policy, in the order of the worlds; and how many were lost.
    fn drive(&self, interrupt: &Interrupt) -> anyhow::Result<Driven> {
        let jobs = self.jobs();
        let bar = counting_bar(jobs.len() as u64, "drives");
        let Done { results, lost } = all_of(&jobs, self.args.workers, (interrupt, &bar), |job| self.one(job));
        bar.finish_and_clear();
        let mut trials = vec![Vec::new(); self.policies.len()];
        let mut ways = Vec::new();
        for (job, done) in jobs.iter().zip(results) {
            if let (Some(trials), Some((trial, way))) = (trials.get_mut(job.policy.0), done) {
                trials.push(trial);
                ways.extend(way.map(|points| Way { policy: job.policy.0, trial, points }));
            }
        }
        Ok(Driven { trials, ways, lost })
    }

    /// A drive, and the way that it took where a page will show it.
    fn one(&self, job: &Job<'_>) -> Result<(Trial, Option<Points>), SimulatedError> {
        let Job { policy: (_, policy), world: (number, chosen), seed } = *job;
        let report = policy.drive(&chosen.world, &self.args.robot.settings(), self.args.robot.latency, seed)?;
        Ok((Trial::new(number, &report), self.args.html.is_some().then(|| way(report.track()))))
    }
}
