//! The transition log of a node that runs: it is told what happens, and never makes it wait.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::inference::Decided;
use super::{SettingError, Settings};
use crate::frame::StampedFrame;
use crate::identity::{ExtractorId, PolicyId};
use crate::nav2::{BankedController, ParameterStatus, TargetStatus};
use crate::origin::{IdentityError, identify};
use crate::planner::{PlannerParameters, PlannerSpec};
use crate::recording::DriveEvent;
use crate::transition::log::{BackgroundLog, FolderStore, LogEntry, LogSettings, LogState, LogStatus, Placement};
use crate::transition::{
    ChosenController, EpisodeRecorder, EpisodeRules, Exploration, MadeDecision, ParameterOutcome, RewardWeights,
    Session,
};
use crate::tuner::ModelSpec;
use crate::vision_language::hub::{HubEnvironment, HubError, ModelSource};

/// Bytes in a GiB.
const GIB: f64 = (1 << 30) as f64;
/// How long the end of the log may take when the node ends.
const LAST_WORDS: Duration = Duration::from_millis(500);

type Ids = Result<(PolicyId, ExtractorId), UnknownModel>;

/// Why it is not known whose decisions these are.
#[derive(Debug, thiserror::Error)]
enum UnknownModel {
    #[error(transparent)]
    Located(#[from] HubError),
    #[error(transparent)]
    Identified(#[from] IdentityError),
    #[error("the thread that identifies its files has panicked")]
    Panicked,
}

/// Steps of a running node on their way to disk.
#[derive(Debug)]
pub struct NodeLog {
    log: BackgroundLog,
    rules: EpisodeRules,
    planner: PlannerSpec,
    model: ModelSpec<ModelSource>,
    /// From the moment that the files are known; until then nothing is logged.
    recorder: Option<EpisodeRecorder>,
    /// The checksums of the files, on their way.
    ids: Option<Receiver<Ids>>,
    problem: Option<String>,
}

impl NodeLog {
    /// Begins, if a folder is set.
    ///
    /// # Errors
    /// A folder that cannot be written to, a reward file that is refused.
    pub fn start(settings: &Settings, planner: &PlannerSpec) -> Result<Option<Self>, SettingError> {
        if settings.log_folder.is_empty() {
            return Ok(None);
        }
        let refuse =
            |what: &str, problem: String| SettingError::Contradiction(format!("parameter '{what}': {problem}"));
        let folder = PathBuf::from(&settings.log_folder);
        let store = FolderStore::open(&folder, Placement::AtOnce)
            .map_err(|error| refuse("log_folder", format!("{}: {error}", folder.display())))?;
        let weights = match settings.log_reward.as_str() {
            "" => RewardWeights::default(),
            path => RewardWeights::load(path.as_ref()).map_err(|error| refuse("log_reward", error.to_string()))?,
        };
        let log_settings = LogSettings { min_free: (settings.log_min_free * GIB) as u64, ..LogSettings::default() };
        let log = BackgroundLog::start(Arc::new(store), log_settings)
            .map_err(|error| refuse("log_folder", format!("no thread can be started for it: {error}")))?;
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let rules = EpisodeRules {
            max_gap: settings.schedule().max_gap(),
            time_out: Some(settings.episode_time_out).filter(|seconds| *seconds > 0.0),
            weights,
            // Stamps of a simulation repeat; the wall clock does not.
            run: format!("{:x}", started.as_millis()),
        };
        let (mut model, _) = settings.model_spec()?;
        if model.policy.is_none() && !settings.policy_folder.is_empty() {
            model.policy = Some(PathBuf::from(&settings.policy_folder));
        }
        Ok(Some(Self { log, rules, planner: planner.clone(), model, recorder: None, ids: None, problem: None }))
    }

    /// The model is there, or another policy decides from now on. Its files are identified on a thread of their own;
    /// until that is done nothing is logged.
    pub fn model_is_there(&mut self, policy: Option<PathBuf>) {
        let entry = self.recorder.take().and_then(|mut recorder| recorder.finish());
        self.write(entry);
        self.model.policy = policy.or(self.model.policy.take());
        let model = self.model.clone();
        let (sender, ids) = channel();
        let work = move || {
            // The node may have ended meanwhile.
            sender.send(ids_of(model)).ok();
        };
        match std::thread::Builder::new().name("log identity".into()).spawn(work) {
            Ok(_) => self.ids = Some(ids),
            Err(error) => self.problem = Some(format!("no thread can be started: {error}")),
        }
    }

    /// Something happened.
    pub fn event(&mut self, event: DriveEvent) {
        let Some(recorder) = &mut self.recorder else { return };
        let entry = match event {
            DriveEvent::Pose(pose) => {
                recorder.pose(pose);
                None
            }
            DriveEvent::Goal(goal) => {
                recorder.goal(goal);
                None
            }
            DriveEvent::NearestLaser(metres) => {
                recorder.nearest_laser(metres);
                None
            }
            DriveEvent::Progress(metres) => {
                recorder.progress(metres);
                None
            }
            DriveEvent::Ended(event) => recorder.event(event),
        };
        self.write(entry);
    }

    /// A decision is made. `sent` is what the planner is to have, where anything is set at all.
    pub fn decided(&mut self, decided: &Decided, sent: Option<&PlannerParameters>) {
        self.take_ids();
        let Some(recorder) = &mut self.recorder else { return };
        let ticket = decided.job.ticket;
        let frame = StampedFrame { stamp: ticket.stamp(), frame: Arc::clone(&decided.job.frame) };
        let made =
            MadeDecision::new(&frame, ticket.velocity(), decided.decision.choice(), &mut Exploration::NONE.clone());
        let entry = match made {
            Ok(mut made) => {
                let values = sent.into_iter().flat_map(PlannerParameters::iter).map(|(_, value)| value);
                made.parameters.iter_mut().zip(values).for_each(|(parameter, value)| parameter.value = value);
                recorder.decided(made)
            }
            Err(error) => {
                log::error!("a decision is not logged: {error}");
                None
            }
        };
        self.write(entry);
    }

    /// What has become of the last decision's parameters.
    pub fn outcomes(&mut self, statuses: &[ParameterStatus]) {
        let Some(recorder) = &mut self.recorder else { return };
        recorder.outcomes(self.planner.parameters().iter().map(|parameter| {
            let of = statuses.iter().filter(|status| status.parameter == parameter.name() && status.place.is_some());
            // A parameter may be set in several places: the worst counts.
            of.map(|status| outcome(&status.status))
                .max_by_key(|outcome| severity(*outcome))
                .unwrap_or(ParameterOutcome::NotSet)
        }));
    }

    /// The controller that a bank chose for the last decision.
    pub fn controller(&mut self, controller: Option<&BankedController>) {
        let Some(recorder) = &mut self.recorder else { return };
        recorder.controller(controller.map(|controller| ChosenController {
            id: controller.id().to_owned(),
            values: controller.values().map(|(name, value)| (name.to_owned(), value)).collect(),
        }));
    }

    /// How logging goes, and why it does not.
    pub fn status(&self) -> (LogStatus, Option<&str>) {
        let status = self.log.status();
        let waits = self.ids.is_some().then_some("the model's files are being identified");
        (status, self.problem.as_deref().or(waits))
    }

    /// Completes the log.
    pub fn close(mut self) {
        let entry = self.recorder.take().and_then(|mut recorder| recorder.finish());
        self.write(entry);
        let (in_time, status) = self.log.close(LAST_WORDS);
        if !in_time {
            log::error!("the transition log could not be completed in time: {:?}", status.file);
        }
    }

    fn write(&self, entry: Option<LogEntry>) {
        // What finds the queue full is counted there.
        entry.map(|entry| self.log.write(entry));
    }

    fn take_ids(&mut self) {
        let Some(ids) = &self.ids else { return };
        let found = match ids.try_recv() {
            Ok(found) => found,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => Err(UnknownModel::Panicked),
        };
        self.ids = None;
        match found {
            Ok((policy, extractor)) => {
                let session = Session {
                    episode: String::new(),
                    planner: self.planner.name().to_owned(),
                    parameters: self.planner.parameters().iter().map(|spec| spec.name().to_owned()).collect(),
                    feature_length: 0,
                    policy,
                    extractor,
                };
                self.problem = None;
                self.recorder = Some(EpisodeRecorder::new(session, self.rules.clone()));
            }
            Err(problem) => {
                log::error!("nothing is logged: {problem}");
                self.problem = Some(problem.to_string());
            }
        }
    }
}

fn ids_of(model: ModelSpec<ModelSource>) -> Ids {
    let located = model.locate(&HubEnvironment::from_env())?;
    Ok(identify(&located)?)
}

fn outcome(status: &TargetStatus) -> ParameterOutcome {
    match status {
        TargetStatus::Applied | TargetStatus::Selected => ParameterOutcome::Applied,
        TargetStatus::Stored { .. } | TargetStatus::NotInUse { .. } => ParameterOutcome::Stored,
        TargetStatus::Refused { .. } | TargetStatus::Yielded { .. } | TargetStatus::Stopped { .. } => {
            ParameterOutcome::Refused
        }
        TargetStatus::Unreachable => ParameterOutcome::Unreachable,
        // Not known in time, or nothing that would tell.
        TargetStatus::Pending | TargetStatus::Published | TargetStatus::NotSelected { .. } => ParameterOutcome::NotSet,
    }
}

fn severity(outcome: ParameterOutcome) -> u8 {
    match outcome {
        ParameterOutcome::Applied => 0,
        ParameterOutcome::Stored => 1,
        ParameterOutcome::NotSet => 2,
        ParameterOutcome::Refused => 3,
        ParameterOutcome::Unreachable => 4,
    }
}

/// Whether a status calls for the operator: logging has stopped, or steps are missing.
pub fn needs_attention(status: &LogStatus) -> bool {
    status.has_losses() || matches!(status.state, LogState::Stopped { .. })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn off_without_a_folder_and_refused_with_a_wrong_one() {
        let planner = PlannerSpec::builtin("dwa").unwrap();
        assert!(NodeLog::start(&Settings::default(), &planner).unwrap().is_none());
        let folder = tempfile::tempdir().unwrap();
        let log_folder = folder.path().display().to_string();
        let settings =
            Settings { log_folder: log_folder.clone(), log_reward: "/nowhere.yaml".into(), ..Settings::default() };
        let refusal = NodeLog::start(&settings, &planner).unwrap_err().to_string();
        assert!(refusal.contains("'log_reward'") && refusal.contains("/nowhere.yaml"), "{refusal}");
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let settings = Settings { log_folder: file.display().to_string(), ..Settings::default() };
        assert!(NodeLog::start(&settings, &planner).unwrap_err().to_string().contains("'log_folder'"));
    }

    #[test]
    fn a_model_whose_files_are_missing_is_not_logged_and_said_so() {
        let planner = PlannerSpec::builtin("dwa").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            log_folder: folder.path().display().to_string(),
            base: "/nowhere".into(),
            checkpoint: "/nowhere".into(),
            ..Settings::default()
        };
        let mut log = NodeLog::start(&settings, &planner).unwrap().unwrap();
        log.model_is_there(None);
        while log.ids.is_some() {
            log.take_ids();
            std::thread::yield_now();
        }
        assert!(log.status().1.unwrap().contains("/nowhere"));
        log.close();
    }

    #[test]
    fn the_worst_outcome_counts() {
        let worst = [ParameterOutcome::Applied, ParameterOutcome::Unreachable, ParameterOutcome::Stored];
        assert_eq!(worst.into_iter().max_by_key(|outcome| severity(*outcome)), Some(ParameterOutcome::Unreachable));
    }
}
