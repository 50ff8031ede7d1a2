//! `planner_tuner export`: logs as arrays for Python.

use std::path::PathBuf;

use clap::ValueEnum;
use indicatif::ProgressBar;

use super::Outcome;
use super::model_args::bar_style;
use crate::export::{DatasetExport, ExportReport};
use crate::transition::logs_in;

/// Write transition logs as arrays and pictures that Python reads without ROS
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The dataset has one .npz an episode, with Minari's names (observations, actions, rewards, terminations, truncations),
the frames as PNG, and metadata.json, which says what each array is:
  numpy.load(\"dataset/episode_0.npz\")[\"observations\"]    features, one row more than actions

Exit code 3 means that the dataset is there, but part of the logs could not be used.

Example:
  planner_tuner export logs/ -o dataset/")]
pub struct ExportArgs {
    /// Folder of logs, or one log
    logs: PathBuf,
    /// Folder to write; must not be there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// The form of the dataset
    #[arg(long, value_enum, default_value_t = Format::Minari)]
    format: Format,
    /// Take episodes whose features come from other weights, too
    #[arg(long)]
    allow_mixed: bool,
}

/// The forms by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Arrays as in Minari, in .npz files
    Minari,
}

/// Exports, and says what could not be used.
///
/// # Errors
/// When there is no log, logs do not belong together, or the dataset cannot be written.
pub fn run(args: &ExportArgs) -> anyhow::Result<Outcome> {
    let Format::Minari = args.format;
    let found = logs_in(&args.logs)?;
    let mut complete = found.refused.is_empty();
    for (path, error) in &found.refused {
        log::error!("{} is left out: {error}", path.display());
    }
    let mut export = DatasetExport::create(&args.output, args.allow_mixed)?;
    let bar = ProgressBar::new(found.episodes.len() as u64).with_style(bar_style("{bar:30} {pos}/{len} logs {eta}"));
    for files in &found.episodes {
        let log = files.read()?;
        if !log.damage.is_empty() {
            bar.suspend(|| log::error!("episode {}: {}", log.session.episode, log.damage));
            complete = false;
        }
        export.add(&log)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let ExportReport { logs, episodes, steps, frames, unusable_steps, lost_frames } = export.finish()?;
    let output = args.output.display();
    log::info!("wrote {episodes} episodes, {steps} steps and {frames} frames of {logs} logs to {output}");
    if unusable_steps > 0 || lost_frames > 0 {
        log::error!("{unusable_steps} steps stand alone between holes, {lost_frames} frames are lost");
        complete = false;
    }
    Ok(if complete { Outcome::Complete } else { Outcome::DataLost })
}
