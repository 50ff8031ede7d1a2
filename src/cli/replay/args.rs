//! The options of `replay`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::super::demo::Demo;
use super::super::destination::{check_file, check_folder};
use super::super::drawing_args::DrawingArgs;
use super::super::infer::TRAINED_SIZE;
use super::super::model_args::{ModelArgs, missing};
use super::super::stamps_arg::StampsArg;
use super::super::viewers::ViewerArgs;
use super::follow::FollowArgs;
use super::lines::Form;
use super::log_args::LogArgs;
use crate::recording::{DecisionSchedule, RecordingOptions};

/// Compute planner parameters for every decision of a recorded drive
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
A recording is a rosbag2 folder (MCAP or SQLite, compressed or not), a single .mcap or .db3 file, or a folder of images
with a CSV table (columns file, linear_vel, angular_vel; optionally time_s or stamp_ns, and run_id), the original
recorder's data.csv (Method, img_label), or a JSON list (image, history_images, conversations).

Exit code 3 means that the replay ran to its end, but frames were skipped; the summary says why.

Examples:
  planner_tuner replay --demo                           a small drive with a small model
  planner_tuner replay bag/ --base model/ --checkpoint checkpoint/ --policy policy/ --plot drive.png
  planner_tuner replay bag/ --base model/ --checkpoint checkpoint/ --csv > drive.csv
  planner_tuner replay bag/ --base model/ --checkpoint checkpoint/ --html drive.html        (to send to somebody)
  planner_tuner replay bag/ --base model/ --checkpoint checkpoint/ --follow runs/live   (policies as they are trained)
  planner_tuner replay bag/ --base model/ --checkpoint checkpoint/ --rate every --json | jq .parameters
  planner_tuner replay bag/ --base model/ --checkpoint checkpoint/ --image-source render      no images needed
  planner_tuner replay bag/ --base model/ --checkpoint checkpoint/ --mcap decisions.mcap    (opens in Foxglove)
  planner_tuner replay --demo --live                    shows it in Foxglove or Lichtblick while it happens
  planner_tuner replay bag/ --base model/ --checkpoint checkpoint/ --policy policy/ --log logs/    (to train on)")]
pub struct ReplayArgs {
    /// The recording
    #[arg(value_name = "RECORDING", required_unless_present = "demo", conflicts_with = "demo")]
    recording: Option<PathBuf>,
    /// Replay the drive and the small model that come with the source code; ends in a picture
    #[arg(long, conflicts_with_all = ["base", "checkpoint", "policy", "head"])]
    pub(super) demo: bool,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) follow: FollowArgs,
    #[command(flatten)]
    pub(super) viewers: ViewerArgs,
    /// Where the frames come from: the recording's images, or drawn from its laser scans, plan and odometry
    #[arg(long, value_name = "SOURCE", value_enum, default_value_t, help_heading = "Recording")]
    image_source: ImageSource,
    #[command(flatten)]
    drawing: DrawingArgs,
    /// Image topic [default: the only one there is]
    #[arg(long, value_name = "TOPIC", help_heading = "Recording")]
    image_topic: Option<String>,
    /// Odometry topic [default: the only one there is]
    #[arg(long, value_name = "TOPIC", help_heading = "Recording")]
    odometry_topic: Option<String>,
    #[command(flatten)]
    stamps: StampsArg,
    /// Table of an image folder [default: the only .csv or .json in it]
    #[arg(long, value_name = "FILE", help_heading = "Recording")]
    table: Option<PathBuf>,
    /// Decisions a second, by the frames' stamps; `every` decides on every frame
    #[arg(long, value_name = "HZ|every", default_value = "2", value_parser = parse_rate, help_heading = "Recording")]
    rate: Rate,
    /// Size of the frames; others are skipped. `any` takes them all
    #[arg(long, value_name = "WxH|any", default_value = "600x400", value_parser = parse_size,
          help_heading = "Recording")]
    image_size: ImageSizeRule,
    /// One JSON object a line
    #[arg(long, help_heading = "Output", conflicts_with = "csv")]
    json: bool,
    /// Comma-separated values with a header
    #[arg(long, help_heading = "Output")]
    csv: bool,
    /// Draw parameters, velocities and frames over time
    #[arg(long, value_name = "PNG", help_heading = "Output")]
    pub(super) plot: Option<PathBuf>,
    /// Write a page with summary, curves, frames with attention and a table: one file that any browser opens, without a
    /// network
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(super) html: Option<PathBuf>,
    #[command(flatten)]
    pub(super) log: LogArgs,
}

/// Where the frames come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum ImageSource {
    /// The recording's images
    #[default]
    Topic,
    /// Drawn from laser scans, plan and odometry
    Render,
}

