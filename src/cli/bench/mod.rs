//! `planner_tuner bench`: where the time of a decision goes.

mod drawing;
mod operations;
mod random_model;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;

use self::random_model::RandomModel;
use super::infer::read_frame;
use super::model_args::{ModelArgs, bar_style, missing};
use super::replay::percentile;
use super::stdout;
use crate::frame::{BodyVelocity, Frame};
use crate::picture::{StageBar, StageChart, plot_stages};
use crate::tuner::{Stage, StageTimes, Tuner};

/// Measure the time of a decision, stage by stage
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  planner_tuner bench --base model/ --checkpoint checkpoint/ --image frame.png
  planner_tuner bench --base model/ --checkpoint checkpoint/ --policy policy/ --image frame.png --runs 100 --json
  planner_tuner bench --random-weights s --runs 5            a small shape, no checkpoint needed
  planner_tuner bench --random-weights 3b --dtype bf16 --runs 2    the published 3B shape
  planner_tuner bench --random-weights s --growth --chart stages.png
  planner_tuner bench --render --runs 1000   drawing the picture of 720 beams and a plan of 200 points")]
pub struct BenchArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The costmap image, PNG or JPEG; also used as its own history
    #[arg(long, value_name = "FILE", required_unless_present_any = ["random_weights", "render"])]
    image: Option<PathBuf>,
    /// Measure the vision-language model alone with random weights: 3b, s, or a config.json
    #[arg(long, value_name = "SHAPE", conflicts_with_all = ["image", "base", "checkpoint", "policy"])]
    random_weights: Option<String>,
    /// Measure the drawing of a frame from scan, plan and odometry, on one core
    #[arg(long, conflicts_with_all = ["random_weights", "image", "base", "checkpoint", "policy"])]
    render: bool,
    /// Decisions, or frames, to measure, after one that is not counted
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Measure other sizes of the image, too: how the time grows with its tokens
    #[arg(long, requires = "random_weights")]
    growth: bool,
    /// Draw the stages as bars
    #[arg(long, value_name = "PNG")]
    chart: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// What cannot be read, loaded or computed.
pub fn run(args: BenchArgs) -> anyhow::Result<()> {
    if let Some(shape) = &args.random_weights {
        return random_weights(&args, shape);
    }
    if args.render {
        let rows = drawing::bench(args.runs)?;
        let text = if args.json { as_json(&rows, args.runs) } else { as_table(&rows, args.runs, "frames") };
        stdout::write(&text)?;
        return Ok(());
    }
    args.model.required()?;
    let image = args.image.as_deref().ok_or_else(|| missing("--image <FILE>"))?;
    let mut tuner = args.model.load()?;
    // The first decision makes masks, rotary tables and buffers.
    decide_once(&mut tuner, image)?;
    let bar = ProgressBar::new(args.runs.into()).with_style(bar_style("{bar:30} {pos}/{len} decisions {eta}"));
    let (mut all, mut again) = (Vec::new(), Vec::new());
    for _ in 0..args.runs {
        tuner.forget_last_frame();
        all.push(decide_once(&mut tuner, image)?);
        again.push(decide_once(&mut tuner, image)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let without_decoding = |times: &StageTimes| times.total().saturating_sub(times.of(Stage::Decode));
    let rows: Vec<Row> = Stage::ALL
        .into_iter()
        .map(|stage| Row::new(stage.name(), all.iter().map(|times| times.of(stage)).collect()))
        .chain([
            Row::new("total", all.iter().map(StageTimes::total).collect()),
            Row::new("same frame", again.iter().map(without_decoding).collect()),
        ])
        .collect();
    if let Some(path) = &args.chart {
        let title = format!("A decision on {}", image.display());
        let subtitle = format!("{} decisions; a frame that is the same as the last: decoding left out", args.runs);
        let bar = |row: &Row| StageBar { name: row.name.into(), milliseconds: row.milliseconds(), ideal: None };
        plot_stages(path, &StageChart { title, subtitle, stages: rows.iter().map(bar).collect() })?;
    }
    let text = if args.json { as_json(&rows, args.runs) } else { as_table(&rows, args.runs, "decisions") };
    stdout::write(&text)?;
    Ok(())
}

fn random_weights(args: &BenchArgs, shape: &str) -> anyhow::Result<()> {
    let mut model = RandomModel::build(shape, &args.model)?;
    let measured = model.measure(args.runs)?;
    let growth = if args.growth { model.growth(args.runs)? } else { Vec::new() };
    if let Some(path) = &args.chart {
        plot_stages(path, &model.chart(&measured))?;
    }
    let text = if args.json { model.json(&measured, &growth) } else { model.table(&measured, &growth) };
    stdout::write(&text)?;
    Ok(())
}

fn decide_once(tuner: &mut Tuner, image: &Path) -> anyhow::Result<StageTimes> {
    let mut times = StageTimes::default();
    let frame: Frame = times.measure(Stage::Decode, || read_frame(image))?;
    let encoded = times.measure(Stage::History, || tuner.encode_for_history(&frame))?;
    let past: Vec<_> = tuner.history_offsets().iter().filter_map(|_| encoded.clone()).collect();
    let decision = tuner.decide(&frame, BodyVelocity::new(0.5, 0.0)?, &past)?;
    for stage in Stage::ALL {
        times.add(stage, decision.times.of(stage));
    }
    Ok(times)
}

struct Row {
    name: &'static str,
    sorted: Vec<Duration>,
}

impl Row {
    fn new(name: &'static str, mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { name, sorted: times }
    }

    /// Minimum, median and 99th percentile, ms.
    fn milliseconds(&self) -> [f64; 3] {
        [0, 50, 99].map(|percent| percentile(&self.sorted, percent).as_secs_f64() * 1e3)
    }
}

fn as_table(rows: &[Row], runs: u32, what: &str) -> String {
    let mut text = format!("{:<10} {:>9} {:>9} {:>9}   ms, {runs} {what}\n", "stage", "min", "median", "p99");
    for row in rows {
        let [min, median, p99] = row.milliseconds();
        let _ = writeln!(text, "{:<10} {min:>9.2} {median:>9.2} {p99:>9.2}", row.name);
    }
    text
}

fn as_json(rows: &[Row], runs: u32) -> String {
    let stages: serde_json::Map<_, _> = rows
        .iter()
        .map(|row| {
            let [min, median, p99] = row.milliseconds();
            (row.name.to_string(), json!({ "min_ms": min, "median_ms": median, "p99_ms": p99 }))
        })
        .collect();
    json!({ "runs": runs, "stages": stages }).to_string() + "\n"
}
