//! `--follow`: policies that training leaves in a folder take over during a replay.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::model_args::ModelArgs;
use crate::live::{PolicyFollower, policy_at_start, take_over};
use crate::tuner::Tuner;

/// Which folder is followed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Policy")]
pub struct FollowArgs {
    /// Look for new policies here four times a second, and take each that is complete, fits and gives numbers between
    /// two decisions; without --policy the replay starts with what lies there
    #[arg(long, value_name = "DIR")]
    follow: Option<PathBuf>,
    /// Take a followed policy even if it changes a parameter by more than half of its range at once
    #[arg(long, requires = "follow")]
    allow_large_change: bool,
    /// Seconds that files without a manifest of ours have to rest before they count as complete: longer than any pause of
    /// the copy. Six times as long while old files are among them
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = positive_seconds, requires = "follow")]
    settle: Duration,
}

/// Takes new policies between two decisions.
pub struct Follow {
    follower: PolicyFollower,
    allow_large_change: bool,
}

fn positive_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "expected a positive number".into())
}

impl FollowArgs {
    /// Loads the model, with the policy of the followed folder where no other is given.
    ///
    /// # Errors
    /// As [`ModelArgs::load`]; when the folder is to give the first policy and has none.
    pub fn load(&self, model: &ModelArgs) -> anyhow::Result<(Tuner, Option<Follow>)> {
        let Some(folder) = &self.follow else { return Ok((model.load()?, None)) };
        let mut model = model.clone();
        let mut in_use = None;
        if model.policy.is_none() {
            let (policy, files) = policy_at_start(folder)?;
            model.policy = Some(policy.path().to_owned());
            in_use = Some(files);
        }
        let tuner = model.load()?;
        let follower = PolicyFollower::new(folder, tuner.policy_loader(), in_use).with_settle(self.settle);
        Ok((tuner, Some(Follow { follower, allow_large_change: self.allow_large_change })))
    }
}

impl Follow {
    /// Takes a new policy, if there is one; says so, or why the one in use stays.
    pub fn between_decisions(&mut self, tuner: &mut Tuner) {
        let Some(found) = self.follower.poll() else { return };
        let taken =
            found.and_then(|policy| take_over(tuner, policy, self.allow_large_change).map_err(|kept| kept.refusal));
        match taken {
            Ok(taken) => {
                let step = taken.step.map(|step| format!(" of step {step}")).unwrap_or_default();
                log::info!("policy {}{step} has taken over: {}", taken.policy.display(), taken.change);
            }
            Err(refusal) => log::warn!("the policy in use stays: {refusal}"),
        }
    }
}
