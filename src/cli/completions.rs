//! `planner_tuner completions`: what a shell needs to complete commands and options.

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::{Cli, stdout};

/// Print the completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  planner_tuner completions bash > ~/.local/share/bash-completion/completions/planner_tuner
  planner_tuner completions zsh > ~/.zfunc/_planner_tuner            (a folder of fpath)
  planner_tuner completions fish > ~/.config/fish/completions/planner_tuner.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut text = Vec::new();
    generate(args.shell, &mut Cli::command(), "planner_tuner", &mut text);
    stdout::write(&String::from_utf8_lossy(&text)).map(|_| ())
}
