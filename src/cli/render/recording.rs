//! The pictures of a recording.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use super::RenderArgs;
use super::comparison::{Comparison, Differences};
use crate::cli::Outcome;
use crate::cli::destination::check_folder;
use crate::cli::progress::counting_bar;
use crate::cli::stdout::{self, Reader};
use crate::frame::Stamp;
use crate::picture;
use crate::recording::{Drawing, RecordedFrame, Recording, RecordingOptions};

/// Draws the recording into a folder, which is made where it is absent.
pub(super) fn run(args: &RenderArgs) -> anyhow::Result<Outcome> {
    let options = RecordingOptions {
        stamps: args.stamps.source(),
        odometry_topic: args.odometry_topic.clone(),
        image_topic: args.image_topic.clone(),
        drawing: Some(args.drawing.options()),
        ..RecordingOptions::default()
    };
    check_folder("--output", &args.output)?;
    let mut recording = Recording::open(&args.input, &options)?;
    let mut schedule = args.rate.schedule().context("the rate must be a positive number of hertz")?;
    let mut comparison = args.compare.then(|| Comparison::open(&args.input, &options)).transpose()?;
    let folder = &args.output;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;

    let bar = counting_bar(recording.remaining() as u64, "scans");
    let mut lines = Lines { json: args.json, first: None, plans: BTreeMap::new() };
    if stdout::write(lines.header())? == Reader::Gone {
        return Ok(Outcome::Complete);
    }
    for item in recording.by_ref() {
        bar.inc(1);
        // What cannot be drawn is logged and counted by the recording.
        let Ok(RecordedFrame { frame, drawing: Some(drawing), .. }) = item else { continue };
        if !schedule.is_due(frame.stamp) {
            continue;
        }
        let file = format!("{}.png", frame.stamp.exact_seconds());
        picture::save_png(&folder.join(&file), &frame.frame)?;
        let differences = comparison.as_mut().and_then(|comparison| comparison.compare(&frame));
        let line = lines.line(frame.stamp, Path::new(&file), &drawing, differences);
        if bar.suspend(|| stdout::write(&line))? == Reader::Gone {
            break;
        }
    }
    bar.finish_and_clear();
    if let Some(comparison) = comparison {
        log::info!("{}", comparison.summary());
    }
    let skips = recording.skips();
    let lost = if skips.is_empty() { "nothing left out".into() } else { format!("left out: {skips}") };
    log::info!("{} in {}; {lost}", lines.summary(), folder.display());
    Ok(if skips.is_empty() { Outcome::Complete } else { Outcome::DataLost })
}

/// A line a picture.
struct Lines {
    json: bool,
    first: Option<Stamp>,
    /// How many pictures have which plan.
    plans: BTreeMap<&'static str, u64>,
}

impl Lines {
    fn header(&self) -> &'static str {
        if self.json { "" } else { "   time s pose ms  beams   nan plan               points  lost file\n" }
    }

    fn line(&mut self, stamp: Stamp, file: &Path, drawing: &Drawing, differences: Option<Differences>) -> String {
        let Drawing { robot, pose_age_s, ranges, path_points, plan, report } = drawing;
        *self.plans.entry(plan.name()).or_default() += 1;
        let since = stamp.seconds_since(*self.first.get_or_insert(stamp));
        if self.json {
            let mut line = json!({
                "stamp": stamp.seconds(),
                "stamp_ns": stamp.nanos(),
                "file": file,
                "robot": { "x": robot.translation.x, "y": robot.translation.y, "yaw": robot.rotation.angle() },
                "pose_age_s": pose_age_s,
                "ranges": ranges,
                "nan_ranges": report.nan_ranges,
                "plan": plan.name(),
                "path_points": path_points,
                "unusable_path_points": report.unusable_path_points,
            });
            if let (Some(line), Some(differences)) = (line.as_object_mut(), differences) {
                line.insert("differs".into(), differences.to_json());
            }
            return line.to_string() + "\n";
        }
        let differs =
            differences.map(|differences| format!(" ({} pixels differ)", differences.sum())).unwrap_or_default();
        format!(
            "{since:>9.2} {:>7.0} {ranges:>6} {:>5} {:<18} {path_points:>6} {:>5} {}{differs}\n",
            pose_age_s * 1e3,
            report.nan_ranges,
            plan.name(),
            report.unusable_path_points,
            file.display()
        )
    }

    fn summary(&self) -> String {
        let plans: Vec<String> = self.plans.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let total: u64 = self.plans.values().sum();
        if total == 0 { "0 pictures".into() } else { format!("{total} pictures (plan: {})", plans.join(", ")) }
    }
}
