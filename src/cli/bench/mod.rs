//! `planner_tuner bench`: where the time of a decision goes.

mod decisions;
mod drawing;
mod memory;
mod operations;
mod peak;
mod random_model;
mod random_report;
mod verify;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use self::random_model::RandomModel;
use super::destination::check_file;
use super::model_args::ModelArgs;
use super::replay::percentile;
use super::stdout;
use crate::picture::plot_stages;
use crate::vectors::Vectors;

/// Measure the time of a decision, stage by stage
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  planner_tuner bench --base model/ --checkpoint checkpoint/ --image frame.png
  planner_tuner bench --base model/ --checkpoint checkpoint/ --policy policy/ --image frame.png --runs 100 --json
  planner_tuner bench --base model/ --checkpoint checkpoint/ --image frame.png --compare-prefix
  planner_tuner bench --random-weights s --runs 5            a small shape, no checkpoint needed
  planner_tuner bench --random-weights 3b --dtype bf16 --runs 2    the published 3B shape
  planner_tuner bench --random-weights s --growth --chart stages.png
  planner_tuner bench --base model/ --checkpoint checkpoint/ --image frame.png --device cuda:0 --verify --runs 1000
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
    /// Hold the device against the CPU, in f32, bf16 and NF4, and measure it: for the first run on a new machine. Exit code 1
    /// where a feature is too far off
    #[arg(long, requires = "image", conflicts_with_all = ["random_weights", "render", "compare_prefix", "chart"])]
    verify: bool,
    /// Decisions, or frames, to measure, after one that is not counted
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Compute each frame also without the prompt's remembered beginning: what that saves, and how far the feature is off
    /// (with random weights the times are always shown)
    #[arg(long, conflicts_with = "render")]
    compare_prefix: bool,
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
    if let Some(path) = &args.chart {
        check_file("--chart", path)?;
    }
    if let Some(shape) = &args.random_weights {
        return random_weights(&args, shape);
    }
    if args.render {
        let rows = drawing::bench(args.runs)?;
        let text = if args.json { as_json(&rows, args.runs, json!({})) } else { as_table(&rows, args.runs, "frames") };
        stdout::write(&text)?;
        return Ok(());
    }
    if args.verify {
        let (text, passed) = verify::verify(&args)?;
        stdout::write(&text)?;
        anyhow::ensure!(passed, "the device does not compute what the CPU computes; see above");
        return Ok(());
    }
    stdout::write(&decisions::bench(&args)?)?;
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
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default().max(10);
    let mut text = format!("{:<width$} {:>9} {:>9} {:>9}   ms, {runs} {what}\n", "stage", "min", "median", "p99");
    for row in rows {
        let [min, median, p99] = row.milliseconds();
        let _ = writeln!(text, "{:<width$} {min:>9.2} {median:>9.2} {p99:>9.2}", row.name);
    }
    text
}

/// One object of the rows and the fields of `more`.
fn as_json(rows: &[Row], runs: u32, more: serde_json::Value) -> String {
    let stages: serde_json::Map<_, _> = rows
        .iter()
        .map(|row| {
            let [min, median, p99] = row.milliseconds();
            (row.name.to_string(), json!({ "min_ms": min, "median_ms": median, "p99_ms": p99 }))
        })
        .collect();
    let mut object = json!({ "runs": runs, "vectors": Vectors::in_use().set().name(), "stages": stages });
    if let (Some(object), serde_json::Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object.to_string() + "\n"
}
