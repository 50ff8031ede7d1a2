//! `planner_tuner learn`: collect, train, evaluate, in rounds.

mod args;
mod rounds;
mod step;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::Value;

pub use self::args::LearnArgs;
use self::args::Learner;
use self::rounds::{Round, Rounds};
use self::step::Stopped;
use super::destination::check_new_folder;
use super::interrupt::Interrupt;
use super::{Outcome, stdout};
use crate::checkpoint::{PolicyCheckpoint, PolicyForm, PolicySet};
use clap::ValueEnum as _;

/// The name of the best policy, which others follow.
const LIVE: &str = "policy";
/// The name under which `train` saves its newest policy.
const TRAINED: &str = "policy";

/// Runs the command.
///
/// # Errors
/// A step that fails, and files that cannot be read or written. The rounds before are kept.
pub fn run(args: &LearnArgs) -> anyhow::Result<Outcome> {
    let learner = args.learner()?;
    if !args.resume {
        check_new_folder("--output", &args.output)?;
    }
    std::fs::create_dir_all(&args.output)
        .with_context(|| format!("--output {}: cannot be made", args.output.display()))?;
    let mut rounds = Rounds::read(&args.output)?;
    ensure!(
        !args.resume || !rounds.rows().is_empty() || args.output.join("round_1").exists(),
        "--resume: there is no round in {}; leave the option out to begin",
        args.output.display()
    );
    for done in rounds.rows() {
        stdout::write(&format!("{}\n", done.in_words()))?;
    }
    let begun = rounds.rows().len() as u32;
    // A terminal sends Ctrl-C to the step, too: it keeps what it has, and this program waits for it.
    let interrupt = Interrupt::listen()?;
    for number in begun + 1..=args.rounds {
        let best = rounds.rows().last().map_or_else(|| learner.policy.clone(), |row| row.best.clone());
        let round = match one(args, &learner, (number, &best), &interrupt) {
            Ok(round) => round,
            Err(Stopped::Interrupted(code)) => {
                log::warn!("stopped in round {number}; --resume starts it again");
                return Ok(Outcome::Interrupted(code));
            }
            Err(Stopped::Failed(error)) => return Err(error.context(format!("round {number}"))),
        };
        stdout::write(&format!("{}\n", round.in_words()))?;
        if round.is_better {
            publish(&round.best, &args.output)?;
        }
        rounds.push(round)?;
    }
    Ok(Outcome::Complete)
}

/// A round that begins with the best policy so far.
fn one(
    args: &LearnArgs,
    learner: &Learner,
    (number, best): (u32, &Path),
    interrupt: &Interrupt,
) -> Result<Round, Stopped> {
    let folder = args.output.join(format!("round_{number}"));
    // What a round that was stopped has left is of no use: its drives would count twice.
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("{}: cannot be removed", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    let text = |path: &Path| path.display().to_string();
    let model = || {
        let options = ["--base", &learner.base, "--checkpoint", &text(&learner.checkpoint)];
        let drives = ["--time-limit", &args.time_limit.to_string(), "--latency", &args.latency.to_string()];
        options.into_iter().chain(drives).map(str::to_owned).collect::<Vec<String>>()
    };
    let step = |start: &[&str], more: Vec<String>| {
        step::run(interrupt, &start.iter().map(|arg| (*arg).to_owned()).chain(more).collect::<Vec<_>>())
    };

    let each = u64::from(args.worlds_each);
    let first = u64::from(args.first_world) + u64::from(number - 1) * each;
    let worlds = format!("generated:{first}-{}", first + each - 1);
    let (noise, seed) = (args.exploration.to_string(), args.seed.to_string());
    let logs = folder.join("logs");
    let collect =
        ["collect", "--worlds", &worlds, "--policy", &text(best), "--exploration", &noise, "--seed", &seed, "--log"];
    step(&collect, [vec![text(&logs)], model()].concat())?;

    let training = folder.join("training");
    let all_logs: Vec<PathBuf> = (1..=number).map(|round| args.output.join(format!("round_{round}/logs"))).collect();
    let trained = args.train.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let (steps, checkpoint) = (args.steps.to_string(), text(&learner.checkpoint));
    let mut train: Vec<String> = all_logs.iter().map(|logs| text(logs)).collect();
    train.extend(["--checkpoint", &checkpoint, "--policy", &text(best), "--train", &trained].map(str::to_owned));
    train.extend(["--steps", &steps, "--seed", &seed, "--allow-mixed", "-o", &text(&training)].map(str::to_owned));
    if args.train != super::train::Trained::Actor {
        train.extend(["--base".to_owned(), learner.base.clone()]);
    }
    if let Some(config) = &args.config {
        train.extend(["--config".to_owned(), text(config)]);
    }
    step(&["train"], train)?;

    let new = training.join(TRAINED);
    let (csv, before, after) = (folder.join("drives.csv"), text(best), text(&new));
    let evaluate = [
        "evaluate", "--json", "--worlds", &args.kept, "--policy", &before, "--policy", &after, "--seed", &seed, "--csv",
    ];
    let evaluated = step(&evaluate, [vec![text(&csv)], model()].concat())?;
    let evaluated: Value = serde_json::from_str(&evaluated).context("what evaluate printed is no JSON")?;
    let number_at = |place: &str| {
        evaluated
            .pointer(place)
            .and_then(Value::as_f64)
            .with_context(|| format!("evaluate printed no number at {place}"))
    };
    let difference = number_at("/policies/1/against_the_first/mean")?;
    let is_better = difference > 0.0;
    Ok(Round {
        round: number,
        drives: all_logs.iter().map(|logs| episodes_in(logs)).sum(),
        before: number_at("/policies/0/nav_metric/mean")?,
        after: number_at("/policies/1/nav_metric/mean")?,
        difference,
        difference_low: number_at("/policies/1/against_the_first/low")?,
        difference_high: number_at("/policies/1/against_the_first/high")?,
        success_before: number_at("/policies/0/success/mean")?,
        success_after: number_at("/policies/1/success/mean")?,
        is_better,
        // Whoever resumes may stand in another folder.
        best: std::path::absolute(if is_better { &new } else { best }).context("the best policy has no place")?,
    })
}

fn episodes_in(logs: &Path) -> usize {
    let is_log = |path: PathBuf| path.extension().is_some_and(|extension| extension == "mcap");
    logs.read_dir().map_or(0, |entries| entries.flatten().filter(|entry| is_log(entry.path())).count())
}

/// Puts the best policy where others find it.
fn publish(policy: &Path, folder: &Path) -> anyhow::Result<()> {
    let found = PolicyCheckpoint::open(policy)?;
    PolicySet::read(&found)?.save_as(PolicyForm::Pickle, folder, LIVE)?;
    Ok(())
}
