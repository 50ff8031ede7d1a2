//! The transition log of a replay: the same recording, model and seed give the same bytes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::{ReplayArgs, ReplayedDecision};
use crate::drive::EpisodeEvent;
use crate::frame::Stamp;
use crate::origin::{identify, short_digest};
use crate::recording::{Drive, DriveEvent, RecordedFrame, Recording};
use crate::transition::log::{FolderStore, LogEntry, LogStore, Placement, Rotation};
use crate::transition::{
    Ending, EpisodeRecorder, EpisodeRules, EpisodeWriter, Exploration, MadeDecision, Session, TransitionError,
};
use crate::tuner::Tuner;
use crate::vision_language::hub::HubEnvironment;

/// Steps in a chunk: about a quarter of a megabyte.
const STEPS_PER_CHUNK: u64 = 16;

/// Follows a replay and logs it.
pub struct Transitions {
    drive: Drive,
    /// Time of recording of the frame at hand.
    now: Option<Stamp>,
    max_gap: Duration,
    recorder: EpisodeRecorder,
    exploration: Exploration,
    output: LogOutput,
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
            output: LogOutput { store: Arc::new(store), writer: None, steps: 0, episodes: 0 },
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
            self.output.take(self.recorder.event(EpisodeEvent::Cut))?;
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
                DriveEvent::Ended(event) => self.output.take(self.recorder.event(event))?,
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
        self.output.take(self.recorder.decided(made))
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
        self.output.take(self.recorder.finish())?;
        let LogOutput { store, steps, episodes, .. } = self.output;
        log::info!("wrote {steps} steps of {episodes} episodes to {}", store.folder().display());
        Ok(())
    }
}

/// The files.
struct LogOutput {
    store: Arc<dyn LogStore>,
    writer: Option<EpisodeWriter>,
    steps: u64,
    episodes: u64,
}

impl LogOutput {
    fn take(&mut self, entry: Option<LogEntry>) -> anyhow::Result<()> {
        let Some(LogEntry { head, step, frame }) = entry else { return Ok(()) };
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                self.episodes += 1;
                EpisodeWriter::new(Arc::clone(&self.store), head, Rotation::default())?
            }
        };
        match writer.write(&step, &frame) {
            Ok(()) => self.steps += 1,
            Err(error @ TransitionError::Step { .. }) => log::error!("{error}"),
            Err(error) => return Err(error.into()),
        }
        if step.index % STEPS_PER_CHUNK == STEPS_PER_CHUNK - 1 {
            writer.flush()?;
        }
        if step.ending == Ending::Continues {
            self.writer = Some(writer);
        } else {
            writer.finish_part()?;
        }
        Ok(())
    }
}
