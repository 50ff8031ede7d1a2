//! `planner_tuner inspect`: what a checkpoint file or folder is, and what it holds.

mod log_page;
mod report;
mod summary;
mod table;
mod transition_log;

use self::log_page::LogPage;
use super::Outcome;
use super::destination::check_file;
use super::stdout;
use crate::recording::refuse_recording;
use anyhow::{Context as _, Result};
use clap::Args;
use planner_tuner_core::durable::replace_file;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

/// Shows what a checkpoint file or folder is: tensors, shapes, element types, parameter counts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  planner_tuner inspect model/                                  a base model's folder
  planner_tuner inspect checkpoint/                             a supervised checkpoint
  planner_tuner inspect policy/policy_step_1000                 a policy, by its prefix
  planner_tuner inspect regression_head/pytorch_model.bin       any one tensor file
  planner_tuner inspect normalization/param_mean.npy            a vector of statistics
  planner_tuner inspect logs/                                   transition logs, and what they have lost (exit code 3)
  planner_tuner inspect logs/ --html logs.html                  the drives as a page: curves, frames, steps, episodes
  planner_tuner inspect checkpoint/ --base model/ --policy policy/policy_step_1000
                                                                what is trained and what is frozen")]
pub struct InspectArgs {
    /// A tensor file, a .npy file, a checkpoint folder, the prefix of a policy's files, or transition logs
    pub path: PathBuf,
    /// The base model's folder, for the summary of a supervised checkpoint
    #[arg(long, value_name = "DIR")]
    pub base: Option<PathBuf>,
    /// A policy (prefix, folder or file), for the summary of a supervised checkpoint
    #[arg(long, value_name = "PREFIX")]
    pub policy: Option<PathBuf>,
    /// Leave out the list of tensors
    #[arg(long)]
    pub brief: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Write the drives of transition logs as a page, too: one file that any browser opens, without a network
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Inspects, and prints the result on stdout.
///
/// # Errors
/// What cannot be read. A log that has lost something is no error, but [`Outcome::DataLost`].
pub fn run(args: &InspectArgs) -> Result<Outcome> {
    let (text, outcome) = inspect(args, stdout::terminal_width())?;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // The reader has seen enough: `inspect … | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        other => other.context("stdout cannot be written")?,
    }
    Ok(outcome)
}

/// What [`run`] prints: tables, or one JSON object on a line.
///
/// # Errors
/// What cannot be read.
pub fn describe(args: &InspectArgs) -> Result<String> {
    inspect(args, None).map(|(text, _)| text)
}

fn inspect(args: &InspectArgs, terminal: Option<usize>) -> Result<(String, Outcome)> {
    if let Some(path) = &args.html {
        check_file("--html", path)?;
    }
    let (report, outcome) = if transition_log::is_log(&args.path) {
        let mut page = args.html.as_ref().map(|_| LogPage::default());
        let reported = transition_log::report(&args.path, page.as_mut())?;
        if let (Some(page), Some(path)) = (page, &args.html) {
            let html = page.finish(&args.path.display().to_string());
            replace_file(path, html.as_bytes())
                .with_context(|| format!("--html {}: cannot be written", path.display()))?;
            log::info!("wrote {}", path.display());
        }
        reported
    } else {
        refuse_recording(&args.path)?;
        anyhow::ensure!(
            args.html.is_none(),
            "{}: --html shows transition logs, and this is none; leave it out",
            args.path.display()
        );
        (report::Report::of(args)?, Outcome::Complete)
    };
    let text = match args.json {
        true => serde_json::to_string(&report).context("the report cannot be written as JSON")? + "\n",
        false => table::render(&report, args.brief, terminal),
    };
    Ok((text, outcome))
}
