//! `planner_tuner export`: logs as arrays for Python.

use std::path::PathBuf;

use clap::ValueEnum;

use super::Outcome;
use super::destination::check_new_folder;
use super::progress::counting_bar;
use crate::export::{DatasetExport, ExportReport};
use crate::transition::logs_in;

/// Write transition logs as arrays and pictures that Python reads without ROS
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The dataset has one .npz an episode, with Minari's names (observations, actions, rewards, terminations, truncations),
the frames as PNG, and metadata.json, which says what each array is:
  numpy.load(\"dataset/episode_0.npz\")[\"observations\"]    features, one row more than actions
  python dataset/to_minari.py planner/jackal-v0           makes a data set that minari.load_dataset reads

Exit code 3 means that the dataset is there, but part of the logs could not be used.

Example:
  planner_tuner export logs/ -o dataset/")]
pub struct ExportArgs {
    /// Folder of logs, or one log
    logs: PathBuf,
    /// Folder to write: a new one, or an empty one
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
    let output = check_new_folder("--output", &args.output)?;
    let found = logs_in(&args.logs)?;
    let mut complete = found.refused.is_empty();
    for (path, error) in &found.refused {
        log::error!("{} is left out: {error}", path.display());
    }
    let mut export = DatasetExport::create(&output, args.allow_mixed)?;
    let bar = counting_bar(found.episodes.len() as u64, "logs");
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
    let output = output.display();
    log::info!("wrote {episodes} episodes, {steps} steps and {frames} frames of {logs} logs to {output}");
    if unusable_steps > 0 || lost_frames > 0 {
        log::error!("{unusable_steps} steps stand alone between holes, {lost_frames} frames are lost");
        complete = false;
    }
    Ok(if complete { Outcome::Complete } else { Outcome::DataLost })
}
