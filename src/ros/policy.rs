//! Which policy is in use, and who waits for another.

use std::path::{Path, PathBuf};

use r2r::diagnostic_msgs::msg::DiagnosticStatus;
use tokio::sync::oneshot;

use super::messages::{Line, Source};
use super::services::Outcome;
use vlm_planner_tuner::live::{PolicyRefusal, Settings};
use vlm_planner_tuner::planner::guard::Level;

/// The policy in use, as far as the node knows it.
pub(super) struct PolicyInUse {
    /// The files that the heads were read from at start.
    at_start: String,
    /// What is read again on request: the policy, or the folder of them that is followed.
    source: Option<PathBuf>,
    /// The folder that is followed.
    folder: Option<String>,
    /// Where the policy in use was read, once one of the folder has taken over.
    followed: Option<PathBuf>,
    /// Why the folder's last policy was not taken.
    refused: Option<String>,
    /// Who has asked for it to be read again.
    asked: Option<oneshot::Sender<Outcome>>,
}

impl PolicyInUse {
    pub(super) fn new(settings: &Settings) -> Self {
        let Settings { policy, policy_folder, checkpoint, .. } = settings;
        let set = |names: [&String; 2]| names.into_iter().find(|name| !name.is_empty()).cloned();
        Self {
            at_start: set([policy, policy_folder]).unwrap_or_else(|| checkpoint.clone()),
            source: set([policy_folder, policy]).map(PathBuf::from),
            folder: Some(policy_folder.clone()).filter(|folder| !folder.is_empty()),
            followed: None,
            refused: None,
            asked: None,
        }
    }

    /// The files that the heads in use were read from.
    pub(super) fn name(&self) -> String {
        self.followed.as_ref().map_or_else(|| self.at_start.clone(), |policy| policy.display().to_string())
    }

    /// What is read again on request; `None` where no policy is in use.
    pub(super) fn source(&self) -> Option<&Path> {
        self.source.as_deref()
    }

    /// Whether somebody waits for it to be read again.
    pub(super) fn is_awaited(&self) -> bool {
        self.asked.is_some()
    }

    /// Notes who has asked for it to be read again.
    pub(super) fn asked_by(&mut self, answer: oneshot::Sender<Outcome>) {
        self.asked = Some(answer);
    }

    /// Answers whoever has asked.
    pub(super) fn answer(&mut self, outcome: Outcome) {
        if outcome.is_ok() {
            self.refused = None;
        }
        // Whoever asked may have gone.
        self.asked.take().map(|asked| asked.send(outcome));
    }

    /// A policy of the followed folder has taken over.
    pub(super) fn took_over(&mut self, policy: PathBuf) {
        self.followed = Some(policy);
        self.refused = None;
    }

    /// A policy of the followed folder was not taken.
    pub(super) fn refused(&mut self, refusal: &PolicyRefusal) {
        self.refused = Some(refusal.to_string());
    }

    /// Which policy is in use where a folder of them is followed, and why a newer one is not.
    pub(super) fn line(&self, source: &Source) -> Option<DiagnosticStatus> {
        let folder = self.folder.as_ref()?;
        let (level, message) = match &self.refused {
            Some(why) => (Level::Warn, format!("the policy in use stays: {why}")),
            None => (Level::Ok, format!("{} is in use", self.name())),
        };
        let line = Line::new(source, "policy", level, message);
        Some(line.value("policy", self.name()).value("folder", folder).done())
    }
}
