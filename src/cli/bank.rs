//! `planner_tuner bank`: controllers for Nav2 that stand for what a policy chose.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::model_args::planner_named;
use super::progress::counting_bar;
use super::{Outcome, stdout};
use crate::nav2::{
    ControllerValues, Mapping, banked_parameters, design, mapping_with_bank, nav2_parameters, quantisation_loss,
};
use crate::transition::logs_in;
use planner_tuner_core::durable::replace_file;

/// Make a bank of DWB controllers for Nav2 from what a policy chose: all seven parameters, on an unpatched Nav2
#[derive(Debug, Args)]
#[command(after_help = "\
Nav2's DWB uses only part of its parameters while it drives, and may crash when they are set (navigation2#5706). A bank is a
set of DWB controllers with fixed values, of which the node chooses one through Nav2's controller_selector: nothing but the
inflation radius is ever set. The controllers lie where the decisions of the logs are; the first has the safe defaults.

Two files are written: the mapping for the tuner, and Nav2's parameters to match (beside it, _params.yaml).

Exit code 3 means that something of the logs was lost; the bank is made of the rest.

Examples:
  planner_tuner bank logs/ --size 12 -o nav2_bank.yaml
  ros2 launch vlm_planner_tuner nav2.launch.py map:=lab.yaml nav2_params_file:=$PWD/nav2_bank_params.yaml")]
pub struct BankArgs {
    /// A folder of transition logs, or one of them: of a drive, or of a replay
    #[arg(value_name = "LOGS")]
    logs: PathBuf,
    /// How many controllers, the one with the safe defaults among them
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(2..=64))]
    size: u16,
    /// Seed of the search; the same one gives the same bank
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Planner whose parameters were logged: dwa, or a YAML file with the same parameters
    #[arg(long, default_value = "dwa")]
    planner: String,
    /// Nav2's parameters that the controllers are added to; config/jackal_nav2_dwb.yaml unless given
    #[arg(long, value_name = "YAML")]
    nav2_params: Option<PathBuf>,
    /// The mapping to write
    #[arg(short, long, value_name = "YAML")]
    output: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// What cannot be read or written, logs of another planner, and logs without a decision.
pub fn run(args: &BankArgs) -> anyhow::Result<Outcome> {
    let planner = planner_named(&args.planner)?;
    let parameters = banked_parameters(&planner).with_context(|| {
        format!("--planner {}: a bank is made of DWB controllers, which have the parameters of dwa", args.planner)
    })?;
    let found = logs_in(&args.logs)?;
    let mut complete = found.refused.is_empty();
    for (path, error) in &found.refused {
        log::error!("{} is left out: {error}", path.display());
    }
    let mut decisions: Vec<ControllerValues> = Vec::new();
    let bar = counting_bar(found.episodes.len() as u64, "logs");
    for files in &found.episodes {
        bar.inc(1);
        let log = bar.suspend(|| files.read())?;
        anyhow::ensure!(
            log.session.planner.eq_ignore_ascii_case(planner.name()),
            "episode {} is of {}, expected {}; give the logs of one planner",
            log.session.episode,
            log.session.planner,
            planner.name()
        );
        complete &= log.damage.is_empty();
        for step in &log.steps {
            let value = |name: &str| step.parameters.iter().find(|sent| sent.name == name).map(|sent| sent.value);
            let values: Option<ControllerValues> = parameters.iter().map(|parameter| value(parameter.name())).collect();
            match values.filter(|values| values.iter().all(|value| value.is_finite())) {
                Some(values) => decisions.push(values),
                None => complete = false,
            }
        }
    }
    bar.finish_and_clear();
    anyhow::ensure!(
        !decisions.is_empty(),
        "{} holds no decision; drive or replay with a log first",
        args.logs.display()
    );

    let controllers = design(&parameters, &decisions, args.size.into(), args.seed);
    let losses = quantisation_loss(&parameters, &decisions, &controllers);
    let text = mapping_with_bank(&parameters, &controllers);
    let mapping = Mapping::from_yaml(&text, &args.output.display().to_string(), &planner)?;
    let template = args.nav2_params.as_deref().map(read).transpose()?;
    let nav2 = nav2_parameters(&mapping, template.as_deref())?;
    let params_file = beside(&args.output);
    write(&args.output, &text)?;
    write(&params_file, &nav2)?;

    let mut report = format!("{} controllers for {} decisions\n", controllers.len(), decisions.len());
    let _ = writeln!(report, "{:<22} {:>12} {:>8} {:>12}", "parameter", "mean loss", "share", "largest");
    for loss in losses {
        let (mean, largest) = (format!("{:.4}", loss.mean), format!("{:.4}", loss.largest));
        let share = format!("{:.1} %", loss.mean_share * 100.0);
        let _ = writeln!(report, "{:<22} {mean:>12} {share:>8} {largest:>12}", loss.parameter);
    }
    stdout::write(&report)?;
    log::info!("wrote {}, and Nav2's parameters to {}", args.output.display(), params_file.display());
    Ok(if complete { Outcome::Complete } else { Outcome::DataLost })
}

/// `nav2_bank_params.yaml` for `nav2_bank.yaml`.
fn beside(output: &Path) -> PathBuf {
    let stem = output.file_stem().unwrap_or_default().to_string_lossy();
    output.with_file_name(format!("{stem}_params.yaml"))
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    replace_file(path, text.as_bytes()).with_context(|| format!("{}: cannot be written", path.display()))
}
