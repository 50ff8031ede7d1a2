//! `planner_tuner finetune`: a supervised checkpoint from frames with known good parameters.

mod args;
mod networks;
mod report;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

use self::args::Rate;
use self::networks::Networks;
use self::report::Summary;
use super::Outcome;
use super::choices::QuantizeArg;
use super::destination::check_folder;
use super::interrupt::Interrupt;
use super::model_args::planner_named;
use super::progress::counting_bar;
use super::stdout;
use crate::checkpoint::{PolicyOrigin, PolicySet, VlmInfo};
use crate::finetune::{
    DataCounts, Dataset, EpochPoint, Event, FinetuneSettings, Finetuning, Material, SavedFinetuning, TargetScale,
};
use crate::picture::{Curve, CurveSheet, plot_curves};
use crate::planner::PlannerSpec;
use crate::td3::{CurveFiles, CurvePoint};

pub use args::FinetuneArgs;

/// Runs the command.
///
/// # Errors
/// What cannot be read or written, data without labels, a training that went astray.
pub fn run(args: &FinetuneArgs) -> anyhow::Result<Outcome> {
    check_folder("--output", &args.output)?;
    if let Some(folder) = &args.first_policy {
        check_folder("--first-policy", folder)?;
    }
    args.compute.start_threads();
    let state = state_folder(&args.output);
    let saved = match (SavedFinetuning::open(&state)?, args.resume) {
        (None, true) => anyhow::bail!("{}: there is no training to go on with; leave out --resume", state.display()),
        (Some(_), false) => anyhow::bail!(
            "{} holds a training; go on with it by --resume, or give another folder with -o",
            state.display()
        ),
        (saved, _) => saved,
    };
    let planner = planner_named(&args.planner)?;
    let data = Dataset::read(&args.data, &planner, &args.data_args.options())?;
    let split = data.split(args.data_args.validation(), args.seed)?;
    let scale = TargetScale::of(&data, &split.train)?;
    for name in scale.constant() {
        log::warn!("{name} is constant in the data: nothing can be learned about it");
    }
    log::info!(
        "{} frames of {} runs: {} to learn from, {} held back",
        data.len(),
        data.runs(),
        split.train.len(),
        split.validation.len()
    );
    let Networks { learner, base, prompt_json } = networks::open(args, planner.name(), data.outputs())?;
    let origin = origin(args, &data, &base);
    let material = Material { data, split, scale };
    let settings = settings(args);
    let begun = saved.as_ref().map_or(0, |saved| saved.done().0);
    let mut training = match saved {
        Some(saved) => saved.resume((settings, &origin), material, learner)?,
        None => Finetuning::new(settings, material, learner, Default::default())?,
    };
    std::fs::create_dir_all(&state).with_context(|| format!("{} cannot be created", state.display()))?;
    let mut curves = CurveFiles::with_names(&state, curve_names(&training), begun, now())?;

    let bar = counting_bar(training.steps(), "steps").with_position(training.progress().step);
    let interrupt = Interrupt::listen()?;
    bar.reset_eta();
    let (mut learning, mut steps, mut stop) = (Duration::ZERO, 0, None);
    let save = |training: &Finetuning| training.save(&state, &origin);
    while interrupt.asked().is_none() {
        let start = Instant::now();
        let event = training.advance()?;
        learning += start.elapsed();
        steps += 1;
        match event {
            Event::Step(step) => {
                bar.inc(1);
                bar.set_message(format!("loss {:.4}", step.loss));
            }
            Event::Epoch(point, is_best) => {
                bar.inc(1);
                curves.add(curve_point(&point), now())?;
                if is_best {
                    checkpoint(&training, args, (&base, &prompt_json))?;
                    first_policy(&mut training, args, &planner)?;
                }
                save(&training)?;
                bar.suspend(|| log::info!("{}", describe(&point, is_best)));
            }
            Event::Done(why) => {
                steps -= 1;
                stop = Some(why);
                break;
            }
        }
    }
    bar.finish_and_clear();
    save(&training)?;
    let report = training.report();
    if let Some(report) = &report {
        let text = serde_json::to_string_pretty(report)? + "\n";
        crate::durable::replace_file(&args.output.join("report.json"), text.as_bytes())?;
        crate::durable::replace_file(&args.output.join("curves.csv"), &std::fs::read(state.join("curves.csv"))?)?;
        plot(&args.output.join("curves.png"), &curves, &training)?;
    }
    let learning = (learning.as_secs_f64(), steps);
    let summary = Summary { training: &training, report, stop, output: &args.output, learning };
    stdout::write(&if args.json { summary.as_json() } else { summary.as_text() })?;
    if let (Some(code), None) = (interrupt.asked(), stop) {
        log::warn!("stopped after {} steps, which are saved; --resume goes on", training.progress().step);
        return Ok(Outcome::Interrupted(code));
    }
    Ok(outcome(training.material().data.counts()))
}

