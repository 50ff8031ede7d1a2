//! Where examples come from: folders of images with labels, and transition logs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use planner_tuner_core::frame::{BodyVelocity, Frame};
use planner_tuner_core::planner::PlannerSpec;
use planner_tuner_core::random::Random;
use planner_tuner_log::recording::{LabelColumn, LabelledPicture, LabelledPictures, RowFilter};
use planner_tuner_log::transition::log::LoggedFrames;
use planner_tuner_log::transition::{Ending, FrameNumber, LoggedEpisode, Step, logs_in};

use crate::{EpisodeFilter, FinetuneError};

/// Frames with what a planner's parameters should have been, run by run.
#[derive(Debug)]
pub struct Dataset {
    outputs: Vec<OutputName>,
    items: Vec<Item>,
    runs: Vec<String>,
    counts: DataCounts,
}

/// A number that the regression predicts.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputName {
    /// As in the planner file.
    pub name: String,
    /// Its unit, empty for a number without one.
    pub unit: &'static str,
    /// How much its squared error counts.
    pub loss_weight: f32,
    min: f64,
    max: f64,
}

/// What was taken, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataCounts {
    /// Frames that could not be used, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// The first of each reason, in words.
    pub examples_of_skipped: Vec<String>,
    /// Labels that were out of the planner's range and cut to it, by parameter.
    pub clamped: BTreeMap<String, u64>,
    /// Episodes of logs that the filter left out.
    pub filtered_episodes: usize,
}

/// A frame, the frames before it and its labels.
#[derive(Debug)]
struct Item {
    run: usize,
    velocity: BodyVelocity,
    /// One for each output, in its own unit, in range.
    values: Vec<f64>,
    picture: Picture,
    /// Items before this one in the same run, which is where history comes from unless the table names it.
    earlier: usize,
}

#[derive(Debug)]
enum Picture {
    InFolder(LabelledPicture),
    Logged(Arc<LoggedFrames>, FrameNumber),
}

/// Two shares of a dataset, by whole runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Items that are learned from.
    pub train: Vec<usize>,
    /// Items that tell when to stop.
    pub validation: Vec<usize>,
}

/// How a dataset is split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Validation {
    /// So large a share of the runs, chosen by the seed, is held back.
    Share(f64),
    /// Of so many parts of the runs, shuffled by the seed, this one (from 0) is held back.
    Fold {
        /// Which.
        index: usize,
        /// Of how many.
        of: usize,
    },
}

/// What is read of a source.
#[derive(Debug, Clone)]
pub struct DataOptions {
    /// Of a folder's table, the rows that count.
    pub only: Option<RowFilter>,
    /// Of a log, the episodes that count.
    pub episodes: EpisodeFilter,
}

impl Dataset {
    /// Reads folders of images, tables of them and folders of transition logs. Pictures are opened once, to see that they are
    /// there and of one size.
    ///
    /// # Errors
    /// [`FinetuneError::Data`] where a source has no usable labels, or there is nothing at all.
    pub fn read(sources: &[PathBuf], planner: &PlannerSpec, options: &DataOptions) -> Result<Self, FinetuneError> {
        let mut data =
            Self { outputs: outputs_of(planner), items: Vec::new(), runs: Vec::new(), counts: DataCounts::default() };
        for source in sources {
            if is_log_folder(source) {
                data.add_logs(source, planner, options)?;
            } else {
                data.add_folder(source, options.only.as_ref())?;
            }
        }
        if data.items.is_empty() {
            let path = sources.first().cloned().unwrap_or_default();
            let problem = match data.counts.examples_of_skipped.first() {
                Some(first) => format!("no frame with labels is left; the first that was skipped: {first}"),
                None => "no frame with labels in it".to_owned(),
            };
            return Err(FinetuneError::Data { path, problem });
        }
        data.expect_one_size()?;
        Ok(data)
    }

