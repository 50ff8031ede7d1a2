//! `planner_tuner convert`: a policy in its other form.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;

use super::Outcome;
use super::destination::check_folder;
use crate::checkpoint::{PolicyCheckpoint, PolicyForm, PolicySet};

/// Write a policy in its other form: pickles for the original system, safetensors for everything else
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every number stays as it is, bit for bit. A manifest with length and SHA-256 of each file comes with either form.

Examples:
  planner_tuner convert runs/policy_step_1000 -o live/policy --to pickle
  planner_tuner convert policy/ -o converted/ --to safetensors            keeps the policy's own name")]
pub struct ConvertArgs {
    /// The policy: prefix (policy/policy_step_1000), folder or actor file
    #[arg(value_name = "PREFIX|DIR|FILE")]
    policy: PathBuf,
    /// Prefix of the files to write; a folder (ending in /, or there already) takes the policy's own name
    #[arg(short, long, value_name = "PREFIX|DIR")]
    output: PathBuf,
    /// The form to write
    #[arg(long, value_enum)]
    to: Form,
}

/// The forms by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// P_actor, P_noise and P_vlm_info, as the original system reads them
    Pickle,
    /// P_actor.safetensors
    Safetensors,
}

/// Converts, and says what was written.
///
/// # Errors
/// When the policy cannot be read, or the output is there already or cannot be written.
pub fn run(args: &ConvertArgs) -> anyhow::Result<Outcome> {
    let policy = PolicyCheckpoint::open(&args.policy)?;
    let (folder, prefix) = output(&args.output, &policy.path)?;
    check_folder("--output", &folder)?;
    let taken = ["_actor", "_actor.safetensors", "_manifest.json", "_lora_adapter"]
        .map(|suffix| folder.join(format!("{prefix}{suffix}")));
    if let Some(taken) = taken.iter().find(|path| path.symlink_metadata().is_ok()) {
        anyhow::bail!("{} is there already; choose another name with -o, or move it away", taken.display());
    }
    let form = match args.to {
        Form::Pickle => PolicyForm::Pickle,
        Form::Safetensors => PolicyForm::Safetensors,
    };
    let set = PolicySet::read(&policy)?;
    let saved = set.save_as(form, &folder, &prefix)?;
    // As proof, what was written is read back.
    let written = PolicyCheckpoint::open(&saved.prefix)?;
    let written = PolicySet::read(&written)?;
    anyhow::ensure!(
        written.actor.same_bits(&set.actor)? && written.lora_adapter == set.lora_adapter,
        "{} does not hold the tensors that were written; is the disk in order?",
        saved.prefix.display()
    );
    log::info!("wrote {} tensors, {} bytes, as {}_*", set.actor.len(), saved.bytes, saved.prefix.display());
    Ok(Outcome::Complete)
}

/// Folder and prefix of the files to write.
fn output(output: &Path, actor: &Path) -> anyhow::Result<(PathBuf, String)> {
    if output.is_dir() || output.as_os_str().to_string_lossy().ends_with('/') {
        let name = actor.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.strip_suffix(".safetensors").unwrap_or(&name);
        return Ok((output.to_owned(), stem.strip_suffix("_actor").unwrap_or(stem).to_owned()));
    }
    let prefix = output.file_name().context("the output has no name; give a prefix or a folder")?;
    let prefix = prefix.to_str().context("the output's name is not UTF-8")?.to_owned();
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder.to_owned(), prefix))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_takes_the_policys_name() {
        let folder = tempfile::tempdir().unwrap();
        let of = |path: &Path| output(path, Path::new("x/policy_step_7_actor.safetensors")).unwrap();
        assert_eq!(of(folder.path()), (folder.path().to_owned(), "policy_step_7".into()));
        assert_eq!(of(Path::new("new/")), ("new/".into(), "policy_step_7".into()));
        assert_eq!(of(Path::new("new/policy")), ("new".into(), "policy".into()));
        assert_eq!(of(Path::new("policy")), (".".into(), "policy".into()));
    }
}
