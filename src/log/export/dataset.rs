//! The files of a dataset.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::array::Array;
use super::{ExportError, Mixed, Trajectory};
use crate::transition::{LoggedEpisode, Session, Step};
use planner_tuner_core::durable::write_new;
use planner_tuner_core::frame::PngEffort;

/// Writes a dataset, episode by episode. It gets its name when it is complete; dropped before that, it is removed.
#[derive(Debug)]
pub struct DatasetExport {
    folder: PathBuf,
    partial: PathBuf,
    allow_mixed: bool,
    /// Of the first episode.
    session: Option<Session>,
    episodes: Vec<Value>,
    report: ExportReport,
    finished: bool,
}

/// What became of the logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// Logs that were read.
    pub logs: usize,
    /// Episodes that were written.
    pub episodes: usize,
    /// Steps in them.
    pub steps: usize,
    /// Frames in them.
    pub frames: usize,
    /// Steps that stand alone between holes.
    pub unusable_steps: u64,
    /// Frames that the logs do not have, or not in a readable form.
    pub lost_frames: usize,
}

impl DatasetExport {
    /// Begins a dataset that will be `folder`. Episodes of other policies are taken; those of another extractor only if
    /// `allow_mixed`, because their features mean something else.
    ///
    /// # Errors
    /// [`ExportError::Exists`] when the folder is there and holds something, [`ExportError::Io`] when it cannot be made.
    pub fn create(folder: &Path, allow_mixed: bool) -> Result<Self, ExportError> {
        // Without a slash at its end: what is appended belongs to the name.
        let folder: PathBuf = folder.components().collect();
        let is_empty = folder.read_dir().is_ok_and(|mut entries| entries.next().is_none());
        if folder.symlink_metadata().is_ok() && !is_empty {
            return Err(ExportError::Exists { path: folder });
        }
        let mut partial = folder.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        if partial.exists() {
            // Of a run that was killed.
            fs::remove_dir_all(&partial).map_err(io(&partial))?;
        }
        fs::create_dir_all(&partial).map_err(io(&partial))?;
        let (session, episodes, report) = (None, Vec::new(), ExportReport::default());
        Ok(Self { folder, partial, allow_mixed, session, episodes, report, finished: false })
    }

    /// Adds a log's episode.
    ///
    /// # Errors
    /// [`ExportError::Mixed`] for one that does not belong to the others, and those of writing.
    pub fn add(&mut self, log: &LoggedEpisode) -> Result<(), ExportError> {
        self.check(&log.session)?;
        self.report.logs += 1;
        let (trajectories, unusable) = Trajectory::of(&log.steps);
        self.report.unusable_steps += unusable;
        for trajectory in trajectories {
            self.write_episode(log, &trajectory)?;
        }
        Ok(())
    }

    /// Completes the dataset and gives it its name.
    ///
    /// # Errors
    /// [`ExportError::Empty`] without an episode, and those of writing.
    pub fn finish(mut self) -> Result<ExportReport, ExportError> {
        let Some(session) = self.session.as_ref().filter(|_| self.report.episodes > 0) else {
            return Err(ExportError::Empty { logs: self.report.logs });
        };
        let metadata = json!({
            "format": "Minari-style arrays, one .npz an episode",
            "code_permalink": concat!("vlm_planner_tuner ", env!("CARGO_PKG_VERSION")),
            "planner": session.planner,
            "parameters": session.parameters,
            "observation_space": {"dtype": "float32", "shape": [session.feature_length]},
            "action_space": {"dtype": "float32", "shape": [session.parameters.len()], "low": -1.0, "high": 1.0},
            "total_episodes": self.report.episodes,
            "total_steps": self.report.steps,
            "arrays": ARRAYS.iter().map(|(name, what)| ((*name).to_owned(), json!(what))).collect::<serde_json::Map<_, _>>(),
            "episodes": self.episodes,
        });
        let path = self.partial.join("metadata.json");
        let text = format!("{metadata:#}\n");
        for (path, text) in [(path, text.as_str()), (self.partial.join("to_minari.py"), TO_MINARI)] {
            write_new(&path, text.as_bytes()).map_err(io(&path))?;
        }
        fs::rename(&self.partial, &self.folder).map_err(io(&self.folder))?;
        self.finished = true;
        Ok(self.report)
    }

    /// Refuses an episode that does not belong to the first one.
    fn check(&mut self, session: &Session) -> Result<(), ExportError> {
        let Some(first) = &self.session else {
            self.session = Some(session.clone());
            return Ok(());
        };
        let list = |session: &Session| session.parameters.join(", ");
        let apart = "export them into datasets of their own";
        let differences = [
            ("the planner", session.planner.clone(), first.planner.clone(), apart),
            ("the order of parameters", list(session), list(first), apart),
            ("the feature's length", session.feature_length.to_string(), first.feature_length.to_string(), apart),
            (
                "the extractor",
                session.extractor.0.clone(),
                first.extractor.0.clone(),
                "--allow-mixed takes it all the same",
            ),
        ];
        let taken = if self.allow_mixed { 1 } else { 0 };
        let considered = differences.len() - taken;
        match differences.into_iter().take(considered).find(|(_, found, expected, _)| found != expected) {
            None => Ok(()),
            Some((what, found, expected, remedy)) => {
                let (episode, first) = (session.episode.clone(), first.episode.clone());
                Err(ExportError::Mixed(Box::new(Mixed { episode, first, what, found, expected, remedy })))
            }
        }
    }