    /// What the regression predicts, in its order.
    pub fn outputs(&self) -> &[OutputName] {
        &self.outputs
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Never true: an empty dataset is not read.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Number of runs.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// What was skipped and clamped.
    pub fn counts(&self) -> &DataCounts {
        &self.counts
    }

    /// The labels of a frame, in their own units.
    pub fn values(&self, item: usize) -> &[f64] {
        self.items.get(item).map_or(&[], |item| &item.values)
    }

    /// The robot's velocity at a frame.
    pub fn velocity(&self, item: usize) -> Option<BodyVelocity> {
        self.items.get(item).map(|item| item.velocity)
    }

    /// A frame.
    ///
    /// # Errors
    /// When its file has gone or changed since the dataset was read.
    pub fn frame(&self, item: usize) -> Result<Arc<Frame>, FinetuneError> {
        let none = || FinetuneError::Data { path: PathBuf::new(), problem: format!("there is no frame {item}") };
        self.items.get(item).ok_or_else(none)?.picture.read()
    }

    /// The frames before a frame of the same run, at these distances, newest first: an older one that is missing repeats the
    /// oldest one there is, and with none at all the frame itself stands in.
    ///
    /// # Errors
    /// As [`frame`](Self::frame).
    pub fn history(&self, item: usize, offsets: &[usize]) -> Result<Vec<Arc<Frame>>, FinetuneError> {
        let Some(of) = self.items.get(item) else { return Ok(Vec::new()) };
        if let Some(given) = of.picture.given_history()? {
            let oldest = given.last().cloned().map_or_else(|| self.frame(item), Ok)?;
            return Ok(offsets.iter().map(|offset| given.get(offset - 1).unwrap_or(&oldest).clone()).collect());
        }
        offsets.iter().map(|offset| self.frame(item - (*offset).min(of.earlier))).collect()
    }

    /// Splits by whole runs, so that no run is on both sides.
    ///
    /// # Errors
    /// [`FinetuneError::Data`] when there are too few runs.
    pub fn split(&self, validation: Validation, seed: u64) -> Result<Split, FinetuneError> {
        let mut order: Vec<usize> = (0..self.runs.len()).collect();
        shuffle(&mut order, &mut Random::new(seed));
        let count = order.len();
        let held_back: Vec<usize> = match validation {
            Validation::Share(share) => {
                let held = ((count as f64 * share).round() as usize).clamp(usize::from(share > 0.0), count);
                order.iter().take(held).copied().collect()
            }
            Validation::Fold { index, of } => order.iter().skip(index).step_by(of.max(1)).copied().collect(),
        };
        let (validation, train): (Vec<usize>, Vec<usize>) = (0..self.items.len())
            .partition(|item| self.items.get(*item).is_some_and(|item| held_back.contains(&item.run)));
        if train.is_empty() {
            let problem = format!("{count} runs are too few to hold some back; give more runs, or --validation 0");
            return Err(FinetuneError::Data { path: PathBuf::from("data"), problem });
        }
        Ok(Split { train, validation })
    }

    fn add_folder(&mut self, source: &Path, only: Option<&RowFilter>) -> Result<(), FinetuneError> {
        let (folder, table) = match source.is_file() {
            true => (source.parent().unwrap_or(Path::new("")), Some(source)),
            false => (source, None),
        };
        let planned = self.outputs.iter().map(|output| output.is_parameter());
        let columns = self.outputs.iter().zip(planned);
        let columns: Vec<LabelColumn> =
            columns.map(|(output, required)| LabelColumn { name: output.name.clone(), required }).collect();
        let LabelledPictures { pictures, skipped, table } = LabelledPictures::read(folder, table, &columns, only)
            .map_err(|error| FinetuneError::Data { path: source.to_owned(), problem: error.to_string() })?;
        for (reason, count) in skipped.iter() {
            *self.counts.skipped.entry(reason.name().to_owned()).or_default() += count;
        }
        let first_run = self.runs.len();
        let velocities: Vec<(String, BodyVelocity)> =
            pictures.iter().map(|picture| (picture.run.clone(), picture.velocity)).collect();
        for (number, picture) in pictures.into_iter().enumerate() {
            if let Err(skipped) = picture.frame() {
                self.skip(skipped.reason.name(), &skipped.message);
                continue;
            }
            let next = velocities.get(number + 1).filter(|(run, _)| *run == picture.run);
            let next = next.map_or(picture.velocity, |(_, velocity)| *velocity);
            let name = format!("{}: {}", table.display(), picture.run);
            let known = self.runs.iter().skip(first_run).rposition(|run| *run == name);
            let run = known.map_or(self.runs.len(), |run| first_run + run);
            if run == self.runs.len() {
                self.runs.push(name);
            }
            let labels: Vec<Option<f64>> = picture.labels.clone();
            let velocity = picture.velocity;
            self.push(run, (velocity, next), labels, Picture::InFolder(picture));
        }
        Ok(())
    }

    fn add_logs(&mut self, source: &Path, planner: &PlannerSpec, options: &DataOptions) -> Result<(), FinetuneError> {
        let unreadable = |problem: String| FinetuneError::Data { path: source.to_owned(), problem };
        let found = logs_in(source).map_err(|error| unreadable(error.to_string()))?;
        let mut episodes: Vec<LoggedEpisode> = Vec::new();
        for files in &found.episodes {
            match files.read() {
                Ok(episode) => episodes.push(episode),
                Err(error) => self.skip("unreadable_log", &error.to_string()),
            }
        }
        let read = episodes.len();
        let episodes = options.episodes.choose(episodes);
        self.counts.filtered_episodes += read - episodes.len();
        for episode in episodes {
            let run = self.runs.len();
            self.runs.push(format!("{}: {}", source.display(), episode.session.episode));
            let frames = Arc::new(episode.frames().clone());
            let velocities: Vec<BodyVelocity> = episode.steps.iter().map(|step| step.velocity).collect();
            for (number, step) in episode.steps.iter().enumerate() {
                if !frames.has(step.frame) {
                    self.skip("lost_frame", &format!("{}: step {} has no frame", episode.session.episode, step.index));
                    continue;
                }
                let Some(labels) = self.labels_of(step, planner) else {
                    let problem = format!("{}: step {} has other parameters", episode.session.episode, step.index);
                    self.skip("other_planner", &problem);
                    continue;
                };
                let next = velocities.get(number + 1).copied().unwrap_or(step.velocity);
                self.push(run, (step.velocity, next), labels, Picture::Logged(frames.clone(), step.frame));
            }
        }
        Ok(())
    }

    /// What was sent to the planner; `None` where a parameter is missing.
    fn labels_of(&self, step: &Step, planner: &PlannerSpec) -> Option<Vec<Option<f64>>> {
        let sent = |name: &str| step.parameters.iter().find(|sent| sent.name == name).map(|sent| sent.value);
        let parameters = planner.parameters().iter().map(|parameter| sent(parameter.name()).map(Some));
        let predictions = planner.predictions().iter().map(|_| Some(None));
        parameters.chain(predictions).collect()
    }

    /// Takes a frame; `next` is the robot's velocity one decision later, for outputs without a label of their own.
    fn push(
        &mut self,
        run: usize,
        (velocity, next): (BodyVelocity, BodyVelocity),
        labels: Vec<Option<f64>>,
        picture: Picture,
    ) {
        let mut values = Vec::with_capacity(self.outputs.len());
        for (output, label) in self.outputs.iter().zip(labels) {
            let value = label.unwrap_or_else(|| output.velocity_of(next));
            let clamped = value.clamp(output.min, output.max);
            if clamped != value {
                *self.counts.clamped.entry(output.name.clone()).or_default() += 1;
            }
            values.push(clamped);
        }
        let earlier = match self.items.last() {
            Some(before) if before.run == run => before.earlier + 1,
            _ => 0,
        };
        self.items.push(Item { run, velocity, values, picture, earlier });
    }

    fn skip(&mut self, reason: &str, message: &str) {
        let count = self.counts.skipped.entry(reason.to_owned()).or_default();
        *count += 1;
        if *count == 1 {
            self.counts.examples_of_skipped.push(message.to_owned());
        }
        log::warn!("skipped: {message}");
    }

    /// Frames of another size than most are skipped, and said.
    fn expect_one_size(&mut self) -> Result<(), FinetuneError> {
        let mut sizes = Vec::with_capacity(self.items.len());
        let mut counted: BTreeMap<(u32, u32), usize> = BTreeMap::new();
        for item in &self.items {
            let frame = item.picture.read()?;
            let size = (frame.width(), frame.height());
            sizes.push(size);
            *counted.entry(size).or_default() += 1;
        }
        let Some((&usual, _)) = counted.iter().max_by_key(|(_, count)| **count) else { return Ok(()) };
        if counted.len() == 1 {
            return Ok(());
        }
        let items = std::mem::take(&mut self.items);
        for (item, (width, height)) in items.into_iter().zip(sizes) {
            if (width, height) != usual {
                let problem =
                    format!("{} is {width}x{height}, the others are {}x{}", item.picture.name(), usual.0, usual.1);
                self.skip("another_size", &problem);
                continue;
            }
            let earlier = match self.items.last() {
                Some(before) if before.run == item.run => before.earlier + 1,
                _ => 0,
            };
            self.items.push(Item { earlier, ..item });
        }
        Ok(())
    }
}

impl OutputName {
    /// Whether it is set on the planner; the others are predictions only.
    pub fn is_parameter(&self) -> bool {
        !self.name.starts_with("next_")
    }

