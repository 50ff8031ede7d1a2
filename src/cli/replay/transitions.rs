//! The transition log of a replay: the same recording, model and seed give the same bytes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::{ReplayArgs, ReplayedDecision};
use crate::drive::EpisodeEvent;
use crate::frame::Stamp;
use crate::origin::{identify, short_digest};
use crate::recording::{Drive, DriveEvent, RecordedFrame, Recording};
use crate::transition::log::{EpisodeFolder, FolderStore, Placement};
use crate::transition::{EpisodeRecorder, EpisodeRules, Exploration, MadeDecision, Session};
use crate::tuner::Tuner;
use crate::vision_language::hub::HubEnvironment;

/// Follows a replay and logs it.
pub struct Transitions {
    drive: Drive,
    /// Time of recording of the frame at hand.
    now: Option<Stamp>,
    max_gap: Duration,
    recorder: EpisodeRecorder,
    exploration: Exploration,
    output: EpisodeFolder,
}

impl Transitions {
    /// Begins, if a log is asked for.
    ///
    /// # Errors
    /// A topic that is not there, a reward file that is refused, a folder that cannot be written to.
    pub fn begin(
        args: &ReplayArgs,
        opened: &Recording,
        tuner: &Tuner,
        max_gap: Duration,
    ) -> anyhow::Result<Option<Self>> {
        let Some(folder) = &args.log.folder else { return Ok(None) };
        let recording = args.recording()?;
        let drive = Drive::read(recording, args.table(), &args.log.topics(opened, args.scan_topic()))?;
        let (policy, extractor) = identify(&args.model.spec()?.locate(&HubEnvironment::from_env())?)?;
        let name = recording.file_name().unwrap_or_default().to_string_lossy();
        let run = short_digest(&format!("{policy} {extractor} {name} {}", args.log.fingerprint()));
        let planner = tuner.planner();
        let session = Session {
            episode: String::new(),
            planner: planner.name().to_owned(),
            parameters: planner.parameters().iter().map(|parameter| parameter.name().to_owned()).collect(),
            feature_length: 0,
            policy,
            extractor,
        };
        let rules = EpisodeRules { max_gap, time_out: args.log.time_out, weights: args.log.weights()?, run };
        let store = FolderStore::open(folder, Placement::WhenWhole)
            .with_context(|| format!("the log folder {} cannot be made", folder.display()))?;
        Ok(Some(Self {
            drive,
            now: None,
            max_gap,
            recorder: EpisodeRecorder::new(session, rules),
            exploration: args.log.exploration(),
            output: EpisodeFolder::new(Arc::new(store)),
        }))
    }

    /// Takes in what happened until a frame was recorded.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn reach(&mut self, recorded: &RecordedFrame) -> anyhow::Result<()> {
        let age = Duration::try_from_secs_f64(recorded.age_s.max(0.0)).unwrap_or_default();
        let recorded_at =
            recorded.frame.stamp.nanos().saturating_add(i64::try_from(age.as_nanos()).unwrap_or_default());
        self.reach_time(Stamp::from_nanos(recorded_at))?;
        if recorded.episode_start {
            self.output.put(self.recorder.event(EpisodeEvent::Cut))?;
        }
        Ok(())
    }

    fn reach_time(&mut self, now: Stamp) -> anyhow::Result<()> {
        self.now = Some(now);
        while let Some(event) = self.drive.next_until(now) {
            match event {
                DriveEvent::Pose(pose) => self.recorder.pose(pose),
                DriveEvent::Goal(goal) => self.recorder.goal(goal),
                DriveEvent::NearestLaser(metres) => self.recorder.nearest_laser(metres),
                DriveEvent::Progress(metres) => self.recorder.progress(metres),
                DriveEvent::Ended(event) => self.output.put(self.recorder.event(event))?,
            }
        }
        Ok(())
    }

    /// Takes a decision.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn add(&mut self, replayed: &ReplayedDecision) -> anyhow::Result<()> {
        let ReplayedDecision { frame, velocity, decision, .. } = replayed;
        let made = MadeDecision::new(frame, *velocity, decision.choice(), &mut self.exploration)?;
        Ok(self.output.put(self.recorder.decided(made))?)
    }

    /// Ends the log: what happened soon after the last frame still counts.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn finish(mut self) -> anyhow::Result<()> {
        if let Some(now) = self.now {
            let gap = i64::try_from(self.max_gap.as_nanos()).unwrap_or(i64::MAX);
            self.reach_time(Stamp::from_nanos(now.nanos().saturating_add(gap)))?;
        }
        self.output.put(self.recorder.finish())?;
        log::info!("wrote {}", self.output);
        Ok(())
    }
}
