//! Which file a path to a policy means.

use super::{ACTOR, ACTOR_SAFETENSORS, HeadsPolicy};
use crate::checkpoint::CheckpointError;
use std::path::{Path, PathBuf};

/// The prefix of a policy that is in use by robots.
const LIVE: &str = "policy";
/// What the original writes before it gives a file its name.
const TRANSIENT: &str = "policy_copy";

/// The actor file that a prefix, folder or file means.
pub(super) fn locate(path: &Path) -> Result<PathBuf, CheckpointError> {
    let problem = |problem: String| CheckpointError::Problems { path: path.into(), problems: vec![problem] };
    if path.is_file() {
        return Ok(path.into());
    }
    let prefix = path.file_name().unwrap_or_default().to_string_lossy();
    if let Some(actor) = actor_of(path) {
        return Ok(actor);
    }
    if !path.is_dir() {
        return Err(problem(format!(
            "there is no such file or folder, nor {prefix}{ACTOR} or {prefix}{ACTOR_SAFETENSORS}"
        )));
    }
    if let Some(live) = actor_of(&path.join(LIVE)) {
        return Ok(live);
    }
    match prefixes(path)?.as_slice() {
        [prefix] => locate(&path.join(prefix)),
        [] if HeadsPolicy::is_in(path) => Err(problem(
            "it holds a regression head and no actor: give it as the supervised checkpoint, with the regression head"
                .into(),
        )),
        [] => Err(problem(format!("no file in it ends in {ACTOR} or {ACTOR_SAFETENSORS}"))),
        several => Err(problem(format!("it holds several policies, name one by its prefix: {}", several.join(", ")))),
    }
}

/// A policy in a folder that a trainer writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocatedPolicy {
    /// The actor file of a policy in three files, or in safetensors form.
    Actor(PathBuf),
    /// The folder of a policy in the one-folder form.
    Heads(PathBuf),
}

/// The policy that a robot which follows `folder` should have: `policy_actor` (or `policy_actor.safetensors`), the
/// one-folder form in `policy/` or in the folder itself, or of several `policy_step_N` the one of the last step.
/// `None` as long as there is none.
///
/// # Errors
/// When the folder cannot be read.
pub fn locate_live(folder: &Path) -> Result<Option<LocatedPolicy>, CheckpointError> {
    if let Some(actor) = actor_of(&folder.join(LIVE)) {
        return Ok(Some(LocatedPolicy::Actor(actor)));
    }
    if let Some(heads) = [folder.join(LIVE), folder.into()].into_iter().find(|folder| HeadsPolicy::is_in(folder)) {
        return Ok(Some(LocatedPolicy::Heads(heads)));
    }
    let step = |prefix: &String| prefix.rsplit_once("_step_").and_then(|(_, step)| step.parse::<u64>().ok());
    let last = prefixes(folder)?.into_iter().max_by_key(|prefix| step(prefix));
    Ok(last.and_then(|prefix| actor_of(&folder.join(prefix))).map(LocatedPolicy::Actor))
}

/// The actor file of a prefix, the pickle first.
fn actor_of(prefix: &Path) -> Option<PathBuf> {
    let name = prefix.file_name()?.to_string_lossy();
    let candidates = [ACTOR, ACTOR_SAFETENSORS].map(|suffix| prefix.with_file_name(format!("{name}{suffix}")));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

/// The prefixes of the policies in a folder, sorted.
fn prefixes(folder: &Path) -> Result<Vec<String>, CheckpointError> {
    let mut prefixes = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(CheckpointError::io(folder))? {
        let name = entry.map_err(CheckpointError::io(folder))?.file_name().to_string_lossy().into_owned();
        let prefix = name.strip_suffix(ACTOR).or_else(|| name.strip_suffix(ACTOR_SAFETENSORS));
        prefixes.extend(prefix.filter(|prefix| *prefix != TRANSIENT).map(str::to_string));
    }
    prefixes.sort();
    prefixes.dedup();
    Ok(prefixes)
}
