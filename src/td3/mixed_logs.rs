//! Logs that do not belong together are not learned from by accident.

use std::path::{Path, PathBuf};

use planner_tuner_core::identity::{ExtractorId, PolicyId};
use planner_tuner_core::planner::PlannerSpec;
use planner_tuner_log::transition::{RewardWeights, Session};

/// Whether logs of several policies, extractors or rewards are taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mixing {
    /// All logs come from one policy and one extractor.
    #[default]
    Refused,
    /// Any policy, extractor and reward (`--allow-mixed`). Planner, parameters and feature length must agree all the same.
    Allowed,
}

/// The policy that a training starts from: its heads must be those that made the logged features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartPolicy {
    /// Its own id.
    pub id: PolicyId,
    /// The extractor that its actor was trained on, where it says so.
    pub extractor: Option<ExtractorId>,
}

/// Compares each log with the planner and the actor that are trained, and with the first log.
#[derive(Debug, Clone)]
pub struct LogGate {
    planner: PlannerSpec,
    feature: usize,
    mixing: Mixing,
    start: Option<StartPolicy>,
    first: Option<(PathBuf, PolicyId, ExtractorId)>,
    reward: Option<(PathBuf, RewardWeights)>,
}

/// Two logs, or a log and what is trained, do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MixedLogs {
    /// Another planner.
    #[error("{} was logged with planner {found}, the training is for {expected}; it cannot be used", log.display())]
    Planner {
        /// The log.
        log: PathBuf,
        /// The planner that is trained for.
        expected: String,
        /// The log's.
        found: String,
    },
    /// Other parameters, or another order.
    #[error(
        "{}: its action stands for {found}, the training's for {expected}; it cannot be used: the numbers would change \
         places", log.display()
    )]
    Parameters {
        /// The log.
        log: PathBuf,
        /// The planner's parameters.
        expected: String,
        /// The log's.
        found: String,
    },
    /// Another length of the feature.
    #[error("{}: its features have {found} numbers, the actor takes {expected}; it cannot be used", log.display())]
    Feature {
        /// The log.
        log: PathBuf,
        /// The actor's.
        expected: usize,
        /// The log's.
        found: usize,
    },
    /// Features of another extractor.
    #[error(
        "{} has features of extractor {found}, {} of extractor {expected}; their numbers do not mean the same. Train \
         on one of them, or insist with --allow-mixed", log.display(), first.display()
    )]
    Extractor {
        /// The log.
        log: PathBuf,
        /// The first log.
        first: PathBuf,
        /// The first log's extractor.
        expected: ExtractorId,
        /// The log's.
        found: ExtractorId,
    },
    /// Features that the start policy's heads did not make.
    #[error(
        "{} has features of extractor {found}, the start policy was trained on those of {expected}; start from the \
         policy that drove, or insist with --allow-mixed", log.display()
    )]
    Start {
        /// The log.
        log: PathBuf,
        /// The start policy's extractor.
        expected: ExtractorId,
        /// The log's.
        found: ExtractorId,
    },
    /// Actions of another policy.
    #[error(
        "{} was driven by policy {found}, {} by policy {expected}; to learn from several policies' drives, \
         add --allow-mixed", log.display(), first.display()
    )]
    Policy {
        /// The log.
        log: PathBuf,
        /// The first log.
        first: PathBuf,
        /// The first log's policy.
        expected: PolicyId,
        /// The log's.
        found: PolicyId,
    },
    /// Rewards under other weights.
    #[error(
        "{} was rewarded by other weights than {}; recompute the rewards of both with planner_tuner relabel, or \
         insist with --allow-mixed", log.display(), first.display()
    )]
    Reward {
        /// The log.
        log: PathBuf,
        /// The first log.
        first: PathBuf,
    },
}

impl LogGate {
    /// For an actor that takes features of a length.
    pub fn new(planner: PlannerSpec, feature: usize, mixing: Mixing) -> Self {
        Self { planner, feature, mixing, start: None, first: None, reward: None }
    }

    /// Compares the logs with this policy, too.
    #[must_use]
    pub fn with_start(self, start: StartPolicy) -> Self {
        Self { start: Some(start), ..self }
    }

    /// Lets a log in.
    ///
    /// # Errors
    /// [`MixedLogs`] with both sides when it does not belong to the others.
    pub fn admit(&mut self, session: &Session, log: &Path) -> Result<(), MixedLogs> {
        let path = || log.to_owned();
        if !session.planner.eq_ignore_ascii_case(self.planner.name()) {
            let (expected, found) = (self.planner.name().to_owned(), session.planner.clone());
            return Err(MixedLogs::Planner { log: path(), expected, found });
        }
        let names: Vec<&str> = self.planner.parameters().iter().map(|parameter| parameter.name()).collect();
        if names != session.parameters {
            let (expected, found) = (names.join(", "), session.parameters.join(", "));
            return Err(MixedLogs::Parameters { log: path(), expected, found });
        }
        let (expected, found) = (self.feature, session.feature_length);
        if expected != found {
            return Err(MixedLogs::Feature { log: path(), expected, found });
        }
        if self.mixing == Mixing::Refused {
            self.compare_with_start(session, log)?;
        }
        let Some((first, policy, extractor)) = &self.first else {
            self.first = Some((path(), session.policy.clone(), session.extractor.clone()));
            return Ok(());
        };
        if self.mixing == Mixing::Allowed {
            return Ok(());
        }
        let first = first.clone();
        if *extractor != session.extractor {
            let (expected, found) = (extractor.clone(), session.extractor.clone());
            return Err(MixedLogs::Extractor { log: path(), first, expected, found });
        }
        if *policy != session.policy {
            let (expected, found) = (policy.clone(), session.policy.clone());
            return Err(MixedLogs::Policy { log: path(), first, expected, found });
        }
        Ok(())
    }

    fn compare_with_start(&self, session: &Session, log: &Path) -> Result<(), MixedLogs> {
        let Some(start) = &self.start else { return Ok(()) };
        match &start.extractor {
            Some(expected) if *expected != session.extractor => {
                let (expected, found) = (expected.clone(), session.extractor.clone());
                Err(MixedLogs::Start { log: log.to_owned(), expected, found })
            }
            None if start.id != session.policy && self.first.is_none() => {
                log::warn!(
                    "{} was driven by policy {}, the training starts from {}: whether their heads are the same, neither \
                     says",
                    log.display(),
                    session.policy,
                    start.id
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Lets the rewards of a log in.
    ///
    /// # Errors
    /// [`MixedLogs::Reward`] when they were given by other weights than those of the first log.
    pub fn admit_reward(&mut self, weights: &RewardWeights, log: &Path) -> Result<(), MixedLogs> {
        let Some((first, expected)) = &self.reward else {
            self.reward = Some((log.to_owned(), *weights));
            return Ok(());
        };
        if self.mixing == Mixing::Refused && weights != expected {
            return Err(MixedLogs::Reward { log: log.to_owned(), first: first.clone() });
        }
        Ok(())
    }
}
