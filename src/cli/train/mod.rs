//! `planner_tuner train`: a better actor from logged drives.

mod args;
mod heads;
mod lora;
mod page;
mod report;
mod run;

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use planner_tuner_core::durable::replace_file;

use self::report::Report;
use self::run::Run;
use super::Outcome;
use super::destination::{check_file, check_folder};
use super::interrupt::Interrupt;
use super::model_args::planner_named;
use super::progress::counting_bar;
use super::stdout;
use crate::picture::{Curve, CurveSheet, plot_curves};
use crate::td3::{CurveFiles, SavedTraining, TrainConfig, changes_of};

pub use args::{TrainArgs, Trained};

/// The name of the newest policy, which others follow.
const LIVE: &str = "policy";

/// Runs the command.
///
/// # Errors
/// What cannot be read or written, logs that do not belong together, a training that went astray.
pub fn run(args: &TrainArgs) -> anyhow::Result<Outcome> {
    check_folder("--output", &args.output)?;
    for (option, path) in [("--plot", &args.plot), ("--html", &args.html)] {
        if let Some(path) = path
            // The output folder is made later.
            && (path.parent() != Some(args.output.as_path()) || args.output.exists())
        {
            check_file(option, path)?;
        }
    }
    let planner = planner_named(&args.planner)?;
    let mut run = Run::open(args, planner)?;
    let steps = args.steps.unwrap_or(run.training.config().max_step);
    let begun = run.training.iteration();
    let mut curves = CurveFiles::open(&args.output, run.training.learner().space(), begun, now())?;
    log::info!("{}", run.describe());

    let bar = counting_bar(steps, "updates").with_position(begun);
    let interrupt = Interrupt::listen()?;
    bar.reset_eta();
    let mut learning = std::time::Duration::ZERO;
    while run.training.iteration() < steps && interrupt.asked().is_none() {
        let start = Instant::now();
        let point = run.training.step()?;
        learning += start.elapsed();
        bar.inc(1);
        if let Some(point) = point {
            let loss = point.values.first().copied().flatten();
            bar.set_message(loss.map_or_else(String::new, |loss| format!("critic loss {loss:.4}")));
            curves.add(point, now())?;
        }
        let iteration = run.training.iteration();
        if iteration.is_multiple_of(args.save_every) && iteration < steps {
            run.save(args)?;
        }
    }
    bar.finish_and_clear();
    let saved = run.save(args)?;
    let stopped = interrupt.asked().filter(|_| run.training.iteration() < steps);
    if stopped.is_some() {
        log::warn!("stopped after {} of {steps} updates, which are saved; --resume goes on", run.training.iteration());
    }
    if let Some(point) = run.training.pending_point() {
        curves.add(point, now())?;
    }
    match &args.plot {
        Some(path) if curves.points().is_empty() => {
            log::warn!("{}: not drawn: there is no update to draw yet", path.display());
        }
        Some(path) => plot(path, &curves, &run)?,
        None => {}
    }
    let updates = run.training.iteration().saturating_sub(begun);
    let rate = (updates > 0).then(|| updates as f64 / learning.as_secs_f64());
    let changes = changes_of(&mut run.training)?;
    let report = Report { training: &run.training, logs: &run.logs, saved: &saved, rate, changes, curves: &curves };
    if let Some(path) = &args.html {
        let html = page::html_of(&report, &run, stopped.is_some().then_some(steps));
        replace_file(path, html.as_bytes()).with_context(|| format!("--html {}: cannot be written", path.display()))?;
        log::info!("wrote {}", path.display());
    }
    stdout::write(&if args.json { report.as_json() } else { report.as_text() })?;
    if let Some(code) = stopped {
        return Ok(Outcome::Interrupted(code));
    }
    Ok(if run.logs.is_complete() { Outcome::Complete } else { Outcome::DataLost })
}

fn step_name(step: u64) -> String {
    format!("policy_step_{step}")
}

/// The settings of a saved training, if those that were given are no others. How long it lasts may change.
fn same_settings(saved: &SavedTraining, given: Option<TrainConfig>) -> anyhow::Result<TrainConfig> {
    let mut config = saved.config().clone();
    let Some(given) = given else { return Ok(config) };
    config.max_step = given.max_step;
    let (old, new) = (serde_json::to_value(&config)?, serde_json::to_value(&given)?);
    let keys = old.as_object().into_iter().flatten();
    for (key, old) in keys {
        let new = new.get(key).unwrap_or(&serde_json::Value::Null);
        anyhow::ensure!(
            old == new,
            "the training was begun with {key} {old}, --config says {new}; go on without --config, or begin another \
             training in another folder"
        );
    }
    Ok(config)
}

fn plot(path: &Path, curves: &CurveFiles, run: &Run) -> anyhow::Result<()> {
    let of = |(index, name): (usize, &String)| {
        let points = curves.points().iter();
        let points = points.filter_map(|point| Some((point.step as f64, (*point.values.get(index)?)?))).collect();
        Curve { name: name.clone(), points, range: name.starts_with("saturation/").then_some((0.0, 1.0)) }
    };
    let sheet = CurveSheet {
        title: format!("Training for {}", run.planner.name()),
        subtitle: run.describe(),
        curves: curves.names().iter().enumerate().map(of).collect(),
    };
    Ok(plot_curves(path, &sheet)?)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