    fn write_episode(&mut self, log: &LoggedEpisode, trajectory: &Trajectory<'_>) -> Result<(), ExportError> {
        let number = self.report.episodes;
        let path = self.partial.join(format!("episode_{number}.npz"));
        let file = File::create(&path).map_err(io(&path))?;
        let mut archive = ZipWriter::new(file);
        let archive_error = |source| ExportError::Archive { path: path.clone(), source };
        for array in arrays(trajectory, &log.session) {
            archive.start_file(format!("{}.npy", array.name()), SimpleFileOptions::default()).map_err(archive_error)?;
            archive.write_all(&array.to_npy()).map_err(io(&path))?;
        }
        archive.finish().map_err(archive_error)?.sync_all().map_err(io(&path))?;
        self.write_frames(log, trajectory, number)?;

        let Session { episode, policy, extractor, .. } = &log.session;
        self.episodes.push(json!({
            "id": number,
            "total_steps": trajectory.steps.len(),
            "log": episode,
            "policy": policy.0,
            "extractor": extractor.0,
            "terminated": trajectory.terminated,
            "reward_weights": log.weights,
        }));
        self.report.episodes += 1;
        self.report.steps += trajectory.steps.len();
        Ok(())
    }

    /// Each frame once, under its number in the log.
    fn write_frames(
        &mut self,
        log: &LoggedEpisode,
        trajectory: &Trajectory<'_>,
        number: usize,
    ) -> Result<(), ExportError> {
        let folder = self.partial.join(format!("episode_{number}")).join("frames");
        fs::create_dir_all(&folder).map_err(io(&folder))?;
        let mut numbers: Vec<_> = trajectory.steps.iter().map(|step| step.frame).collect();
        numbers.dedup();
        for number in numbers {
            let path = folder.join(format!("{:06}.png", number.0));
            match log.frame(number) {
                Ok(frame) => {
                    fs::write(&path, frame.to_png(PngEffort::Small)?).map_err(io(&path))?;
                    self.report.frames += 1;
                }
                Err(error) => {
                    log::error!("{error}");
                    self.report.lost_frames += 1;
                }
            }
        }
        Ok(())
    }
}

impl Drop for DatasetExport {
    fn drop(&mut self) {
        if !self.finished {
            // Nobody is left to be told.
            fs::remove_dir_all(&self.partial).ok();
        }
    }
}

/// Minari itself reads HDF5 and Arrow files alone. This makes one of them.
const TO_MINARI: &str = include_str!("to_minari.py");

/// What the arrays of an episode are, for whoever opens the metadata.
const ARRAYS: [(&str, &str); 12] = [
    ("observations", "features, one more than steps: the last is the one after the episode"),
    ("actions", "in [-1, 1], after exploration noise: what a critic learns about"),
    ("rewards", "as given at the time, see reward_weights"),
    ("terminations", "a true end: success or collision"),
    ("truncations", "cut off where it could have gone on: bootstrap from the last observation"),
    ("policy_actions", "in [-1, 1], before exploration noise"),
    ("noise", "exploration noise"),
    ("parameters", "what the planner was sent, in its units, in the order of `parameters`"),
    ("velocities", "m/s and rad/s when the frame was taken"),
    ("stamps", "of the frames, ns"),
    ("steps", "number of the step in the log"),
    ("frames", "number of the frame: episode_N/frames/<number, six digits>.png"),
];

fn arrays(trajectory: &Trajectory<'_>, session: &Session) -> Vec<Array> {
    let steps = trajectory.steps;
    let (features, actions) = (session.feature_length, session.parameters.len());
    let last = steps.len().saturating_sub(1);
    let is_last = |end: bool| (0..steps.len()).map(move |index| index == last && end);
    let rows = |of: fn(&Step) -> &[f32]| steps.iter().map(of);
    let observations: Vec<&[f32]> =
        steps.iter().map(|step| step.feature.values()).chain([trajectory.after.values()]).collect();
    vec![
        Array::f32_rows("observations", features, observations.into_iter()),
        Array::f32_rows("actions", actions, rows(|step| step.explored.values())),
        Array::f32s("rewards", steps.iter().map(|step| step.reward)),
        Array::bools("terminations", is_last(trajectory.terminated)),
        Array::bools("truncations", is_last(!trajectory.terminated)),
        Array::f32_rows("policy_actions", actions, rows(|step| step.action.values())),
        Array::f32_rows("noise", actions, rows(|step| step.noise.as_slice())),
        Array::f64_rows(
            "parameters",
            actions,
            steps.iter().map(|step| step.parameters.iter().map(|parameter| parameter.value).collect()),
        ),
        Array::f64_rows(
            "velocities",
            2,
            steps.iter().map(|step| vec![step.velocity.linear(), step.velocity.angular()]),
        ),
        Array::i64s("stamps", steps.iter().map(|step| step.stamp.nanos())),
        Array::i64s("steps", steps.iter().map(|step| step.index as i64)),
        Array::i64s("frames", steps.iter().map(|step| step.frame.0 as i64)),
    ]
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> ExportError {
    let path = path.to_owned();
    move |source| ExportError::Io { path: path.clone(), source }
}