fn outcome(counts: &DataCounts) -> Outcome {
    if counts.skipped.is_empty() { Outcome::Complete } else { Outcome::DataLost }
}

/// Beside the checkpoint, which is replaced as a whole.
fn state_folder(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(".training");
    output.with_file_name(name)
}

fn settings(args: &FinetuneArgs) -> FinetuneSettings {
    let learning = &args.learning;
    FinetuneSettings {
        epochs: learning.epochs,
        batch: usize::from(learning.batch) * usize::from(learning.accumulate),
        rate: learning.learning_rate,
        warm_up: learning.warm_up,
        cosine: learning.schedule == Rate::Cosine,
        patience: learning.patience,
        seed: args.seed,
    }
}

/// What a training only goes on with: the same data, base and networks.
fn origin(args: &FinetuneArgs, data: &Dataset, base: &Path) -> String {
    let FinetuneArgs { networks, data_args, from, planner, compute, .. } = args;
    let (weight_decay, clip) = (args.learning.weight_decay, args.learning.clip);
    let base = base.canonicalize().unwrap_or_else(|_| base.to_owned());
    format!(
        "base {}; planner {planner}; from {from:?}; {} frames of {} runs; {data_args:?}; {networks:?}; weight decay \
         {weight_decay}; clip {clip}; quantize {:?}; dtype {:?}",
        base.display(),
        data.len(),
        data.runs(),
        compute.quantize,
        compute.dtype,
    )
}

fn checkpoint(training: &Finetuning, args: &FinetuneArgs, (base, prompt_json): (&Path, &str)) -> anyhow::Result<()> {
    let mut files = training.checkpoint(&args.base, prompt_json.to_owned())?;
    let wanted = args.from.as_deref().map(|from| from.join("preprocessor_config.json")).filter(|path| path.is_file());
    if let Some(path) = wanted {
        files.others.push(("preprocessor_config.json".into(), std::fs::read(path)?));
    }
    log::debug!("the base model is {}", base.display());
    Ok(files.save(&args.output)?)
}

/// With the numbers of the checkpoint that was just saved.
fn first_policy(training: &mut Finetuning, args: &FinetuneArgs, planner: &PlannerSpec) -> anyhow::Result<()> {
    let Some(folder) = &args.first_policy else { return Ok(()) };
    let policy = PolicySet {
        actor: training.first_policy(planner)?,
        noise: Some(FIRST_NOISE),
        vlm_info: Some(VlmInfo {
            checkpoint_path: args.output.display().to_string(),
            use_4bit: args.compute.quantize == QuantizeArg::Nf4,
            use_history: training.learner().heads().history().is_some(),
            vlm_trainable: false,
        }),
        step: Some(0),
        origin: PolicyOrigin {
            planner: Some(planner.name().to_owned()),
            parameters: planner.parameters().iter().map(|parameter| parameter.name().to_owned()).collect(),
            ..PolicyOrigin::default()
        },
        lora_adapter: None,
    };
    policy.save(folder, "policy_step_0")?;
    Ok(())
}

/// Standard deviation of the exploration that the original begins with.
const FIRST_NOISE: f64 = 0.1;

fn describe(point: &EpochPoint, is_best: bool) -> String {
    let validation = point.validation_loss.map(|loss| format!(", validation {loss:.4}")).unwrap_or_default();
    let best = if is_best { " (saved)" } else { "" };
    format!("epoch {}: loss {:.4}{validation}{best}", point.epoch, point.train_loss)
}

fn curve_names(training: &Finetuning) -> Vec<String> {
    let outputs = || training.material().data.outputs().iter();
    let mut names = vec!["train_loss".to_owned(), "validation_loss".to_owned(), "learning_rate".to_owned()];
    names.extend(outputs().map(|output| format!("train_mae/{}", output.name)));
    names.extend(outputs().map(|output| format!("validation_mae/{}", output.name)));
    names
}

fn curve_point(point: &EpochPoint) -> CurvePoint {
    let mut values = vec![Some(point.train_loss), point.validation_loss, Some(point.rate)];
    values.extend(point.train_mae.iter().copied().map(Some));
    match &point.validation_mae {
        Some(errors) => values.extend(errors.iter().copied().map(Some)),
        None => values.extend(point.train_mae.iter().map(|_| None)),
    }
    CurvePoint { step: point.epoch, values }
}

fn plot(path: &Path, curves: &CurveFiles, training: &Finetuning) -> anyhow::Result<()> {
    let of = |(index, name): (usize, &String)| {
        let points = curves.points().iter();
        let points = points.filter_map(|point| Some((point.step as f64, (*point.values.get(index)?)?))).collect();
        Curve { name: name.clone(), points, range: None }
    };
    let split = &training.material().split;
    let sheet = CurveSheet {
        title: "Supervised fine-tuning".to_owned(),
        subtitle: format!("{} frames to learn from, {} held back", split.train.len(), split.validation.len()),
        curves: curves.names().iter().enumerate().map(of).collect(),
    };
    Ok(plot_curves(path, &sheet)?)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
