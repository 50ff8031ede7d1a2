//! One step of a round: another command of this program.
//!
//! A step is a process of its own: its memory is free when it is done, one that is killed takes nothing with it, and whoever wants
//! to know what happened can run it again.

use std::process::{Command, Stdio};

use anyhow::{Context as _, anyhow};

use crate::cli::interrupt::Interrupt;

/// Why there is no result.
#[derive(Debug)]
pub enum Stopped {
    /// Somebody wanted an end; the exit code is that of the signal.
    Interrupted(u8),
    /// It failed.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Runs a step and gives what it printed. A step reports the data that it could not use; that is no reason to stop.
///
/// # Errors
/// [`Stopped`].
pub fn run(interrupt: &Interrupt, args: &[String]) -> Result<String, Stopped> {
    let said = args.iter().map(|arg| quoted(arg)).collect::<Vec<_>>().join(" ");
    log::info!("planner_tuner {said}");
    let program = std::env::current_exe().context("this program does not know where it is")?;
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("planner_tuner {said}: cannot be started"))?;
    if let Some(code) = interrupt.asked() {
        return Err(Stopped::Interrupted(code));
    }
    match output.status.code() {
        // 3: finished, but something of its input could not be used.
        Some(0 | 3) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Some(code @ (130 | 143)) => Err(Stopped::Interrupted(code as u8)),
        _ => Err(Stopped::Failed(anyhow!("planner_tuner {said}: ended with {}", output.status))),
    }
}

/// As a shell takes it.
fn quoted(arg: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@".contains(letter);
    match !arg.is_empty() && arg.chars().all(is_plain) {
        true => arg.to_owned(),
        false => format!("'{}'", arg.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_can_be_pasted() {
        assert_eq!(quoted("generated:0-9"), "generated:0-9");
        assert_eq!(quoted("my logs"), "'my logs'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
