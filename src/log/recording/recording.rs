//! A recording, whatever it is stored as.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bag::Bag;
use super::drawn_bag::DrawnBag;
use super::image_folder::ImageFolder;
use super::locate::Located;
use super::{Drawing, DrawingOptions, RecordingError, SkipCounts, SkipReason, Skipped, Topic};
use planner_tuner_core::frame::{BodyVelocity, Frame, Stamp, StampedFrame};

/// Choices for [`Recording::open`]; the default leaves every choice to what is unambiguous in the recording.
#[derive(Debug, Clone, Default)]
pub struct RecordingOptions {
    /// Which clock the messages of a bag go by.
    pub stamps: StampSource,
    /// Image topic of a bag; `None` takes the only one of a type that is read.
    pub image_topic: Option<String>,
    /// Odometry topic of a bag; `None` takes the only one.
    pub odometry_topic: Option<String>,
    /// Table of an image folder; `None` takes `frames.csv`, the recorder's `data.csv`, or else the only .csv (or .json) in
    /// it.
    pub csv: Option<PathBuf>,
    /// Width and height, pixels, that the checkpoint was trained on: frames of another size are skipped. `None` takes
    /// every size.
    pub expected_size: Option<(u32, u32)>,
    /// Draws the frames of a bag from its laser scans; `None` takes the images that it holds.
    pub drawing: Option<DrawingOptions>,
}

/// Which clock the messages of a bag go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StampSource {
    /// Their own stamps, `header.stamp`; the time of recording where that is zero.
    #[default]
    Header,
    /// The time of recording, for all: of use where the clocks of two publishers disagree.
    Recorded,
}

impl StampSource {
    /// When a message was, by its stamp (`None` where that is zero) and the time of recording.
    pub(super) fn choose(self, stamp: Option<Stamp>, log_time: Stamp) -> Stamp {
        stamp.filter(|_| self == Self::Header).unwrap_or(log_time)
    }
}

/// A frame of a recording, ready to be decided on.
#[derive(Debug, Clone)]
pub struct RecordedFrame {
    /// The image and its stamp: `header.stamp`, or the time of recording where that is zero.
    pub frame: StampedFrame,
    /// The velocity that the robot had.
    pub velocity: BodyVelocity,
    /// How much older than the image the velocity is, seconds; negative when it was measured after the image.
    pub velocity_age_s: f64,
    /// How old the image was when it was recorded, seconds: time of recording less stamp.
    pub age_s: f64,
    /// Whether an episode starts here: at the first usable frame, and where the `run_id` of a table changes.
    pub episode_start: bool,
    /// What the image was drawn from, where it was drawn.
    pub drawing: Option<Drawing>,
    /// The images before it, newest first and one decision apart, where the recording names them itself.
    pub history: Option<Vec<Arc<Frame>>>,
}

/// What a source yields, before it is compared with its neighbours.
#[derive(Debug)]
pub(super) struct Observation {
    pub(crate) frame: StampedFrame,
    pub(crate) velocity: BodyVelocity,
    pub(crate) velocity_age_s: f64,
    pub(crate) age_s: f64,
    /// Number of the episode; a change of it starts one.
    pub(crate) episode: usize,
    pub(crate) drawing: Option<Drawing>,
    pub(crate) history: Option<Vec<Arc<Frame>>>,
}

/// An open recording: an iterator over its frames, in the order they were recorded.
///
/// It reads
/// - rosbag2 folders with MCAP or SQLite storage, of one or several files, and single .mcap and .db3 files, compressed by
///   rosbag2 (file by file, or message by message) or not:
///   `sensor_msgs/msg/Image` (rgb8, bgr8, rgba8, bgra8, mono8), `sensor_msgs/msg/CompressedImage` (PNG, JPEG) and
///   `nav_msgs/msg/Odometry`; with [`RecordingOptions::drawing`], `sensor_msgs/msg/LaserScan`, `nav_msgs/msg/Path` and
///   `tf2_msgs/msg/TFMessage` in place of the images;
/// - folders of images with a CSV table, or that table itself: the columns `file`, `linear_vel` (m/s) and
///   `angular_vel` (rad/s), optionally `stamp_ns` or `time_s`, and `run_id`, a change of which starts an episode.
///   Without stamps, rows are taken to be 0.5 s apart. Read, too, are the original recorder's folders (`data.csv` with the
///   columns `Method` and `img_label`, pictures named `METHOD_NNNNNN.png`), and the JSON lists made from them.
///
/// Messages are read in the order of recording time, as `ros2 bag play` does; frames carry their header stamps. An
/// image's velocity is the latest usable one at or before its stamp, at most 0.2 s old; before the first odometry
/// message of all, that one serves if it comes within 0.2 s.
///
/// Opening goes through the file once for odometry and the places of the images; the images themselves are read one at
/// a time, so memory does not grow with the recording. Damage is skipped over: what is lost is yielded as an `Err`,
/// logged, and counted in [`Self::skips`].
///
/// ```no_run
/// use planner_tuner_log::recording::{DecisionSchedule, Recording, RecordingOptions};
///
/// let mut recording = Recording::open("drive", &RecordingOptions::default())?;
/// let mut schedule = DecisionSchedule::default();
/// for recorded in recording.by_ref().flatten() {
///     if schedule.is_due(recorded.frame.stamp) {
///         println!("{:.3} s: {:.2} m/s", recorded.frame.stamp.seconds(), recorded.velocity.linear());
///     }
/// }
/// println!("{}", recording.skips());
/// # Ok::<(), planner_tuner_log::recording::RecordingError>(())
/// ```
pub struct Recording {
    source: Source,
    expected_size: Option<(u32, u32)>,
    skips: SkipCounts,
    episode: Option<usize>,
}

