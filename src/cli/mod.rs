//! The command line, one file a subcommand. Results go to stdout, talk to stderr.

pub mod bank;
pub mod bench;
pub mod choices;
pub mod completions;
pub mod convert;
mod demo;
mod destination;
pub mod doctor;
mod drawing_args;
pub mod drives;
pub mod export;
pub mod finetune;
mod greeting;
pub mod infer;
pub mod inspect;
mod interrupt;
pub mod learn;
pub mod man;
pub(crate) mod model_args;
mod page_parts;
mod progress;
pub mod relabel;
pub mod render;
pub mod replay;
mod report;
mod stamps_arg;
mod stdout;
pub mod train;
mod viewers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::vectors;

/// Re-tunes a classical local planner by looking at the scene: costmap image in, planner parameters out.
#[derive(Debug, Parser)]
#[command(
    name = "planner_tuner",
    version,
    after_help = "\
Exit codes: 0 ok, 1 error, 2 wrong usage, 3 finished but data was lost, 130 stopped by Ctrl-C (what was done is kept).
RUST_LOG=debug shows more of what happens. PLANNER_TUNER_VECTORS=avx512, avx2 or none is the widest vector
instructions that may be used; without it, those that the processor has.

Examples:
  planner_tuner replay --demo
  planner_tuner replay drive/ --base Qwen/Qwen2.5-VL-3B-Instruct --checkpoint checkpoint/ --policy policy/ --plot out.png
  planner_tuner infer --base model/ --checkpoint checkpoint/ --image now.png --linear-vel 0.5 --angular-vel 0
  planner_tuner inspect policy/policy_step_1000"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Infer(Box<infer::InferArgs>),
    Replay(Box<replay::ReplayArgs>),
    Inspect(inspect::InspectArgs),
    Convert(convert::ConvertArgs),
    Relabel(relabel::RelabelArgs),
    Export(export::ExportArgs),
    Render(render::RenderArgs),
    Finetune(Box<finetune::FinetuneArgs>),
    Train(train::TrainArgs),
    Bank(bank::BankArgs),
    Drive(Box<drives::drive::DriveArgs>),
    Evaluate(Box<drives::evaluate::EvaluateArgs>),
    Collect(Box<drives::collect::CollectArgs>),
    Learn(Box<learn::LearnArgs>),
    Search(Box<drives::search::SearchArgs>),
    Bench(Box<bench::BenchArgs>),
    Doctor(Box<doctor::DoctorArgs>),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was there was used.
    Complete,
    /// The command ran to its end, but something of its input could not be used.
    DataLost,
    /// Somebody wanted an end; what was done by then is kept. The exit code is that of the signal.
    Interrupted(u8),
}

/// Parses the arguments, runs the command, and says what went wrong.
pub fn main() -> ExitCode {
    if greeting::is_due() {
        return greeting::greet();
    }
    let cli = Cli::parse();
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or("warn,vlm_planner_tuner=info,planner_tuner=info"),
    )
    .format_timestamp(None)
    .format_target(false)
    .init();
    if let Err(error) = vectors::settle() {
        log::error!("{error}");
        return ExitCode::from(2);
    }
    let outcome = match cli.command {
        Command::Infer(args) => infer::run(*args).map(|()| Outcome::Complete),
        Command::Replay(args) => replay::run(*args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Relabel(args) => relabel::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Finetune(args) => finetune::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Bank(args) => bank::run(&args),
        Command::Drive(args) => drives::drive::run(&args).map(|()| Outcome::Complete),
        Command::Collect(args) => drives::collect::run(&args),
        Command::Learn(args) => learn::run(&args),
        Command::Search(args) => drives::search::run(&args),
        Command::Evaluate(args) => drives::evaluate::run(&args),
        Command::Bench(args) => bench::run(*args).map(|()| Outcome::Complete),
        Command::Doctor(args) => doctor::run(&args).map(|()| Outcome::Complete),
        Command::Completions(args) => completions::run(&args).map(|()| Outcome::Complete),
        Command::Man(args) => man::run(&args).map(|()| Outcome::Complete),
    };
    match outcome {
        Ok(Outcome::Complete) => ExitCode::SUCCESS,
        Ok(Outcome::DataLost) => ExitCode::from(3),
        Ok(Outcome::Interrupted(code)) => ExitCode::from(code),
        Err(error) => match error.downcast::<clap::Error>() {
            // Exits with 2, as for everything else that is wrong with the arguments.
            Ok(usage) => usage.exit(),
            Err(error) => {
                log::error!("{}", in_words(&error));
                ExitCode::FAILURE
            }
        },
    }
}

/// An error with its causes, each said once: many errors have their cause in their own sentence.
fn in_words(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |said, cause| {
        let cause = cause.to_string();
        if said.contains(&cause) { said } else { format!("{said}: {cause}") }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("planner.yaml: {source}; check the path")]
    struct WithItsCause {
        source: std::io::Error,
    }

    /// clap checks this in debug builds only, which no test here is.
    #[test]
    fn no_command_has_two_options_of_one_name() {
        let mut command = Cli::command();
        command.build();
        for command in command.get_subcommands() {
            let mut seen = std::collections::BTreeSet::new();
            for option in command.get_arguments() {
                let names = option.get_long().into_iter().map(str::to_owned).chain([format!("id {}", option.get_id())]);
                for name in names {
                    assert!(seen.insert(name.clone()), "{}: two options are called {name}", command.get_name());
                }
            }
        }
    }

    #[test]
    fn r23_a_cause_is_said_once() {
        let refused = || std::io::Error::other("Is a directory (os error 21)");
        let error = anyhow::Error::from(WithItsCause { source: refused() }).context("the plan");
        assert_eq!(in_words(&error), "the plan: planner.yaml: Is a directory (os error 21); check the path");
        assert_eq!(in_words(&anyhow::Error::from(refused()).context("a.png")), "a.png: Is a directory (os error 21)");
    }
}