    fn velocity_of(&self, next: BodyVelocity) -> f64 {
        if self.name.contains("angular") { next.angular() } else { next.linear() }
    }
}

impl Picture {
    fn read(&self) -> Result<Arc<Frame>, FinetuneError> {
        match self {
            Self::InFolder(picture) => picture.frame().map_err(|skipped| self.unread(skipped.message)),
            Self::Logged(frames, number) => {
                frames.read(*number).map(Arc::new).map_err(|error| self.unread(error.to_string()))
            }
        }
    }

    fn given_history(&self) -> Result<Option<Vec<Arc<Frame>>>, FinetuneError> {
        match self {
            Self::InFolder(picture) => picture.history().map_err(|skipped| self.unread(skipped.message)),
            Self::Logged(..) => Ok(None),
        }
    }

    fn unread(&self, problem: String) -> FinetuneError {
        FinetuneError::Data { path: PathBuf::from(self.name()), problem }
    }

    fn name(&self) -> String {
        match self {
            Self::InFolder(picture) => picture.path().display().to_string(),
            Self::Logged(frames, number) => {
                let file = frames.files().first().map(|file| file.display().to_string()).unwrap_or_default();
                format!("{file}: frame {}", number.0)
            }
        }
    }
}

fn outputs_of(planner: &PlannerSpec) -> Vec<OutputName> {
    let parameters = planner.parameters().iter().map(|parameter| OutputName {
        name: parameter.name().to_owned(),
        unit: parameter.unit().symbol(),
        loss_weight: parameter.loss_weight() as f32,
        min: parameter.min(),
        max: parameter.max(),
    });
    let predictions = planner.predictions().iter().map(|prediction| OutputName {
        name: prediction.name().to_owned(),
        unit: prediction.unit().symbol(),
        loss_weight: prediction.loss_weight() as f32,
        min: prediction.min(),
        max: prediction.max(),
    });
    parameters.chain(predictions).collect()
}

fn is_log_folder(source: &Path) -> bool {
    let is_log = |path: &Path| path.extension().is_some_and(|extension| extension == "mcap");
    match source.is_dir() {
        true => std::fs::read_dir(source).is_ok_and(|entries| entries.flatten().any(|entry| is_log(&entry.path()))),
        false => is_log(source),
    }
}

/// Fisher and Yates.
pub fn shuffle<T>(values: &mut [T], random: &mut Random) {
    for last in (1..values.len()).rev() {
        values.swap(last, random.below(last + 1));
    }
}

/// How an episode ended.
pub fn succeeded(episode: &LoggedEpisode) -> bool {
    episode.steps.last().is_some_and(|step| step.ending == Ending::Success)
}