/// When to decide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// So many times a second.
    Hertz(f64),
    /// Whenever there is a frame.
    EveryFrame,
}

/// Which frames are of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ImageSizeRule {
    Exactly(u32, u32),
    Any,
}

/// A rate from the command line.
pub fn parse_rate(text: &str) -> Result<Rate, String> {
    if text == "every" {
        return Ok(Rate::EveryFrame);
    }
    let rate = text.parse().map(Rate::Hertz).ok();
    rate.filter(|rate| rate.schedule().is_some())
        .ok_or_else(|| "expected a positive number of hertz, or 'every'".into())
}

fn parse_size(text: &str) -> Result<ImageSizeRule, String> {
    if text == "any" {
        return Ok(ImageSizeRule::Any);
    }
    let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides.map(|(width, height)| ImageSizeRule::Exactly(width, height)).ok_or_else(|| {
        let (width, height) = TRAINED_SIZE;
        format!("expected WIDTHxHEIGHT as in {width}x{height}, or 'any'")
    })
}

impl Rate {
    /// The schedule of this rate.
    pub fn schedule(self) -> Option<DecisionSchedule> {
        match self {
            Self::Hertz(rate) => DecisionSchedule::at_rate(rate),
            Self::EveryFrame => Some(DecisionSchedule::every_frame()),
        }
    }
}

impl ReplayArgs {
    /// Fills in the demo's files, when it is asked for.
    pub fn with_demo(mut self) -> anyhow::Result<Self> {
        if !self.demo {
            return Ok(self);
        }
        let demo = Demo::find()?;
        self.recording = Some(demo.drive);
        self.model.base = Some(demo.base.display().to_string());
        self.model.checkpoint = Some(demo.checkpoint);
        self.model.policy = Some(demo.policy);
        self.plot.get_or_insert_with(|| PathBuf::from("planner_tuner_demo.png"));
        Ok(self)
    }

    /// Refuses, before anything is loaded, what would come to nothing at the end.
    ///
    /// # Errors
    /// An output that cannot be written; options of drawing where nothing is drawn.
    pub fn check(&self) -> anyhow::Result<()> {
        if let Some(path) = &self.plot {
            check_file("--plot", path)?;
        }
        if let Some(path) = &self.html {
            check_file("--html", path)?;
        }
        self.viewers.check()?;
        if let Some(path) = &self.log.folder {
            check_folder("--log", path)?;
        }
        if let (ImageSource::Topic, Some(option)) = (self.image_source, self.drawing.topic_option()) {
            anyhow::bail!("{option} names what pictures are drawn from; add --image-source render, or leave it out");
        }
        Ok(())
    }

    /// The recording.
    pub fn recording(&self) -> Result<&Path, clap::Error> {
        self.recording.as_deref().ok_or_else(|| missing("<RECORDING>"))
    }

    /// The table of an image folder, where one was chosen.
    pub fn table(&self) -> Option<&Path> {
        self.table.as_deref()
    }

    /// The topic of laser scans, where one was chosen.
    pub fn scan_topic(&self) -> Option<&str> {
        self.drawing.scan_topic()
    }

    /// How to open the recording.
    pub fn recording_options(&self) -> RecordingOptions {
        RecordingOptions {
            stamps: self.stamps.source(),
            image_topic: self.image_topic.clone(),
            odometry_topic: self.odometry_topic.clone(),
            csv: self.table.clone(),
            expected_size: match self.image_size {
                ImageSizeRule::Exactly(width, height) => Some((width, height)),
                ImageSizeRule::Any => None,
            },
            drawing: (self.image_source == ImageSource::Render).then(|| self.drawing.options()),
        }
    }

    /// When to decide.
    pub fn schedule(&self) -> anyhow::Result<DecisionSchedule> {
        self.rate.schedule().ok_or_else(|| anyhow::anyhow!("the decision rate must be a positive number of hertz"))
    }

    /// How decisions are printed.
    pub fn form(&self) -> Form {
        match (self.json, self.csv) {
            (true, _) => Form::Json,
            (_, true) => Form::Csv,
            _ => Form::Table,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_sizes() {
        assert_eq!(parse_rate("2"), Ok(Rate::Hertz(2.0)));
        assert_eq!(parse_rate("every"), Ok(Rate::EveryFrame));
        for wrong in ["0", "-1", "nan", "inf", "fast"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_size("520x380"), Ok(ImageSizeRule::Exactly(520, 380)));
        assert_eq!(parse_size("any"), Ok(ImageSizeRule::Any));
        assert!(parse_size("520").is_err());
    }
}
