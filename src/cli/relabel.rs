//! `planner_tuner relabel`: recomputed rewards of transition logs.

use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::destination::check_folder;
use super::progress::counting_bar;
use crate::transition::RewardWeights;
use crate::transition::relabel::relabel;

/// Recompute the rewards of transition logs from their stored terms, under other weights
#[derive(Debug, Args)]
#[command(after_help = "\
The logs stay as they are; new ones are written, each whole or not at all. config/reward.yaml shows the weights; a file
may leave out those that stay.

Exit code 3 means that something of the logs was lost; what is left was relabelled.

Examples:
  planner_tuner relabel logs/ --reward reward.yaml -o relabelled/")]
pub struct RelabelArgs {
    /// A folder of logs, or one of them
    #[arg(value_name = "LOGS")]
    logs: PathBuf,
    /// Weights of the reward
    #[arg(long, value_name = "YAML")]
    reward: PathBuf,
    /// Folder of the new logs
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// What cannot be read or written.
pub fn run(args: &RelabelArgs) -> anyhow::Result<Outcome> {
    check_folder("--output", &args.output)?;
    let weights = RewardWeights::load(&args.reward)?;
    let bar = counting_bar(0, "episodes");
    let summary = relabel(&args.logs, weights, &args.output, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let summary = summary?;
    let mean = |sum: f64| sum / summary.steps.max(1) as f64;
    log::info!(
        "wrote {} steps of {} episodes to {}; mean reward {:.3} was {:.3}",
        summary.steps,
        summary.episodes,
        args.output.display(),
        mean(summary.after),
        mean(summary.before)
    );
    Ok(if summary.lost == 0 { Outcome::Complete } else { Outcome::DataLost })
}