enum Source {
    Bag(Box<Bag>),
    DrawnBag(Box<DrawnBag>),
    ImageFolder(ImageFolder),
}

impl Recording {
    /// Finds out what `path` holds and opens it.
    ///
    /// # Errors
    /// [`RecordingError`] when nothing can be read from it at all, or when it leaves a choice open. Damage within it
    /// is no error here, see [`Self::skips`].
    pub fn open(path: impl AsRef<Path>, options: &RecordingOptions) -> Result<Self, RecordingError> {
        let path = path.as_ref();
        let mut skips = SkipCounts::default();
        let bag = |files, skips: &mut SkipCounts| match &options.drawing {
            Some(drawing) => DrawnBag::open(path, files, options, drawing, skips).map(Box::new).map(Source::DrawnBag),
            None => Bag::open(path, files, options, skips).map(Box::new).map(Source::Bag),
        };
        let folder_of_images = |folder: &Path, table: Option<&Path>| {
            if options.drawing.is_some() {
                let found = "images with a table".to_owned();
                return Err(RecordingError::NothingToDrawFrom { path: path.to_owned(), found });
            }
            let topics = [("--image-topic", &options.image_topic), ("--odometry-topic", &options.odometry_topic)];
            if let Some((option, Some(topic))) = topics.into_iter().find(|(_, topic)| topic.is_some()) {
                return Err(RecordingError::NoTopics { path: path.to_owned(), option, topic: topic.clone() });
            }
            ImageFolder::open(folder, table).map(Source::ImageFolder)
        };
        let source = match (Located::at(path, options.csv.as_deref())?, &options.csv) {
            (Located::Bag(_), Some(table)) => {
                return Err(RecordingError::NoTable { path: path.to_owned(), table: table.clone() });
            }
            (Located::Bag(files), None) => bag(files, &mut skips)?,
            (Located::Images { folder, table }, _) => folder_of_images(&folder, table.as_deref())?,
        };
        Ok(Self { source, expected_size: options.expected_size, skips, episode: None })
    }

    /// What has been lost so far: everything in the file but the frames after the open, the frames as they are read.
    pub fn skips(&self) -> &SkipCounts {
        &self.skips
    }

    /// Frames that are still to come, usable or not.
    pub fn remaining(&self) -> usize {
        match &self.source {
            Source::Bag(bag) => bag.remaining(),
            Source::DrawnBag(bag) => bag.remaining(),
            Source::ImageFolder(folder) => folder.remaining(),
        }
    }

    /// The image topic of a bag, or that of the laser scans where images are drawn.
    pub fn image_topic(&self) -> Option<&Topic> {
        match &self.source {
            Source::Bag(bag) => Some(bag.image_topic()),
            Source::DrawnBag(bag) => Some(bag.scan_topic()),
            Source::ImageFolder(_) => None,
        }
    }

    /// The odometry topic of a bag.
    pub fn odometry_topic(&self) -> Option<&Topic> {
        match &self.source {
            Source::Bag(bag) => Some(bag.odometry_topic()),
            Source::DrawnBag(bag) => Some(bag.odometry_topic()),
            Source::ImageFolder(_) => None,
        }
    }

    fn check_size(&self, observation: Observation) -> Result<Observation, Skipped> {
        let StampedFrame { stamp, frame } = &observation.frame;
        let found = (frame.width(), frame.height());
        match self.expected_size {
            Some(expected) if expected != found => {
                let message = format!(
                    "image is {}x{} pixels, expected {}x{}; pass --image-size {}x{} if the checkpoint was trained on that",
                    found.0, found.1, expected.0, expected.1, found.0, found.1
                );
                Err(Skipped::new(SkipReason::WrongSize, Some(*stamp), message))
            }
            _ => Ok(observation),
        }
    }
}

impl Iterator for Recording {
    type Item = Result<RecordedFrame, Skipped>;

    fn next(&mut self) -> Option<Self::Item> {
        let observation = match &mut self.source {
            Source::Bag(bag) => bag.next()?,
            Source::DrawnBag(bag) => {
                let observation = bag.next();
                bag.take_losses().for_each(|lost| self.skips.record(&lost));
                observation?
            }
            Source::ImageFolder(folder) => folder.next()?,
        };
        let observation = observation.and_then(|observation| self.check_size(observation));
        let recorded = observation.inspect_err(|skipped| self.skips.record(skipped)).map(|observation| {
            let Observation { frame, velocity, velocity_age_s, age_s, episode, drawing, history } = observation;
            let episode_start = self.episode.replace(episode) != Some(episode);
            RecordedFrame { frame, velocity, velocity_age_s, age_s, episode_start, drawing, history }
        });
        Some(recorded)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining(), Some(self.remaining()))
    }
}
