//! `planner_tuner man`: the manual pages, one a command.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_mangen::Man;
use planner_tuner_core::durable::replace_file;

use super::Cli;
use super::destination::check_folder;

/// Write the manual pages into a folder
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  planner_tuner man ~/.local/share/man/man1 && man planner_tuner-replay")]
pub struct ManArgs {
    /// The folder; it is made where it is absent
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When a page cannot be written.
pub fn run(args: &ManArgs) -> anyhow::Result<()> {
    check_folder("DIR", &args.folder)?;
    let folder = args.folder.display();
    std::fs::create_dir_all(&args.folder).with_context(|| format!("{folder}: cannot be made"))?;
    let mut program = Cli::command();
    // Names and usage of the subcommands are known from here on.
    program.build();
    let subcommands = program.get_subcommands().filter(|command| command.get_name() != "help");
    let pages: Vec<&clap::Command> = std::iter::once(&program).chain(subcommands).collect();
    let count = pages.len();
    for page in pages {
        // `planner_tuner-replay`, as `man` is asked for it.
        let name = page.get_display_name().unwrap_or(page.get_name());
        let path = args.folder.join(format!("{name}.1"));
        let mut text = Vec::new();
        Man::new(page.clone()).render(&mut text).context("a manual page cannot be made")?;
        replace_file(&path, &text).with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    log::info!("wrote {count} pages to {folder}");
    Ok(())
}
